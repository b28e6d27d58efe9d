"""Several models as one."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from autoseg.catalogue import NETWORKS, NetworkEntry
from autoseg.errors import BundleError
from autoseg.inference.memory import MEMORY_GB, Demand, Limits, require_weights, slices_of
from autoseg.model.bundle import Bundle, load_bundle, read_document
from autoseg.model.compute import Compute
from autoseg.model.encoding import TensorEncoding
from autoseg.model.identity import ModelId
from autoseg.model.padding import Padding
from autoseg.model.slices import predict_slices
from autoseg.planning.plan import Plan
from autoseg.preprocessing.footprint import Footprint
from autoseg.storage import files


@dataclass(frozen=True)
class Member:
    """One network of an ensemble.

    Attributes:
        id: its network, its fold, and its seed where that is part of its place.
        network: on the device, in evaluation mode.
        weight: how much it counts: several seeds of one network on one fold count as one together.
    """

    id: ModelId
    network: nn.Module
    weight: float

    @property
    def entry(self) -> NetworkEntry:
        """What is known about its architecture."""
        return NETWORKS[self.id.architecture]


@dataclass(frozen=True)
class Ensemble:
    """Networks trained under one plan, ready to predict together.

    Attributes:
        plan: the plan they share.
        members: the networks.
        digest: SHA-256 of everything that decides a prediction.
        digest_in_0_1: the same as version 0.1 computed it, for results of before.
        compute: device and number format.
        mirror: test-time augmentation: whether predictions are averaged over the flips that the plan names.
    """

    plan: Plan
    members: tuple[Member, ...]
    digest: str
    digest_in_0_1: str
    compute: Compute
    mirror: bool

    def is_identified_by(self, digest: str) -> bool:
        """Whether something stored under this digest, by this version or by 0.1, was predicted by these networks."""
        return digest in {self.digest, self.digest_in_0_1}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the networks, with their folds, and their seeds where there are several."""
        return tuple(member.id.folder for member in self.members)

    @property
    def weight(self) -> float:
        """How much all members count together."""
        return math.fsum(member.weight for member in self.members)

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
            view=self.plan.views[0],
            batch_size=batch_size or self.plan.prediction.batch_size,
            mirror=self.mirror,
            encoding=TensorEncoding.of(self.plan),
            padding=Padding.of(self.plan, darkest),
            compute=self.compute,
            wanted=wanted,
            weights=[member.weight for member in self.members],
        )

    def demand(self, *, judged: bool = False, entropy: bool = False, probabilities: bool = False) -> Demand:
        """What decides how much memory predicting takes."""
        networks = [member.network for member in self.members]
        return Demand(
            plan=self.plan,
            networks=tuple(dict.fromkeys(member.entry for member in self.members)),
            weights_bytes=sum(tensor.nbytes for network in networks for tensor in network.state_dict().values()),
            folds=len(self.by_fold()),
            judged=judged,
            entropy=entropy,
            probabilities=probabilities,
        )

    def limits(self, memory_gb: float) -> Limits:
        """What predicting may take: so much of the main memory, and what is free of a device's own."""
        return Limits(memory_gb * 1e9, self.compute.free_bytes())

    def by_fold(self) -> tuple["Ensemble", ...]:
        """The networks of each fold as an ensemble of their own: to new scans what they were to its held-out cases."""
        folds = dict.fromkeys(member.id.fold for member in self.members)
        return tuple(
            replace(self, members=tuple(member for member in self.members if member.id.fold == fold)) for fold in folds
        )

    def parts(self, image: NDArray[np.float32], footprint: Footprint) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Class probabilities of a preprocessed scan, as many slices at a time as the plan's memory holds, one at the least.

        Args:
            image: all its slices, (C, S, H, W), float32, which may be mapped from disk.
            footprint: the way back onto the scan.

        Yields:
            number of the first of n slices, and their probabilities, (K, n, H, W), float32.
        """
        limits = self.limits(max(MEMORY_GB, self.plan.inputs.memory_gb))
        blocks = self.demand().parts(footprint.shape, slices_of(footprint), limits=limits)
        for window in blocks.windows(footprint.kept[0]):
            yield (
                window.start,
                self.probabilities(image, darkest=footprint.pad_value, wanted=window, batch_size=blocks.batch),
            )


def load_ensemble(folders: Sequence[Path], *, compute: Compute, mirror: bool, memory_gb: float | None = None) -> Ensemble:
    """Load models that were trained under the same plan.

    Args:
        folders: of the models.
        compute: device and number format.
        mirror: test-time augmentation: average over the flips that the plan names.
        memory_gb: memory that may be taken, in GB; None: whatever they need.

    Raises:
        BundleError: there is none, one is damaged, or they stem from different plans.
        MemoryLimitError: their weights do not fit into the memory.
    """
    if memory_gb is not None and folders:
        paths = [folder / read_document(folder).weights_file for folder in folders]
        sizes = [path.stat().st_size for path in paths if path.exists()]
        require_weights(sizes, memory_gb=memory_gb, where=folders[0])
    return make_ensemble([(str(folder), load_bundle(folder)) for folder in folders], compute=compute, mirror=mirror)


def make_ensemble(bundles: Sequence[tuple[str, Bundle]], *, compute: Compute, mirror: bool) -> Ensemble:
    """Put models together.

    Args:
        bundles: models, each with the place it comes from.
        compute: device and number format.
        mirror: test-time augmentation: average over the flips that the plan names.

    Raises:
        BundleError: there is none, or they stem from different plans.
    """
    if not bundles:
        raise BundleError("no model to predict with", remedy="Train one with `autoseg train` first.")
    first = bundles[0][1].document
    if len(first.plan.views) > 1:
        raise BundleError(
            "predicting with several views is not possible yet", where=bundles[0][0], remedy="Train with a plan of one view."
        )
    for place, bundle in bundles:
        if bundle.document.plan_digest != first.plan_digest:
            raise BundleError(
                "trained under another plan than the other models",
                where=place,
                expected=first.plan_digest[:12],
                found=bundle.document.plan_digest[:12],
                remedy="Choose models of one plan, or train this one again with --restart.",
            )
    seeds = Counter((model.architecture, model.fold) for model in {bundle.document.id for _, bundle in bundles})
    weights = sorted(bundle.document.weights_sha256 for _, bundle in bundles)
    deciding = [weights, mirror, compute.precision, compute.device.type]
    return Ensemble(
        plan=first.plan,
        members=tuple(
            Member(
                bundle.document.id,
                compute.place(bundle.network),
                1 / seeds[bundle.document.architecture, bundle.document.fold],
            )
            for _, bundle in bundles
        ),
        digest=files.sha256_json([first.plan.digest, *deciding]),
        digest_in_0_1=files.sha256_json([first.plan.digest_in_0_1, *deciding]),
        compute=compute,
        mirror=mirror,
    )
