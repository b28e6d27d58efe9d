"""On what and how the arithmetic of a network runs."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import torch
from torch import nn

from autoseg.catalogue import DeviceChoice, MemoryFormat, PrecisionChoice
from autoseg.errors import UsageError
from autoseg.model.recording import CudaRecorder, Recorder

MEMORY_FORMATS: Final[dict[MemoryFormat, torch.memory_format]] = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}
"""As torch calls them."""

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

    def free_bytes(self) -> int | None:
        """Memory that is free on a device with a memory of its own; None where it shares the program's."""
        return torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else None

    def recorder(self) -> Recorder | None:
        """What records work of the device, to be replayed in one go; None where each operation is asked for on its own."""
        return CudaRecorder() if self.device.type == "cuda" else None

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


def choose_compute(device: DeviceChoice = "auto", precision: PrecisionChoice = "auto") -> Compute:
    """Find the device asked for and the number format that is fast on it.

    Raises:
        UsageError: the device is not there.

    Source: training steps of a U-Net on a CPU with AVX512-BF16 take 0.45 of their float32 time in bfloat16 with
    channels last; without AVX512-BF16 or AMX they take four times as long (docs/explanation/decisions.md).
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = "cuda" if present["cuda"] else "mps" if present["mps"] else "cpu"
    if not present[device]:
        available = ", ".join(name for name, there in present.items() if there)
        raise UsageError(f"no {device} device here", found=available, remedy="Choose another --device, or `auto`.")
    fast = precision == "bfloat16" or (precision == "auto" and _has_fast_bfloat16(device))
    return Compute(torch.device(device), bfloat16=fast)


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


def _has_fast_bfloat16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        abilities = torch.cpu.get_capabilities()
        return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return False
