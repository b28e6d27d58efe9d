"""What a machine's facts mean: what does not work, what is slow and why, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from autoseg.diagnosis.facts import Facts, Torch

LITTLE_MEMORY_GB: Final = 4.0
"""Memory below which plans have to be made smaller. Source: what a plan for a CPU lets a training step take."""

LITTLE_DISK_GB: Final = 10.0
"""Space below which a data set of usual size may not fit. Source: chosen; IBSR18 with 15 models takes 4 GB."""

NO_DISK_GB: Final = 0.1
"""Space below which nothing can be stored. Source: chosen; a model of usual size takes a third of it."""

SWAPPED_GB: Final = 0.5
"""Memory that may be swapped out without being a sign of anything. Source: chosen; idle programs."""

_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_INSTALL: Final = "https://pytorch.org/get-started/locally/"


@dataclass(frozen=True)
class Finding:
    """Something that does not work well here.

    Attributes:
        fatal: whether nothing works with it.
        what: it is, and what follows from it.
        remedy: what to do about it.
    """

    fatal: bool
    what: str
    remedy: str


def judge(facts: Facts) -> tuple[Finding, ...]:
    """What a machine's facts mean; what is fatal comes first."""
    found = [*_fatal(facts), *_gpus(facts), *_cores(facts), *_memory(facts), *_disk(facts)]
    return tuple(sorted(found, key=lambda finding: not finding.fatal))


def _fatal(facts: Facts) -> Iterator[Finding]:
    for package, why in facts.broken.items():
        yield Finding(
            fatal=True,
            what=f"{package} cannot be loaded ({why})",
            remedy=f"Install it again: {_INSTALL}" if package == "torch" else f"Install it again: pip install {package}",
        )
    if not facts.disk.writable:
        remedy = "Work in a folder that you may write, or name one with --workspace."
        yield Finding(fatal=True, what=f"{facts.disk.folder} may not be written", remedy=remedy)
    elif facts.disk.free_gb < NO_DISK_GB:
        what = f"the disk of {facts.disk.folder} is full ({facts.disk.free_gb:.2f} GB left)"
        yield Finding(fatal=True, what=what, remedy="Make space, or name a folder on another disk with --workspace.")


def _gpus(facts: Facts) -> Iterator[Finding]:
    torch = facts.torch
    if torch is None:
        return
    if torch.gpus or torch.mps:
        yield from _weak_gpus(torch)
        return
    if facts.nvidia and not torch.build:
        what = f"torch is built for the processor alone: {', '.join(facts.nvidia)} is not used"
        yield _slow(what, f"Install the build for CUDA: {_INSTALL}")
    elif facts.nvidia:
        hidden = facts.variables.get("CUDA_VISIBLE_DEVICES")
        remedy = (
            "Update the driver" if hidden is None else f"CUDA_VISIBLE_DEVICES is {hidden!r}: unset it, or update the driver"
        )
        what = f"torch ({torch.build}) finds no GPU, but the driver names {', '.join(facts.nvidia)}"
        yield _slow(what, f"{remedy}; it has to know {torch.build}.")
    elif torch.build:
        what = f"torch is built for {torch.build}, and there is no GPU: it takes some GB of disk and loads more slowly"
        yield _slow(what, f"Install the build without CUDA: {_INSTALL}")
    if not torch.bfloat16:
        yield _slow(
            "the processor has no instructions for bfloat16: training takes about twice as long as with them",
            "Give runs more --minutes, or train on a GPU or a processor with AVX512-BF16 or AMX.",
        )


def _weak_gpus(torch: Torch) -> Iterator[Finding]:
    for gpu in torch.gpus:
        if not gpu.bfloat16:
            yield _slow(f"{gpu.name} does not compute in bfloat16: training takes about twice as long", "Use a newer GPU.")
        if gpu.memory_gb < LITTLE_MEMORY_GB:
            what = f"{gpu.name} has {gpu.memory_gb:.1f} GB of memory: batches are small"
            yield _slow(what, "Plan with --memory below that, or train with --device cpu.")


def _cores(facts: Facts) -> Iterator[Finding]:
    for name in _THREADS:
        value = facts.variables.get(name, "")
        if value.isdecimal() and 0 < int(value) < facts.usable_cores:
            what = f"{name} is {value}: torch computes on {value} of {facts.usable_cores} cores"
            yield _slow(what, f"Unset {name}, or train with --threads {facts.usable_cores}.")
    quota = facts.quota_cores
    if quota is not None and quota < facts.usable_cores:
        threads = max(1, int(quota))
        yield _slow(
            f"the container may use {quota:g} cores, and programs see {facts.usable_cores}: threads wait for one another",
            f"Train with --threads {threads} --jobs 1, or start the container with more cores.",
        )
    if facts.usable_cores == 1:
        yield _slow("one core for everything", "Ask the batch system or the container for more, if there are more.")


def _memory(facts: Facts) -> Iterator[Finding]:
    memory = facts.memory
    free = min((size for size in (memory.free, memory.limit) if size is not None), default=None)
    if free is not None and free < LITTLE_MEMORY_GB:
        what = f"{free:.1f} GB of memory are left, and a training step may take {LITTLE_MEMORY_GB:g}"
        yield _slow(what, f"Close other programs, or plan with --memory {max(0.5, free / 2):.1f}.")
    if memory.swapped > SWAPPED_GB:
        what = f"{memory.swapped:.1f} GB of memory are swapped out: what waits for the disk is many times slower"
        yield _slow(what, "Close other programs, use fewer --jobs, or plan with less --memory.")


def _disk(facts: Facts) -> Iterator[Finding]:
    disk = facts.disk
    if disk.network:
        what = f"{disk.folder} lies on a network file system ({disk.file_system}): training reads its arrays from there"
        yield _slow(what, "Name a folder on a local disk with --workspace, if there is one.")
    if NO_DISK_GB <= disk.free_gb < LITTLE_DISK_GB and disk.writable:
        what = f"{disk.free_gb:.1f} GB of disk are left for workspaces"
        yield _slow(what, "Make space, or train with --no-keep-probabilities.")


def _slow(what: str, remedy: str) -> Finding:
    return Finding(fatal=False, what=what, remedy=remedy)
