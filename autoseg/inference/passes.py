"""Networks of one plan, looking at scans through one of its views."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from autoseg.catalogue import NETWORKS, NetworkEntry, Plane
from autoseg.inference.memory import Blocks
from autoseg.model.compute import Compute
from autoseg.model.encoding import TensorEncoding
from autoseg.model.identity import ModelId
from autoseg.model.padding import Padding
from autoseg.model.slices import predict_slices
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.preprocessing.case import CutScan

PlanKey = tuple[str, Plane | None]
Networks = tuple[nn.Module, ...]


@dataclass(frozen=True)
class Member:
    """One network of an ensemble.

    Attributes:
        id: its network, its fold, and its seed where that is part of its place.
        plan: what it was trained under, with the views that it sees.
        plan_key: tells these from those of other members: the digest of the whole plan, and the plane of its only view.
        network: on the device, in evaluation mode.
        weight: how much it counts: several seeds of one network on one fold count as one, and so do networks of its views.
    """

    id: ModelId
    plan: Plan
    plan_key: PlanKey
    network: nn.Module
    weight: float

    def through(self, planes: Sequence[Plane]) -> "Member":
        """The same network, looking through views of some planes alone, of which it has at least one."""
        views = tuple(view for view in self.plan.views if view.plane in planes)
        return replace(self, plan=self.plan.model_copy(update={"views": views}))

    def on(self, compute: Compute) -> "Member":
        """A copy of the network on another device."""
        return replace(self, network=compute.place(copy.deepcopy(self.network)))

    @property
    def entry(self) -> NetworkEntry:
        """What is known about its architecture."""
        return NETWORKS[self.id.architecture]


@dataclass(frozen=True)
class Pass:
    """Networks of one plan that look at a scan through one of its views.

    Attributes:
        members: the networks, at least one, all of the same plan.
        number: of the view.
        total: how much all networks of the ensemble count, those of other plans included.
        compute: device and number format.
        mirror: test-time augmentation: whether predictions are averaged over the flips that the view names.
    """

    members: tuple[Member, ...]
    number: int
    total: float
    compute: Compute
    mirror: bool

    @property
    def plan(self) -> Plan:
        """What they were trained under, with the views that they see."""
        return self.members[0].plan

    @property
    def place(self) -> tuple[PlanKey, int]:
        """Tells it from other passes over the same scan."""
        return self.members[0].plan_key, self.number

    @property
    def weight(self) -> float:
        """How much this pass counts among all passes of an ensemble, whose weights sum to 1."""
        return math.fsum(member.weight for member in self.members) / self.total / len(self.plan.views)

    @property
    def view(self) -> View:
        """How slices are shown."""
        return self.plan.views[self.number]

    def probabilities(
        self,
        image: NDArray[np.float32],
        *,
        darkest: Sequence[float],
        wanted: slice | None = None,
        batch_size: int | None = None,
    ) -> NDArray[np.float32]:
        """Class probabilities of preprocessed slices.

        Args:
            image: slices, (C, S, H, W), float32.
            darkest: of each channel, the darkest value of all slices of the scan; not looked at where borders are repeated.
            wanted: numbers of the slices to predict; others may only lie beside them. None: all.
            batch_size: slices predicted at once; None: as planned.

        Returns:
            (K, S, H, W), float32, of the wanted slices.
        """
        return predict_slices(
            [member.network for member in self.members],
            image,
            view=self.view,
            batch_size=batch_size or self.plan.prediction.batch_size,
            mirror=self.mirror,
            encoding=TensorEncoding.of(self.plan),
            padding=Padding.of(self.plan, darkest),
            compute=self.compute,
            wanted=wanted,
            weights=[member.weight for member in self.members],
        )

    def darkest(self, cut: CutScan) -> tuple[float, ...]:
        """What slices of a scan are extended with, a value for each channel; empty where their borders are repeated."""
        return cut.darkest() if self.plan.prediction.padding == "darkest" else ()

    def slices(self, cut: CutScan, window: slice) -> tuple[NDArray[np.float32], slice]:
        """Some slices of a scan cut for this view, with those beside them, (C, n, H, W), and which were asked for."""
        beside = self.view.adjacent_slices
        first, last = max(window.start - beside, 0), min(window.stop + beside, cut.footprint.kept[0])
        return cut.part(slice(first, last)), slice(window.start - first, window.stop - first)

    def parts(self, cut: CutScan, blocks: Blocks) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Class probabilities of a scan that was cut for this view, part by part.

        Yields:
            number of the first of n slices, and their probabilities, (K, n, H, W), float32.
        """
        darkest = self.darkest(cut)
        for window in blocks.windows(cut.footprint.kept[0]):
            yield window.start, self._part(cut, window, darkest=darkest, batch_size=blocks.batch)

    def _part(self, cut: CutScan, window: slice, *, darkest: Sequence[float], batch_size: int) -> NDArray[np.float32]:
        image, wanted = self.slices(cut, window)
        return self.probabilities(image, darkest=darkest, wanted=wanted, batch_size=batch_size)
