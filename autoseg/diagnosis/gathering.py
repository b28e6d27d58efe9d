"""Find out the facts about this machine; takes as long as loading torch."""

import os
import platform
import shutil
import webbrowser
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from autoseg.catalogue.extras import EXTRAS, missing_of
from autoseg.diagnosis import limits
from autoseg.diagnosis.facts import Disk, Facts, Gpu, Torch
from autoseg.jobs.machine import processor_name, shows_windows, usable_cores
from autoseg.jobs.nvidia import nvidia_gpus

_PACKAGES: Final = (
    "autoseg",
    "torch",
    "SimpleITK",
    "numpy",
    "scipy",
    "batchgenerators",
    "acvl-utils",
    "pydantic",
    "matplotlib",
)
_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


def gather(folder: Path) -> Facts:
    """The facts about this machine.

    Args:
        folder: where workspaces lie or will lie.
    """
    broken = {package: why for package, load in _LOADED.items() if (why := _why_not(load))}
    torch = None if "torch" in broken else _torch()
    return Facts(
        versions={"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        missing={extra: missing_of(extra) for extra in EXTRAS},
        system=platform.platform(),
        processor=processor_name(),
        cores=os.cpu_count() or 1,
        usable_cores=usable_cores(),
        quota_cores=limits.quota_cores(),
        torch=torch,
        broken=broken,
        nvidia=nvidia_gpus() if torch is not None and not torch.gpus else (),
        variables={name: os.environ[name] for name in _VARIABLES if name in os.environ},
        memory=limits.memory(),
        disk=_disk(folder),
        browser=_has_browser(),
    )


def _load_torch() -> None:
    from autoseg.model import torch_build  # noqa: F401, PLC0415 - the module of ours that loads torch


def _load_simpleitk() -> None:
    from autoseg.images import volumes  # noqa: F401, PLC0415 - the module of ours that loads SimpleITK


_LOADED: Final[Mapping[str, Callable[[], None]]] = {"torch": _load_torch, "SimpleITK": _load_simpleitk}
"""Packages that are loaded to see whether that works."""


def _why_not(load: Callable[[], None]) -> str:
    """Why a package cannot be loaded; empty: it can."""
    try:
        load()
    except Exception as cause:  # noqa: BLE001 - whatever a broken installation raises
        return f"{type(cause).__name__}: {cause}"
    return ""


def _torch() -> Torch:
    from autoseg.model import torch_build  # noqa: PLC0415 - it may not be there to load

    return Torch(
        version=_version("torch"),
        build=torch_build.build_name(),
        gpus=tuple(Gpu(name, memory_gb, bfloat16) for name, memory_gb, bfloat16 in torch_build.gpus()),
        mps=torch_build.has_mps(),
        bfloat16=torch_build.bfloat16_instructions(),
        threads=torch_build.threads(),
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _disk(folder: Path) -> Disk:
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    kind = limits.file_system(there)
    return Disk(
        there,
        shutil.disk_usage(there).free / 1e9,
        kind,
        network=limits.is_network(kind),
        writable=os.access(there, os.W_OK),
    )


def _has_browser() -> bool:
    try:
        return shows_windows() and webbrowser.get() is not None
    except webbrowser.Error:
        return False
