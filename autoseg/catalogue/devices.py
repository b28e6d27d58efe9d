"""Devices that networks run on: how they are named, which ones are asked for, and which of those there are."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from autoseg.errors import UsageError

AUTO: Final = "auto"
KINDS: Final = ("cpu", "cuda", "mps")
"""NVIDIA's graphics cards are `cuda` and Apple's `mps`, as torch calls them."""

DEVICES_IN_WORDS: Final = "auto, cpu, cuda, mps, or GPUs by number, as in cuda:1 or cuda:0,1"

_INDEXED: Final = re.compile(r"cuda:(?:0|[1-9]\d{0,3})", re.ASCII)
_INDEX: Final = re.compile(r"0|[1-9]\d{0,3}", re.ASCII)


@dataclass(frozen=True)
class PresentDevices:
    """The devices of a machine, as far as this process may use them.

    Attributes:
        gpus: how many NVIDIA GPUs, which are called `cuda:0`, `cuda:1`, ...
        mps: whether there is a graphics card of Apple.
        visible: what the environment variable CUDA_VISIBLE_DEVICES limits them to; None: it is not set.
    """

    gpus: int = 0
    mps: bool = False
    visible: str | None = None

    @property
    def cuda(self) -> tuple[str, ...]:
        """Names of the NVIDIA GPUs."""
        return tuple(f"cuda:{index}" for index in range(self.gpus))

    def __str__(self) -> str:
        limited = "" if self.visible is None else f" (CUDA_VISIBLE_DEVICES is {self.visible!r})"
        return ", ".join(("cpu", *self.cuda, *(["mps"] if self.mps else []))) + limited


@dataclass(frozen=True)
class DeviceChoice:
    """The devices that a user asks for.

    Attributes:
        names: `auto`, or a kind, which stands for what there is of it; or GPUs by index, such as `cuda:0` and `cuda:2`; or
            `cpu` several times, whose cores are shared then.
    """

    names: tuple[str, ...] = (AUTO,)

    def __str__(self) -> str:
        return ",".join(self.names)

    @property
    def kind(self) -> str:
        """`auto`, or the one kind of all of them."""
        return self.names[0].partition(":")[0]

    @property
    def is_list(self) -> bool:
        """Whether several devices are named, one by one."""
        return len(self.names) > 1

    @property
    def first(self) -> "DeviceChoice":
        """The first of the devices that are named."""
        return DeviceChoice(self.names[:1])

    def among(self, present: PresentDevices) -> tuple[str, ...]:
        """The names of these devices one by one; of `auto` and `cuda` every GPU there is.

        Raises:
            UsageError: one of them is not there.
        """
        if self.names == (AUTO,):
            return present.cuda or (("mps",) if present.mps else ("cpu",))
        if self.names == ("cuda",) and present.gpus:
            return present.cuda
        there = {"cpu", *present.cuda, *(["mps"] if present.mps else [])}
        for name in self.names:
            if name not in there:
                raise UsageError(f"no {name} device here", found=present, remedy="Choose another --device, or `auto`.")
        return self.names


def parse_devices(given: object) -> DeviceChoice | None:
    """The devices that a text such as `cuda:0,1`, or a list of names, stands for; None where it stands for none.

    Raises:
        UsageError: they cannot be used together.
    """
    if isinstance(given, DeviceChoice):
        return given
    if isinstance(given, str):
        given = given.split(",")
    if not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        return None
    names: list[str] = []
    for name in map(str.strip, given):
        follows = bool(names) and names[-1].startswith("cuda:") and _INDEX.fullmatch(name)
        names.append(f"cuda:{name}" if follows else name)
    if not names or not all(name in {AUTO, *KINDS} or _INDEXED.fullmatch(name) for name in names):
        return None
    if len(names) > 1:
        _check_together(names)
    return DeviceChoice(tuple(names))


def _check_together(names: Sequence[str]) -> None:
    found = ",".join(names)
    for name in (AUTO, "cuda", "mps"):
        if name in names:
            remedy = "Name GPUs by index, as in cuda:0,1." if name != "mps" else "Apple's graphics card is a single device."
            raise UsageError(f"`{name}` is not one device of several", found=found, remedy=remedy)
    if "cpu" in names and set(names) != {"cpu"}:
        raise UsageError(
            "devices of different kinds",
            found=found,
            remedy="Name devices of one kind: results differ between kinds in their last digits.",
        )
    if set(names) != {"cpu"} and len(set(names)) < len(names):
        raise UsageError(
            "a GPU is named twice", found=found, remedy="Name each once; with more --jobs than GPUs, runs share them."
        )
