"""What this machine offers, found without loading torch."""

import os
import shutil
import sys

from autoseg.catalogue import DeviceKind


def usable_cores() -> int:
    """Processor cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_kind() -> DeviceKind:
    """Whether networks will probably train on a graphics card here."""
    has_gpu = shutil.which("nvidia-smi") is not None or sys.platform == "darwin"
    return "gpu" if has_gpu else "cpu"
