"""What long-running code tells whoever is watching: progress, information and warnings.

The work never knows how it is shown. The command line draws these with rich; a notebook or a test may collect or ignore
them.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

LEFT: Final = "left_s"
"""The field of a bar that says how many seconds are left of all that it stands for, where its own pace does not tell."""


class Progress(Protocol):
    """One running bar."""

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        """Move on by `steps`; `fields` are shown beside the bar (Dice, loss, slices per second, ...).

        They stand in the order in which they first came. An empty text is not shown, and `LEFT` is the time that is left.
        """


class Events(Protocol):
    """Where progress, information and warnings go."""

    def info(self, message: str) -> None:
        """Say something worth knowing."""

    def warn(self, message: str) -> None:
        """Say something that may make the result worse than the user thinks."""

    def track(self, label: str, *, total: float | None, unit: str) -> AbstractContextManager[Progress]:
        """Show a bar for `total` steps counted in `unit` ("cases", "s", ...); unknown length where total is None."""


class _NoProgress:
    def advance(self, steps: float = 1, **fields: float | str) -> None:
        pass


class Silent:
    """Events that nobody watches."""

    def info(self, message: str) -> None:
        """Ignore the message."""

    def warn(self, message: str) -> None:
        """Ignore the message."""

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:  # noqa: ARG002 - the Protocol's names
        """Count nothing."""
        yield _NoProgress()
