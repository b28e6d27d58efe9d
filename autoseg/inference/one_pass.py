"""A scan through one view: its slices go on as they are predicted."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import MemoryLimitError
from autoseg.inference.ensemble import Ensemble
from autoseg.inference.memory import Blocks, slices_of
from autoseg.inference.quality import ExpectedDice
from autoseg.inference.shift import shift, shifted
from autoseg.inference.spool import SpooledProbabilities, bytes_of_volumes
from autoseg.inference.streams import Wanted
from autoseg.preprocessing.case import CutScan
from autoseg.preprocessing.footprint import Footprint, empty_probabilities, put_probabilities


class OnePass:
    """Class probabilities as a `ProbabilityStream`.

    Args:
        cut: the scan, cut for the one view.
        ensemble: networks of one plan that has one view.
        wanted: what is asked for.

    Raises:
        MemoryLimitError: it would take more than is allowed; nothing was predicted.
        SystemFailureError: the disk has too little space for a temporary file.
    """

    def __init__(self, cut: CutScan, ensemble: Ensemble, wanted: Wanted) -> None:
        encoding = ensemble.data.encoding
        self._exclusive = encoding.exclusive
        self.footprint: Footprint = cut.footprint
        self.probabilities: NDArray[np.float32] | None = None
        self.spooled: SpooledProbabilities | None = None
        self._cut, self._ensemble, self._judged = cut, ensemble, wanted.judged
        self._blocks, fits = parts_of(ensemble, cut.footprint, wanted)
        if wanted.probabilities and fits:
            self.probabilities = empty_probabilities(cut.footprint, encoding)
        elif wanted.probabilities and wanted.spool is not None:
            needed = bytes_of_volumes(cut.footprint, encoding)
            self.spooled = SpooledProbabilities(wanted.spool, cut.footprint, encoding, beside=needed)
            if wanted.events is not None:
                size = f"{self.spooled.bytes / 1e9:.1f} GB in {wanted.spool}"
                wanted.events.info(f"a temporary file of {size} holds them until they are written")
        self._groups = ensemble.by_fold()
        self.expected = tuple(ExpectedDice(encoding) for group in self._groups if group.judges)

    def parts(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Number of the first of n slices, and their probabilities, (K, n, H, W), float32."""
        darkest = self._ensemble.passes[0].darkest(self._cut)
        for window in self._blocks.windows(self.footprint.kept[0]):
            part = self._mean(window, darkest)
            shift(part, self._ensemble.log_shift, exclusive=self._exclusive)
            if self.probabilities is not None:
                put_probabilities(self.probabilities, part, self.footprint, first=window.start)
            if self.spooled is not None:
                self.spooled.put(part, first=window.start)
            yield window.start, part
            del part

    def _mean(self, window: slice, darkest: Sequence[float]) -> NDArray[np.float32]:
        """Mean probabilities (K, n, H, W) that all networks give some slices; what each fold's expect is added up."""
        image, inside = self._ensemble.passes[0].slices(self._cut, window)
        total: NDArray[np.float32] | None = None
        for number, group in enumerate(self._groups):
            part = group.passes[0].probabilities(image, darkest=darkest, wanted=inside, batch_size=self._blocks.batch)
            if self._judged and group.judges:  # these come first
                self.expected[number].add(shifted(part, self._ensemble.log_shift, exclusive=self._exclusive))
            part *= np.float32(group.weight / self._ensemble.weight)
            total = part if total is None else np.add(total, part, out=total)
        if total is None:
            msg = "an ensemble has networks"
            raise ValueError(msg)
        return total


def parts_of(ensemble: Ensemble, footprint: Footprint, wanted: Wanted) -> tuple[Blocks, bool]:
    """In how small parts to predict a scan, and whether the probabilities of all classes fit into memory.

    Raises:
        MemoryLimitError: not even one slice at a time fits.
    """
    slices, limits = slices_of(footprint), ensemble.limits(wanted.memory_gb)
    (demand,) = ensemble.demands(judged=wanted.judged, entropy=wanted.entropy, probabilities=wanted.probabilities)
    try:
        return demand.blocks(footprint.shape, slices, limits=limits), True
    except MemoryLimitError:
        if not (wanted.probabilities and wanted.spool is not None):
            raise
    return replace(demand, probabilities=False).blocks(footprint.shape, slices, limits=limits), False
