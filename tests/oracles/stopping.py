"""A training that is interrupted after some steps, in the process that trains."""

from collections.abc import Iterator
from contextlib import contextmanager

from autoseg.events import Progress, Silent


class StopAfter(Silent):
    """Interrupts training, or one rank of it, after some steps, as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        yield self

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        if "lr" in fields:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
