"""What of the held-out cases' probabilities makes one label map."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.catalogue import Architecture, Plane

Networks = tuple[Architecture, ...]


@dataclass(frozen=True)
class Choice:
    """Whose probabilities are averaged, and how the mean is shifted.

    Attributes:
        networks: each counts alike.
        views: numbers of the views, each of which counts alike; None: all.
        log_shift: added to the logarithm of the mean, one number per class; empty: nothing.
    """

    networks: Networks
    views: tuple[int, ...] | None = None
    log_shift: tuple[float, ...] = ()

    def planes(self, planes: Sequence[Plane | None]) -> tuple[Plane, ...]:
        """Planes of its views, given those of all; empty: all."""
        return () if self.views is None else tuple(plane for view in self.views if (plane := planes[view]) is not None)
