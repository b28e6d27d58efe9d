"""In which order a run sees slices: batch after batch, taking turns among the views of its plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.ranks import Place, Ranks, own_part
from autoseg.training.slice_selection import draw_epoch, slice_pools


@dataclass(frozen=True, eq=False)
class ShownSlices:
    """The slices of one batch, or those of it that are one rank's.

    Attributes:
        view: number of the view that shows them.
        chosen: number of the case and of the slice, (B, 2), int64.
        sources: the same of the whole batch with the id of the case, to name them when something goes wrong.
        positions: of its images in the epoch, which no other batch of it has.
    """

    view: int
    chosen: NDArray[np.int64]
    sources: tuple[tuple[str, int], ...]
    positions: range

    def part_of(self, ranks: Ranks | Place) -> "ShownSlices":
        """Those that are this rank's."""
        part = own_part(len(self.chosen), ranks)
        images = slice(part.start, part.stop)
        return replace(self, chosen=self.chosen[images], positions=self.positions[images])


@dataclass(frozen=True)
class Turns:
    """Which view each step of a run shows: one after the other, from one epoch into the next.

    Attributes:
        views: how many there are.
        steps_per_epoch: how many steps an epoch has.
    """

    views: int
    steps_per_epoch: int

    def at(self, epoch: int, step: int) -> tuple[int, int]:
        """Number of the view that a step shows, and how often the epoch has shown it before."""
        return (epoch * self.steps_per_epoch + step) % self.views, step // self.views

    def of(self, view: int, epoch: int) -> int:
        """How many steps of an epoch show a view."""
        first = (view - epoch * self.steps_per_epoch) % self.views
        return max(-(-(self.steps_per_epoch - first) // self.views), 0)


class SliceOrder:
    """The slices of all batches of a run, addressed by (epoch, number); each follows from these and the seed alone.

    Args:
        cases: ids and arrays of the training cases.
        plan: says which slices, and how many in a batch.
        seed: of the order.

    Raises:
        TrainingError: no slice is what the plan asks for.
    """

    def __init__(self, cases: Sequence[tuple[str, StoredCase]], *, plan: Plan, seed: int) -> None:
        self._ids = tuple(case for case, _ in cases)
        self._turns = Turns(len(plan.views), steps_per_epoch=plan.training.steps_per_epoch)
        self._seed = seed
        self._sizes = [view.batch_size for view in plan.views]
        self._pools = [slice_pools([case.stack(number) for _, case in cases], plan) for number in range(len(plan.views))]
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}  # by view, of the latest epoch

    def __getitem__(self, address: tuple[int, int]) -> ShownSlices:
        epoch, number = address
        view, turn = self._turns.at(epoch, number)
        size = self._sizes[view]
        chosen = self._order(epoch, view)[turn * size :][:size]
        sources = tuple((self._ids[case], int(index)) for case, index in chosen)
        first = number * max(self._sizes)  # views may have batches of different sizes
        return ShownSlices(view, chosen, sources, range(first, first + len(chosen)))

    def _order(self, epoch: int, view: int) -> NDArray[np.int64]:
        """The slices of one view in one epoch, as rows of (case number, slice number); drawn once."""
        drawn, order = self._orders.get(view, (-1, np.zeros((0, 2), dtype=np.int64)))
        if drawn != epoch:
            wanted = self._turns.of(view, epoch) * self._sizes[view]
            seed = (self._seed, epoch) if len(self._sizes) == 1 else (self._seed, epoch, view)
            order = draw_epoch(self._pools[view], count=wanted, generator=np.random.default_rng(seed))
            self._orders[view] = epoch, order
        return order
