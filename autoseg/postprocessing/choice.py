"""What of the held-out cases' probabilities makes one label map."""

from dataclasses import dataclass

from autoseg.catalogue import Architecture

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
