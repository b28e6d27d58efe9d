"""Class probabilities of a scan, a few slices at a time: what is asked for, and what every way to it gives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autoseg.events import Events
from autoseg.inference.quality import ExpectedDice
from autoseg.inference.spool import SpooledProbabilities
from autoseg.preprocessing.footprint import Footprint


@dataclass(frozen=True)
class Wanted:
    """What is asked for of a scan, and what it may take.

    Attributes:
        judged: what the networks of each fold expect of themselves.
        entropy: how undecided the networks are.
        probabilities: of every class, at once.
        memory_gb: what everything may take, in GB, the program included.
        spool: folder of temporary files for probabilities that do not fit into memory; None: they must fit.
        events: notified of such files.
    """

    judged: bool
    entropy: bool
    probabilities: bool
    memory_gb: float
    spool: Path | None
    events: Events | None


class ProbabilityStream(Protocol):
    """Class probabilities of a scan, to be walked through once; the rest is there afterwards."""

    @property
    def footprint(self) -> Footprint:
        """The way back of the slices."""

    @property
    def expected(self) -> Sequence[ExpectedDice]:
        """What the networks of each fold expect of themselves, where they are judged."""

    @property
    def probabilities(self) -> NDArray[np.float32] | None:
        """Of every class on the scan's own grid, (K, Z, Y, X), float32; None unless asked for, or spooled."""

    @property
    def spooled(self) -> SpooledProbabilities | None:
        """The same in a temporary file, where it was allowed and they did not fit into memory."""

    def parts(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Number of the first of n slices, and their probabilities, (K, n, H, W), float32."""
