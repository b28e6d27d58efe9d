"""Several models as one."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from autoseg.errors import BundleError
from autoseg.inference.memory import Demand, Limits, require_weights
from autoseg.inference.passes import Member, Pass
from autoseg.model.bundle import Bundle, load_bundle, read_document
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.storage import files


@dataclass(frozen=True)
class Ensemble:
    """Networks trained under one plan, ready to predict together.

    Attributes:
        members: the networks.
        digest: SHA-256 of everything that decides a prediction.
        digest_in_0_1: the same as version 0.1 computed it, for results of before.
        compute: device and number format.
        mirror: test-time augmentation: whether predictions are averaged over the flips that the plan names.
    """

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

    @property
    def plan(self) -> Plan:
        """The plan they share."""
        return self.members[0].plan

    @cached_property
    def passes(self) -> tuple[Pass, ...]:
        """Every view of a scan that is to be taken: each network counts alike, and each of its views."""
        views = len(self.plan.views)
        return tuple(Pass(self.plan, number, self.members, 1 / views, self.compute, self.mirror) for number in range(views))

    def demands(
        self, *, judged: bool = False, entropy: bool = False, probabilities: bool = False, sums: int = 0
    ) -> tuple[Demand, ...]:
        """What decides how much memory each pass takes.

        Args:
            judged: whether a Dice is expected of the probabilities.
            entropy: whether a map of it is wanted.
            probabilities: whether the probabilities of all classes are to be there at once.
            sums: volumes of the probabilities of all classes in which passes add up in memory; 0: they do in a file.
        """
        tensors = [tensor for member in self.members for tensor in member.network.state_dict().values()]
        return tuple(
            Demand(
                plan=one.plan,
                view=one.view,
                networks=tuple(dict.fromkeys(member.entry for member in one.members)),
                weights_bytes=sum(tensor.nbytes for tensor in tensors),
                folds=len(self.by_fold()) if len(self.passes) == 1 else 1,
                judged=judged,
                entropy=entropy,
                probabilities=probabilities,
                averaged=len(self.passes) > 1,
                sums=sums,
            )
            for one in self.passes
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
        members=tuple(
            Member(
                bundle.document.id,
                first.plan,
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
