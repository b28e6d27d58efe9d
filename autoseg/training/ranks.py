"""The processes that train one network together, as the rest of training sees them.

Every rank runs the same code on its own part of each batch. What a batch decides as a whole (batch statistics, the sums of a
loss) is made of what all ranks have. Calls of one name must come in the same order on every rank: each waits for the others.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import torch

from autoseg.errors import UsageError

Value = TypeVar("Value", torch.Tensor, Any)
"""A tensor of the same shape and type on every rank, or what JSON can say: numbers, text, truth values, None, lists and
dictionaries of them."""


class Ranks(Protocol):
    """What one rank has in common with the others."""

    @property
    def rank(self) -> int:
        """Number of this rank, from 0."""

    @property
    def size(self) -> int:
        """How many there are, at least 1."""

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which decides and writes."""

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over all ranks, differentiable: its gradient is the sum of what flows back to it on every rank.

        So gradients are those of the sum of every rank's own result. Where all have the same result, their sum over ranks
        is `size` times its gradient, and their mean over ranks is its gradient.
        """

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over all ranks, without a gradient; the same bits on every rank."""

    def stacked(self, tensor: torch.Tensor) -> torch.Tensor:
        """Tensors (...) of all ranks, in their order: (size, ...), without a gradient. All have the same shape."""

    def from_first(self, value: Value) -> Value:
        """What rank 0 says; for JSON-like values it does not matter what the others say. Tuples may arrive as lists."""

    def gathered(self, value: Value) -> list[Value]:
        """What every rank says, in their order; tensors must not require a gradient. Tuples may arrive as lists."""

    def barrier(self) -> None:
        """Wait until every rank is here, however long that takes; every other call has to be answered within minutes."""


class _Alone:
    """The one process that trains a network on its own."""

    rank: Final = 0
    size: Final = 1
    is_first: Final = True

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    def stacked(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor[None]

    def from_first(self, value: Value) -> Value:
        return value

    def gathered(self, value: Value) -> list[Value]:
        return [value]

    def barrier(self) -> None:
        return


ALONE: Final[Ranks] = _Alone()
"""No other rank: everything is what this process has."""


class Imagined:
    """Ranks that would all say what this one says: for trying, without the others, what a step takes.

    Args:
        size: how many.
    """

    rank: Final = 0
    is_first: Final = True

    def __init__(self, size: int) -> None:
        self.size = size

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        """See `Ranks`; every rank has this tensor."""
        return self.size * tensor

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """See `Ranks`."""
        return self.size * tensor.detach()

    def stacked(self, tensor: torch.Tensor) -> torch.Tensor:
        """See `Ranks`."""
        return torch.stack([tensor.detach()] * self.size)

    def from_first(self, value: Value) -> Value:
        """See `Ranks`."""
        return value

    def gathered(self, value: Value) -> list[Value]:
        """See `Ranks`."""
        return [value] * self.size

    def barrier(self) -> None:
        """See `Ranks`."""


@dataclass(frozen=True)
class Place:
    """Which of several ranks this is: all that its part of a batch depends on.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
    """

    rank: int
    size: int


def own_part(images: int, ranks: Ranks | Place) -> range:
    """Positions in a batch that are this rank's: of all parts, none is more than one image larger than another.

    Args:
        images: of the whole batch.
        ranks: who shares it.

    Raises:
        UsageError: there are more ranks than images.
    """
    if images < ranks.size:
        raise UsageError(
            f"a batch of {images} images cannot be shared by {ranks.size} processes",
            remedy="Use fewer processes, or plan with a larger batch.",
        )
    each, more = divmod(images, ranks.size)
    start = ranks.rank * each + min(ranks.rank, more)
    return range(start, start + each + (ranks.rank < more))
