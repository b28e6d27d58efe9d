"""A scan through several views: what each shows is brought back onto the scan's own grid, and averaged there."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import LabelEncoding
from autoseg.errors import MemoryLimitError
from autoseg.inference.ensemble import Ensemble
from autoseg.inference.memory import Blocks, Demand, slices_of
from autoseg.inference.quality import ExpectedDice
from autoseg.inference.shift import shift, shifted
from autoseg.inference.spool import SpooledProbabilities, bytes_of_kept, bytes_of_volumes
from autoseg.inference.streams import Wanted
from autoseg.inference.sums import Sums, SumsInMemory, add_around, add_up
from autoseg.preprocessing.case import CutScan
from autoseg.preprocessing.footprint import Footprint, own_grid


class SeveralPasses:
    """Class probabilities as a `ProbabilityStream`: nothing of it is there before all networks have seen all of the scan.

    Each fold's probabilities are averaged first where what its networks expect of themselves is asked for.

    Args:
        cuts: the scan, cut for each pass of the ensemble.
        ensemble: the networks.
        wanted: what is asked for.

    Raises:
        MemoryLimitError: it would take more than is allowed; nothing was predicted.
        SystemFailureError: the disk has too little space for temporary files.
    """

    def __init__(self, cuts: Sequence[CutScan], ensemble: Ensemble, wanted: Wanted) -> None:
        encoding = ensemble.data.encoding
        self._exclusive = encoding.exclusive
        self.footprint: Footprint = own_grid([cut.footprint for cut in cuts])
        self.probabilities: NDArray[np.float32] | None = None
        self.spooled: SpooledProbabilities | None = None
        self._ensemble, self._judged = ensemble, wanted.judged
        self._groups = ensemble.by_fold() if wanted.judged else (ensemble,)
        self.expected = tuple(ExpectedDice(encoding) for group in self._groups if group.judges)
        self._cuts = {one.place: cut for one, cut in zip(ensemble.passes, cuts, strict=True)}
        number = 1 if len(self._groups) == 1 else 2
        blocks, fit = parts_of(ensemble, cuts, wanted, sums=number)
        self._blocks = {one.place: block for one, block in zip(ensemble.passes, blocks, strict=True)}
        self._sums = self._begin(number, encoding, wanted, in_memory=fit)

    def parts(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Number of the first of n slices, and their probabilities, (K, n, H, W), float32."""
        try:
            self._average()
            for first, part in self._sums[0].slabs():
                shift(part, self._ensemble.log_shift, exclusive=self._exclusive)
                if self.spooled is not None and self._ensemble.log_shift:
                    self.spooled.put(part, first=first)
                yield first, part
        finally:
            for sums in self._sums:
                if sums is not self.spooled:
                    sums.close()

    def _average(self) -> None:
        total, each = self._sums[0], self._sums[-1]
        for number, group in enumerate(self._groups):
            self._add_passes(each, group)
            if self._judged and group.judges:  # these come first
                for _, part in each.slabs():
                    self.expected[number].add(shifted(part, self._ensemble.log_shift, exclusive=self._exclusive))
            if each is not total:
                add_up(total, each.slabs(), each.footprint, weight=group.weight / self._ensemble.weight)
                each.clear()

    def _add_passes(self, sums: Sums, group: Ensemble) -> None:
        for one in group.passes:
            cut, blocks = self._cuts[one.place], self._blocks[one.place]
            add_up(sums, one.parts(cut, blocks), cut.footprint, weight=one.weight)
            add_around(sums, cut.footprint, self._ensemble.data.encoding, weight=one.weight)

    def _begin(self, number: int, encoding: LabelEncoding, wanted: Wanted, *, in_memory: bool) -> Sequence[Sums]:
        """What probabilities add up in: first those of all folds, then, where folds are told apart, those of one."""
        if in_memory or wanted.spool is None:
            total = SumsInMemory(self.footprint, encoding)
            self.probabilities = total.volumes if wanted.probabilities else None
            return total, *(SumsInMemory(self.footprint, encoding) for _ in range(number - 1))
        written = bytes_of_volumes(self.footprint, encoding) if wanted.probabilities else 0
        one = bytes_of_kept(self.footprint, encoding)
        spooled = SpooledProbabilities(wanted.spool, self.footprint, encoding, beside=(number - 1) * one + written)
        self.spooled = spooled if wanted.probabilities else None
        if wanted.events is not None:
            size = f"{number * one / 1e9:.1f} GB in {wanted.spool}"
            wanted.events.info(f"the views are averaged in temporary files of {size}; more --memory takes less time")
        return spooled, *(SpooledProbabilities(wanted.spool, self.footprint, encoding) for _ in range(number - 1))


def parts_of(ensemble: Ensemble, cuts: Sequence[CutScan], wanted: Wanted, *, sums: int) -> tuple[tuple[Blocks, ...], bool]:
    """In how small parts to predict each pass, and whether so many sums of probabilities fit into memory.

    Raises:
        MemoryLimitError: not even one slice at a time fits, or the sums do not and may not be in a file.
    """
    demanded = partial(ensemble.demands, judged=wanted.judged, entropy=wanted.entropy)
    try:
        return _parts_within(demanded(sums=sums, probabilities=wanted.probabilities), ensemble, cuts, wanted), True
    except MemoryLimitError:
        if wanted.spool is None:
            raise
    return _parts_within(demanded(), ensemble, cuts, wanted), False


def _parts_within(
    demands: Sequence[Demand], ensemble: Ensemble, cuts: Sequence[CutScan], wanted: Wanted
) -> tuple[Blocks, ...]:
    limits = ensemble.limits(wanted.memory_gb)
    footprints = [cut.footprint for cut in cuts]
    return tuple(
        demand.blocks(footprint.shape, slices_of(footprint), limits=limits)
        for demand, footprint in zip(demands, footprints, strict=True)
    )
