"""What this machine offers, found without loading torch."""

import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Final, Literal

from autoseg.catalogue import DeviceKind

MOST_PROCESSES: Final = 8
"""Processes side by side where the machine decides. Source: ours; with more, reading scans waits for the disk."""

_NO_GPU: Final = {"", "-1", "NoDevFiles"}
"""At the beginning of CUDA_VISIBLE_DEVICES: no GPU may be used. Source: NVIDIA's documentation, and what SLURM sets."""

_CPUINFO: Final = Path("/proc/cpuinfo")
_WITH_BFLOAT16: Final = {"avx512_bf16", "amx_bf16"}
"""What Linux calls the instructions with which processors are fast in bfloat16."""

_share: list[int] = []
"""Cores that this process was told to make do with."""


def usable_cores() -> int:
    """Processor cores this process may use: those it may run on, or its share of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, *_share) if _share else cores


def share_cores(cores: int) -> None:
    """Let this process use no more cores than these, because others beside it use the rest."""
    _share[:] = [cores]


def machine_digest(*hardware: str) -> str:
    """By which this machine, or some hardware of it, is known again; tells nobody its name.

    Args:
        hardware: what it computes on.
    """
    return hashlib.sha256("\n".join([platform.node(), *hardware]).encode()).hexdigest()[:16]


def processes(jobs: int | Literal["auto"]) -> int:
    """How many processes work side by side: as many as were asked for; `auto`: one per core, at most 8."""
    return min(usable_cores(), MOST_PROCESSES) if jobs == "auto" else jobs


def device_kind() -> DeviceKind:
    """Whether networks will probably train on a graphics card here: one that CUDA_VISIBLE_DEVICES does not hide."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip() in _NO_GPU
    has_gpu = (shutil.which("nvidia-smi") is not None and not hidden) or sys.platform == "darwin"
    return "gpu" if has_gpu else "cpu"


def processor_precision() -> Literal["float32", "bfloat16"] | None:
    """Number format that a run here has for which none is chosen; None: not known without torch, as beside a graphics card.

    Source: `model.compute.choose_computes`, which asks torch.
    """
    if device_kind() != "cpu" or sys.platform != "linux":
        return None
    try:
        flags = set(_CPUINFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return None
    return "bfloat16" if flags & _WITH_BFLOAT16 else "float32"


def shows_windows() -> bool:
    """Whether programs can open windows here, as a browser does; others would take over the terminal."""
    return sys.platform in {"win32", "darwin"} or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))


def processor_name() -> str:
    """The processor as its maker calls it, such as `AMD EPYC 7B13`; where the system does not tell, its architecture."""
    return _named_by_linux() or platform.processor() or platform.machine() or "unknown processor"


def _named_by_linux() -> str:
    try:
        with _CPUINFO.open(encoding="utf-8", errors="replace") as lines:
            names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
            return " ".join(next(names, "").split())
    except OSError:
        return ""
