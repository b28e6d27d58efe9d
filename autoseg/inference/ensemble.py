"""Several models as one."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from autoseg.catalogue import NotFinite, Plane
from autoseg.data.dataset import LabelClass
from autoseg.errors import BundleError
from autoseg.inference.memory import Demand, Limits, require_weights
from autoseg.inference.passes import Member, Pass, PlanKey
from autoseg.inference.quality import seeds_that_judge
from autoseg.model.bundle import Bundle, load_bundle
from autoseg.model.compute import Compute
from autoseg.model.description import BundleDocument, read_document
from autoseg.planning.plan import Plan
from autoseg.planning.sections import DataSection
from autoseg.storage import files


@dataclass(frozen=True)
class Ensemble:
    """Networks for the same classes and channels, ready to predict together, whatever plans they were trained under.

    Attributes:
        members: the networks, at least one.
        digest: SHA-256 of everything that decides a prediction.
        digest_in_0_1: the same as version 0.1 computed it, for results of before.
        compute: device and number format.
        mirror: test-time augmentation: whether predictions are averaged over the flips that the plan names.
        log_shift: added to the logarithms of the averaged probabilities, one number per class; empty: nothing.
        judges: whether what they expect of themselves tells how good a label map is.
    """

    members: tuple[Member, ...]
    digest: str
    digest_in_0_1: str
    compute: Compute
    mirror: bool
    log_shift: tuple[float, ...] = ()
    judges: bool = True

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
    def title(self) -> str:
        """What people tell it by, such as `IBSR18: unet fold_0 fold_1 + sepres fold_0`."""
        places: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for member in self.members:
            network, _, place = member.id.folder.partition("/")
            places[member.plan.inputs.name][network].append(place)
        networks = {
            name: " + ".join(" ".join([network, *of_network]) for network, of_network in of_name.items())
            for name, of_name in places.items()
        }
        return "; ".join(f"{name}: {of_name}" for name, of_name in networks.items())

    @property
    def data(self) -> DataSection:
        """The classes and channels that they share."""
        return self.members[0].plan.data

    @property
    def for_images(self) -> bool:
        """Whether they were trained on 2D images, and not on slices of volumes."""
        return is_for_images(self.members[0].plan)

    @property
    def not_finite(self) -> NotFinite:
        """What is done with voxels that are NaN or infinite: scans that have some are refused where any plan says so."""
        planned: set[NotFinite] = {plan.preprocessing.not_finite for plan in self.plans}
        return "refuse" if "refuse" in planned else "zero"

    @property
    def plans(self) -> tuple[Plan, ...]:
        """What they were trained under, each plan once."""
        return tuple({member.plan_key: member.plan for member in self.members}.values())

    @cached_property
    def passes(self) -> tuple[Pass, ...]:
        """Every view of a scan that is to be taken: each network counts alike, and so does each of its views."""
        by_plan: dict[PlanKey, list[Member]] = {}
        for member in self.members:
            by_plan.setdefault(member.plan_key, []).append(member)
        return tuple(
            Pass(of_plan, number, self.weight, self.compute, self.mirror)
            for of_plan in map(tuple, by_plan.values())
            for number in range(len(of_plan[0].plan.views))
        )

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
                shifted=bool(self.log_shift),
                sums=sums,
            )
            for one in self.passes
        )

    def limits(self, memory_gb: float) -> Limits:
        """What predicting may take: so much of the main memory, and what is free of a device's own."""
        return Limits(memory_gb * 1e9, self.compute.free_bytes())

    def through(self, planes: Sequence[Plane]) -> "Ensemble":
        """The same networks, looking at scans through views of some planes alone; through all where none is named."""
        if not planes:
            return self
        members = tuple(member.through(planes) for member in self.members)
        return replace(self, members=members, digest=files.sha256_json([self.digest, list(planes)]))

    def on(self, compute: Compute) -> "Ensemble":
        """The same networks on another device of the same kind, and in the same number format: predictions are the same.

        Raises:
            ValueError: the device is of another kind, or another number format is meant.
        """
        if (compute.device.type, compute.precision) != (self.compute.device.type, self.compute.precision):
            msg = f"an ensemble on {self.compute.device} in {self.compute.precision} is another one on {compute}"
            raise ValueError(msg)
        if compute.device == self.compute.device:
            return self
        return replace(self, members=tuple(member.on(compute) for member in self.members), compute=compute)

    def by_fold(self) -> tuple["Ensemble", ...]:
        """The networks of each fold as an ensemble of their own: to new scans what they were to its held-out cases.

        Seeds that other folds lack follow as ensembles that do not judge: with them a fold would be in other doubt.
        """
        seeds: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for member in self.members:
            seeds[member.id.architecture, member.id.fold].add(member.id.place_among_seeds)
        judging = seeds_that_judge({place: len(found) for place, found in seeds.items()})
        groups: defaultdict[tuple[bool, str], list[Member]] = defaultdict(list)
        for member in self.members:
            found = sorted(seeds[member.id.architecture, member.id.fold])
            judges = found.index(member.id.place_among_seeds) < judging[member.id.architecture]
            groups[not judges, member.id.fold].append(member)
        folds = list(dict.fromkeys(member.id.fold for member in self.members))
        places = sorted(groups, key=lambda place: (place[0], folds.index(place[1])))
        return tuple(replace(self, members=tuple(groups[place]), judges=not place[0]) for place in places)


def load_ensemble(folders: Sequence[Path], *, compute: Compute, mirror: bool, memory_gb: float | None = None) -> Ensemble:
    """Load models for the same classes and channels.

    Args:
        folders: of the models.
        compute: device and number format.
        mirror: test-time augmentation: average over the flips that the plan names.
        memory_gb: memory that may be taken, in GB; None: whatever they need.

    Raises:
        BundleError: there is none, one is damaged, or they segment different classes, or read different channels.
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
        BundleError: there is none, or they segment different classes, or read different channels.
    """
    if not bundles:
        raise BundleError("no model to predict with", remedy="Train one with `autoseg train` first.")
    for place, bundle in bundles[1:]:
        _require_alike(bundles[0], place, bundle.document.plan)
    documents = [bundle.document for _, bundle in bundles]
    seen = {(document.plan_digest, document.view): document.seen for document in documents}
    decide = partial(digest_of, mirror=mirror, precision=compute.precision, device=compute.device.type)
    return Ensemble(
        members=tuple(
            Member(
                bundle.document.id,
                seen[bundle.document.plan_digest, bundle.document.view],
                (bundle.document.plan_digest, bundle.document.view),
                compute.place(bundle.network),
                weight,
            )
            for (_, bundle), weight in zip(bundles, weights_of(documents), strict=True)
        ),
        digest=decide([(document.plan_digest, document.weights_sha256) for document in documents]),
        digest_in_0_1=decide([(document.plan.digest_in_0_1, document.weights_sha256) for document in documents]),
        compute=compute,
        mirror=mirror,
    )


def digest_of(networks: Sequence[tuple[str, str]], *, mirror: bool, precision: str, device: str) -> str:
    """SHA-256 of everything that decides a prediction.

    Args:
        networks: of each the digests of its plan and of its weights.
        mirror: test-time augmentation: whether flips are averaged.
        precision: number format of the convolutions.
        device: type of the device.
    """
    weights, deciding = sorted(networks), [mirror, precision, device]
    if len({plan for plan, _ in networks}) == 1:
        return files.sha256_json([weights[0][0], [sha256 for _, sha256 in weights], *deciding])
    return files.sha256_json([weights, *deciding])


def weights_of(documents: Sequence[BundleDocument]) -> tuple[float, ...]:
    """How much each model counts in their mean: all seeds and views of one network on one fold count as one together."""
    alike = Counter({(document.plan_digest, document.id): _place_of(document) for document in documents}.values())
    return tuple(1 / alike[_place_of(document)] for document in documents)


def is_for_images(plan: Plan) -> bool:
    """Whether a plan is for 2D images, and not for slices of volumes."""
    return plan.views[0].plane is None


def _place_of(document: BundleDocument) -> tuple[str, str, str]:
    """What several seeds of one network have in common, and its views where each has one of its own."""
    return document.plan_digest, document.architecture, document.fold


def _require_alike(first: tuple[str, Bundle], place: str, plan: Plan) -> None:
    other = first[1].document.plan
    named = {
        "segments other classes": [_classes(each) for each in (other, plan)],
        "segments classes of another kind": [_kind(each) for each in (other, plan)],
        "reads other channels": [", ".join(each.data.channels) for each in (other, plan)],
        "was trained on other data": ["2D images" if is_for_images(each) else "volumes" for each in (other, plan)],
    }
    for what, (expected, found) in named.items():
        if expected != found:
            raise BundleError(
                f"{what} than the model {first[0]}",
                where=place,
                expected=expected,
                found=found,
                remedy="Average only models for the same classes and channels.",
            )


def _classes(plan: Plan) -> str:
    return ", ".join(f"{label.value} {label.name}{_members(label)}" for label in plan.data.classes)


def _members(label: LabelClass) -> str:
    """The label values of a region that has several."""
    return f" ({' + '.join(map(str, label.label_values))})" if len(label.label_values) > 1 else ""


def _kind(plan: Plan) -> str:
    return "classes that exclude one another" if plan.data.encoding.exclusive else "regions"
