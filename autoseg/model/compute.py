"""On what and how the arithmetic of a network runs."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import torch
from torch import nn

from autoseg.catalogue import DeviceChoice, MemoryFormat, PrecisionChoice
from autoseg.catalogue.devices import PresentDevices, parse_devices
from autoseg.errors import AutosegError, UsageError
from autoseg.model.recording import CudaRecorder, Recorder

MEMORY_FORMATS: Final[dict[MemoryFormat, torch.memory_format]] = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}
"""As torch calls them."""

_FIRST_WITH_BFLOAT16: Final = 8
"""Compute capability of NVIDIA's GPUs from which they compute in bfloat16. Source: torch.cuda.is_bf16_supported, which asks
the same of the current device alone."""

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True)
class Compute:
    """A device and the number format that convolutions use on it.

    Attributes:
        device: where tensors live.
        bfloat16: whether convolutions run in bfloat16; weights and losses stay float32.
        layout: order of images in memory; None: the one that suits the number format.
    """

    device: torch.device
    bfloat16: bool
    layout: MemoryFormat | None = None

    @property
    def memory_format(self) -> MemoryFormat:
        """Order of images in memory, as stored with every run."""
        return self.layout or ("channels_last" if self.bfloat16 else "contiguous")

    @property
    def precision(self) -> Literal["float32", "bfloat16"]:
        """Name of the number format, as stored with every run."""
        return "bfloat16" if self.bfloat16 else "float32"

    @property
    def hardware(self) -> str:
        """What computes, such as `cpu` or the name of a GPU."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    def place(self, network: _Network) -> _Network:
        """Move a network here, in the memory format of the images."""
        placed = network.to(self.device)
        if self.memory_format == "channels_last":
            placed = placed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
        return placed

    def tensor(self, images: torch.Tensor) -> torch.Tensor:
        """Move a batch (B, C, H, W) here, in the memory format of the network."""
        moved = images.to(self.device, non_blocking=True)
        return moved.contiguous(memory_format=torch.channels_last) if self.memory_format == "channels_last" else moved

    def current(self) -> AbstractContextManager[None]:
        """Context in which this is the device that torch takes where none is named; no other GPU is touched then.

        Every thread has a current device of its own.
        """
        if self.device.type != "cuda":
            return nullcontext()
        device: AbstractContextManager[None] = torch.cuda.device(self.device)
        return device

    def free_bytes(self) -> int | None:
        """Memory that is free on a device with a memory of its own; None where it shares the program's."""
        return torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else None

    @contextmanager
    def full_memory_raises(self, error: AutosegError) -> Iterator[None]:
        """Raise an error with a cure where the device's memory turns out to be full."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise error from None

    def recorder(self) -> Recorder | None:
        """What records work of the device, to be replayed in one go; None where each operation is asked for on its own."""
        return CudaRecorder(self.device) if self.device.type == "cuda" else None

    def repeatable(self) -> AbstractContextManager[None]:
        """Context in which equal work gives equal results, bit by bit.

        cuDNN otherwise chooses by timing, or sums in whatever order threads arrive.
        """
        if self.device.type != "cuda":
            return nullcontext()
        flags: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
        return flags

    def autocast(self) -> AbstractContextManager[None]:
        """Context in which a forward pass runs."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)


def present_devices() -> PresentDevices:
    """What torch finds on this machine; no GPU is used for that."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return PresentDevices(gpus, mps=torch.backends.mps.is_available(), visible=os.environ.get("CUDA_VISIBLE_DEVICES"))


def choose_computes(device: DeviceChoice, precision: PrecisionChoice = "auto") -> tuple[Compute, ...]:
    """Find the devices asked for, of `auto` and `cuda` every GPU, and the number format that is fast on all of them.

    Args:
        device: what is asked for.
        precision: the number format asked for.

    Raises:
        UsageError: a device is not there.

    Source: training steps of a U-Net on a CPU with AVX512-BF16 take 0.45 of their float32 time in bfloat16 with
    channels last; without AVX512-BF16 or AMX they take four times as long (docs/explanation/decisions.md).
    """
    devices = [torch.device(name) for name in device.among(present_devices())]
    fast = precision == "bfloat16" or (precision == "auto" and all(map(computes_bfloat16, devices)))
    return tuple(Compute(device, bfloat16=fast) for device in devices)


def choose_compute(device: DeviceChoice | str = "auto", precision: PrecisionChoice = "auto") -> Compute:
    """Find the one device asked for, of `auto` and `cuda` the first GPU, and the number format that is fast on it.

    Raises:
        UsageError: the device is not there, or several are asked for.
    """
    choice = parse_devices(device)
    if choice is None or choice.is_list:
        raise UsageError(
            "one device is wanted here", found=str(device), remedy="Name one, such as cpu or cuda:0, or leave it to `auto`."
        )
    return choose_computes(choice, precision)[0]


@contextmanager
def sharing_cores(computes: Sequence[Compute]) -> Iterator[None]:
    """While threads that begin now compute on these devices side by side: each has its part of the processor's cores.

    Only where the processor itself is named several times is there anything to share.
    """
    before = torch.get_num_threads()
    shares = len(computes) if computes[0].device.type == "cpu" else 1
    torch.set_num_threads(max(1, before // shares))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation without gradients, and back to what it was."""
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(was_training)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device is made for bfloat16, so that it is faster than float32."""
    if device.type == "cuda":
        is_amd = torch.version.hip is not None  # whose GPUs all compute in it
        return is_amd or torch.cuda.get_device_properties(device).major >= _FIRST_WITH_BFLOAT16
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return False
