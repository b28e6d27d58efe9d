"""Sending what the host has prepared to a device, without either waiting for the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from autoseg.model.compute import Compute


@dataclass(frozen=True)
class Uploaded:
    """Tensors on their way to a device.

    Attributes:
        tensors: at least one, on the device; not to be read before they have arrived.
        sent: happens when they have; None: they have.
    """

    tensors: tuple[torch.Tensor, ...]
    sent: torch.cuda.Event | None = None

    def arrived(self) -> tuple[torch.Tensor, ...]:
        """The tensors, for use by whatever the device is asked for from now on; the host does not wait."""
        if self.sent is not None:
            here = torch.cuda.current_stream(self.tensors[0].device)
            here.wait_event(self.sent)
            for tensor in self.tensors:
                tensor.record_stream(here)
        return self.tensors


class Uploader:
    """Sends tensors to a device, beside what it computes where it can do both. Any thread may use it.

    Args:
        compute: the device.
    """

    def __init__(self, compute: Compute) -> None:
        self._compute, self._device = compute, compute.device
        self._stream: torch.cuda.Stream | None = None
        if self._device.type == "cuda":
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch leaves it unannotated

    def send(self, tensors: Sequence[torch.Tensor]) -> Uploaded:
        """Send tensors of the host, which must not be changed afterwards."""
        if self._stream is None:
            return Uploaded(tuple(tensor.to(self._device) for tensor in tensors))
        with self._compute.current(), torch.cuda.stream(self._stream):
            moved = tuple(tensor.pin_memory().to(self._device, non_blocking=True) for tensor in tensors)
            return Uploaded(moved, self._stream.record_event())
