"""Ranks that are processes of their own and talk through torch.distributed: gloo on processors, NCCL on NVIDIA GPUs."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, cast

import torch
import torch.distributed as dist
from torch.distributed import ReduceOp

from autoseg.errors import UsageError
from autoseg.training.ranks import ALONE, Ranks, Value

TIMEOUT_S: Final = 600.0
"""How long a rank waits for another one. Source: chosen; longer than rank 0 takes to store a model on a slow disk. Whoever
started the ranks notices at once when one has ended."""

BACKENDS: Final[Mapping[str, str]] = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""What carries tensors, by type of device; JSON-like values travel as tensors of the CPU."""

_VARIABLES: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells the processes that it starts. Source: torch's documentation of torchrun."""


def launched_size(environment: Mapping[str, str] = os.environ) -> int:
    """How many ranks the environment speaks of; 1 where it speaks of none.

    Raises:
        UsageError: WORLD_SIZE is no such number.
    """
    value = environment.get("WORLD_SIZE", "1")
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise UsageError(
            "the environment speaks of processes that train together, but not of how many",
            where="WORLD_SIZE",
            expected="a whole number of at least 1",
            found=repr(value),
            remedy="Start with `torchrun`, which sets it, or unset it.",
        )
    return int(value)


@contextmanager
def joined_ranks(device: torch.device, *, timeout_s: float = TIMEOUT_S) -> Iterator[Ranks]:
    """Meet the other ranks that torchrun started, and part from them at the end.

    Where the environment speaks of no others, this process is alone. Where the body raises, the others are not waited for.

    Args:
        device: of this rank; of GPUs, each rank has its own, which becomes torch's current one.
        timeout_s: how long to wait for a rank, here and in every call of the result, before that is an error.

    Raises:
        UsageError: the environment is incomplete, or nothing carries tensors of this device.
        RuntimeError: the others did not come in time.
    """
    if launched_size() == 1:
        yield ALONE
        return
    _require_environment(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        BACKENDS[device.type],
        timeout=timedelta(seconds=timeout_s),
        device_id=device if device.type == "cuda" else None,
    )
    try:
        ranks = ProcessGroup()
        yield ranks
        ranks.barrier()  # rank 0 may hold the addresses of all: it leaves last of those that need it
    finally:
        dist.destroy_process_group()


def _require_environment(device: torch.device) -> None:
    missing = [name for name in _VARIABLES if not os.environ.get(name)]
    if missing:
        raise UsageError(
            f"the environment speaks of processes that train together, but not of {', '.join(missing)}",
            remedy="Start with `torchrun`, which sets what they need, or unset WORLD_SIZE.",
        )
    if device.type not in BACKENDS or not dist.is_available():
        raise UsageError(
            f"several processes cannot train together on {device.type} here",
            expected=" or ".join(BACKENDS),
            found=device.type,
            remedy="Start a single process, or choose another --device.",
        )


class ProcessGroup:
    """This process among those of torch's default process group: see `Ranks`.

    It holds no connection of its own, so that what refers to it can be copied.
    """

    def __init__(self) -> None:
        self.rank: Final = dist.get_rank()
        self.size: Final = dist.get_world_size()
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
        stack = tensor.new_empty((self.size, *tensor.shape))
        dist.all_gather_into_tensor(stack.flatten(), tensor.detach().contiguous().flatten())
        return stack

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
        dist.all_reduce(torch.zeros(1))  # of the host, whatever carries the tensors of devices


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
