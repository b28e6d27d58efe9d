"""Ranks that are processes of their own and talk through torch.distributed: gloo on processors, NCCL on NVIDIA GPUs."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, cast

import torch
import torch.distributed as dist
from torch.distributed import ReduceOp

from autoseg.errors import AutosegError, LostRankError, UsageError
from autoseg.jobs.torchrun import Launched
from autoseg.training.ranks import ALONE, Ranks, Value
from autoseg.training.rendezvous import Meeting, Rendezvous

TIMEOUT_S: Final = 600.0
"""How long a rank waits for another one. Source: chosen; longer than rank 0 takes to store a model on a slow disk. Whoever
started the ranks notices at once when one has ended."""

BACKENDS: Final[Mapping[str, str]] = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""What carries tensors, by type of device; JSON-like values travel as tensors of the CPU."""


@contextmanager
def joined_ranks(device: torch.device, *, at: Meeting | Launched | None, timeout_s: float = TIMEOUT_S) -> Iterator[Ranks]:
    """Meet the other ranks, and part from them at the end.

    Where one of them fails, all end: that one with its own error, the others with a `LostRankError`.

    Args:
        device: of this rank; of GPUs, each rank has its own, which becomes torch's current one.
        at: where they meet; None: this process is alone.
        timeout_s: how long to wait for a rank, here and in every call of the result but `barrier`, before that is an error.

    Raises:
        UsageError: nothing carries tensors of this device.
        LostRankError: another rank failed or ended, or did not come in time.
    """
    if at is None or at.size == 1:
        yield ALONE
        return
    _require_carrier(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    rendezvous = Rendezvous(at, timeout_s=timeout_s)
    try:
        dist.init_process_group(
            BACKENDS[device.type],
            store=rendezvous.of_connections,
            rank=at.rank,
            world_size=at.size,
            timeout=timedelta(seconds=timeout_s),
            device_id=device if device.type == "cuda" else None,
        )
        yield ProcessGroup(rendezvous)
        rendezvous.part()
    except Exception as error:
        first = rendezvous.first_to_fail()  # before the others lose the connection
        _end_group(at_once=True)
        if _is_lost(error):
            raise LostRankError.of(told=not first) from error
        if first or not isinstance(error, AutosegError):
            raise
        raise LostRankError.of(told=True) from error  # all failed alike, or because of the first
    _end_group(at_once=False)


def _is_lost(error: Exception) -> bool:
    """Whether an error says that another rank cannot be reached; gloo and NCCL raise plain ones."""
    of_torch = isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in ("gloo", "NCCL", "Connection closed by peer"))
    )
    return of_torch and not isinstance(error, torch.OutOfMemoryError)


def _end_group(*, at_once: bool) -> None:
    """Close the connections to the others; after a failure NCCL would wait for what never comes: the process ends anyway."""
    if dist.is_initialized() and not (at_once and dist.is_nccl_available() and "nccl" in str(dist.get_backend_config())):
        dist.destroy_process_group()


def _require_carrier(device: torch.device) -> None:
    if device.type not in BACKENDS or not dist.is_available():
        raise UsageError(
            f"several processes cannot train together on {device.type} here",
            expected=" or ".join(BACKENDS),
            found=device.type,
            remedy="Start a single process, or choose another --device.",
        )


class ProcessGroup:
    """This process among those of torch's default process group: see `Ranks`.

    Args:
        rendezvous: where they have met.
    """

    def __init__(self, rendezvous: Rendezvous) -> None:
        self._rendezvous = rendezvous
        self.rank: Final = rendezvous.rank
        self.size: Final = rendezvous.size
        self.is_first: Final = self.rank == 0

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        """Differentiable sum: see `Ranks`."""
        return cast(torch.Tensor, _Total.apply(tensor, self))  # type: ignore[no-untyped-call]  # torch leaves it unannotated

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum without a gradient: see `Ranks`."""
        summed = tensor.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed, op=ReduceOp.SUM)
        return summed

    def stacked(self, tensor: torch.Tensor) -> torch.Tensor:
        """Every rank's tensor: see `Ranks`."""
        own = tensor.detach().contiguous()
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own)
        return torch.stack(parts)

    def from_first(self, value: Value) -> Value:
        """What rank 0 says: see `Ranks`."""
        if isinstance(value, torch.Tensor):
            told = value.detach().clone(memory_format=torch.contiguous_format)
            dist.broadcast(told, src=0)
            return told
        said = _as_bytes(value if self.is_first else None)
        length = torch.tensor([len(said)])
        dist.broadcast(length, src=0)
        told = said if self.is_first else said.new_empty(int(length))
        dist.broadcast(told, src=0)
        return _from_bytes(told)

    def gathered(self, value: Value) -> list[Value]:
        """What every rank says: see `Ranks`."""
        if isinstance(value, torch.Tensor):
            return list(self.stacked(value))
        said = _as_bytes(value)
        lengths = [int(length) for length in self.stacked(torch.tensor(len(said)))]
        padded = said.new_zeros(max(lengths))
        padded[: len(said)] = said
        return [_from_bytes(each[:length]) for each, length in zip(self.stacked(padded), lengths, strict=True)]

    def barrier(self) -> None:
        """Wait for all: see `Ranks`."""
        self._rendezvous.wait_for_all()


class _Total(torch.autograd.Function):
    """The sum over ranks, in both directions."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, ranks: ProcessGroup) -> torch.Tensor:
        """Sum forwards."""
        ctx.ranks = ranks
        return ranks.sum(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Sum of what flows back on every rank."""
        (gradient,) = gradients
        return ctx.ranks.sum(gradient), None


def _as_bytes(value: Any) -> torch.Tensor:
    """JSON text as a tensor, (N,), uint8: nothing in it can be run."""
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _from_bytes(said: torch.Tensor) -> Any:
    return json.loads(bytes(said.tolist()))
