"""What this machine offers, found without loading torch."""

import os
import shutil
import sys
from typing import Final, Literal

from autoseg.catalogue import DeviceKind

MOST_PROCESSES: Final = 8
"""Processes side by side where the machine decides. Source: ours; with more, reading scans waits for the disk."""


def usable_cores() -> int:
    """Processor cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(jobs: int | Literal["auto"]) -> int:
    """How many processes work side by side: as many as were asked for; `auto`: one per core, at most 8."""
    return min(usable_cores(), MOST_PROCESSES) if jobs == "auto" else jobs


def device_kind() -> DeviceKind:
    """Whether networks will probably train on a graphics card here."""
    has_gpu = shutil.which("nvidia-smi") is not None or sys.platform == "darwin"
    return "gpu" if has_gpu else "cpu"
