"""One rank as it sees itself, where the others are not there: for what it does without asking them."""

from autoseg.training.ranks import Imagined


class OneOf(Imagined):
    """A rank of a number, which hears from each of the others what it says itself.

    Args:
        rank: its number, from 0.
        size: how many there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        super().__init__(size)
        self.rank = rank  # type: ignore[misc]
        self.is_first = rank == 0  # type: ignore[misc]
