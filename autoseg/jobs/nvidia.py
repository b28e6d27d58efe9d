"""NVIDIA's graphics cards as their driver knows them, and which of them a process would use, without loading torch."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from autoseg.catalogue.devices import DeviceChoice

_ASKED: Final = ("--query-gpu=memory.total,uuid,mig.mode.current,name", "--format=csv,noheader,nounits")
_ANSWER_S: Final = 20.0
"""Longest wait for the graphics cards' driver. Source: ours; a card that slept answers within seconds."""

_GB_PER_MIB: Final = 1024**2 / 1e9
_NUMBER: Final = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True)
class GpuMemory:
    """Memory of the GPUs that a process would use.

    Attributes:
        gb: of the smallest of them, in GB; None: not known.
        remark: why it is not known, or not of which GPU; empty where there is nothing to say.
    """

    gb: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class _Card:
    """A graphics card, or a part of one.

    Attributes:
        name: as its maker calls it.
        uuid: by which CUDA_VISIBLE_DEVICES may name it.
        memory_gb: in GB; None: the driver does not tell, or tells that of a whole of which a part is used (MIG).
        certain: whether it is this card, and not the smallest of those that it may be.
    """

    name: str
    uuid: str
    memory_gb: float | None
    certain: bool = True


def gpu_memory(device: DeviceChoice) -> GpuMemory:
    """How much memory the GPUs have that a process would use here; nothing is known, nor said, where no driver answers.

    Args:
        device: what is asked for; an index counts among the GPUs that CUDA_VISIBLE_DEVICES leaves, as in torch.
    """
    cards = _driver_says()
    if not cards:
        return GpuMemory()
    visible = _visible(cards, os.environ.get("CUDA_VISIBLE_DEVICES"))
    indices = [int(index) for _, _, index in (name.partition(":") for name in device.names) if index]
    used = [visible[index] for index in indices if index < len(visible)] if indices else visible
    if not used or len(used) < len(indices):
        return GpuMemory(remark=f"CUDA shows {len(visible)} of the GPUs here, and no {device}")
    sizes_gb = [card.memory_gb for card in used if card.memory_gb is not None]
    if len(sizes_gb) < len(used):
        return GpuMemory(remark="the driver does not tell how much memory a GPU has, or the part of one that is used (MIG)")
    if len(used) < len(cards) and not all(card.certain for card in used):
        remark = (
            "the GPUs here differ in memory, and CUDA numbers them by speed, not as nvidia-smi does (unless "
            f"CUDA_DEVICE_ORDER is PCI_BUS_ID); the smallest has {min(sizes_gb):.0f} GB"
        )
        return GpuMemory(min(sizes_gb), remark)
    return GpuMemory(min(sizes_gb))


def nvidia_gpus() -> tuple[str, ...]:
    """Names of NVIDIA's graphics cards here, as the driver knows them; none where none tells."""
    return tuple(card.name for card in _driver_says())


def _visible(cards: Sequence[_Card], variable: str | None) -> list[_Card]:
    """The GPUs that CUDA shows, in its order.

    Args:
        cards: all there are.
        variable: CUDA_VISIBLE_DEVICES; None: it is not set.

    Source: NVIDIA's CUDA C++ programming guide (environment variables). Numbers, or beginnings of UUIDs, count up to the
    first that is of no GPU, or of several; one GPU twice means none.
    """
    numbered = _numbered(cards)
    if variable is None:
        return numbered
    found = dict[str, _Card]()
    for entry in map(str.strip, variable.split(",")):
        if entry.startswith("MIG-"):
            key, fitting = entry, [_Card("", entry, None)]
        elif entry.startswith("GPU-"):
            fitting = [card for card in cards if card.uuid.startswith(entry)]
            key = fitting[0].uuid if fitting else ""
        else:
            number = _NUMBER.match(entry)
            key = str(int(number[0])) if number else ""
            fitting = numbered[int(key) :][:1] if key else []
        if len(fitting) != 1:
            break
        if key in found:
            return []
        found[key] = fitting[0]
    return list(found.values())


def _numbered(cards: Sequence[_Card]) -> list[_Card]:
    """The GPUs by CUDA's numbers; each the smallest where those of different sizes are numbered by speed.

    Source: NVIDIA's CUDA C++ programming guide (CUDA_DEVICE_ORDER); the driver lists them by their places on the bus.
    """
    in_order = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if in_order or len({card.memory_gb for card in cards}) < 2:
        return list(cards)
    smallest = min(cards, key=lambda card: card.memory_gb or 0.0)
    return [replace(smallest, certain=False)] * len(cards)


def _driver_says() -> list[_Card]:
    """NVIDIA's graphics cards here; none where none tells."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        # The program is the driver's own, found by its full path, with fixed arguments.
        answer = subprocess.run(  # noqa: S603
            (program, *_ASKED), capture_output=True, text=True, timeout=_ANSWER_S, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    told = [line.split(",", 3) for line in answer.stdout.splitlines()]
    return [_card(*map(str.strip, fields)) for fields in told if len(fields) == 4]


def _card(size_mib: str, uuid: str, split: str, name: str) -> _Card:
    known = size_mib.isdecimal() and split != "Enabled"
    return _Card(name, uuid, int(size_mib) * _GB_PER_MIB if known else None)
