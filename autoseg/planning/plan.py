"""The plan: every decision that the data dictates, as a document a person may read and edit.

Its sections hold the values; `decisions` says for each value which rule chose it and from what evidence.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from autoseg.catalogue import LOSSES, NETWORKS, NetworkEntry, Plane
from autoseg.errors import PlanError
from autoseg.planning import format_1
from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.decided import Decision
from autoseg.planning.evaluation_section import EvaluationSection
from autoseg.planning.memory import step_bytes
from autoseg.planning.section_types import Section
from autoseg.planning.sections import (
    DataSection,
    Inputs,
    NetworkSection,
    PredictionSection,
    PreprocessingSection,
    TrainingSection,
    View,
)
from autoseg.storage import files
from autoseg.storage.documents import DocumentType, decided
from autoseg.wording import counted

_MOST_STEP_GB: Final = 10_000
"""Memory of a training step. Source: chosen; a hundred times that of a large GPU, so that only a mistake exceeds it."""

_MOST_SLICES_PER_EPOCH: Final = 10_000_000
"""Source: chosen; a hundred times the slices of a thousand scans. The order of an epoch's slices is made beforehand."""


_UNDECIDED: Final = frozenset({"version", "planned_digest", "decisions", "evaluation"})
"""Keys that say how a plan was written, and why, and how the results are judged: nothing is made from them."""


class Plan(Section):
    """Everything the data dictates; what the user chooses for one run is not part of it."""

    version: Literal[2] = Field(default=2, description="version of this document's format")
    planned_digest: str = Field(description="digest of the values as planned; differs from the plan's own after an edit")
    inputs: Inputs
    data: DataSection
    folds: int = Field(
        ge=1,
        le=100_000,
        description="folds of the cross-validation; 1: too few cases, only `full` can be trained. Their cases are in "
        "`splits.json`: a number that is changed here changes none, and `train` warns of it; `autoseg plan --folds` does",
    )
    views: tuple[View, ...] = Field(min_length=1, description="the ways to see the data; steps take turns among them")
    preprocessing: PreprocessingSection
    network: NetworkSection
    training: TrainingSection
    augmentation: AugmentationSection
    prediction: PredictionSection
    evaluation: EvaluationSection = Field(default=EvaluationSection(), description="how label maps are judged")
    decisions: dict[str, Decision] = Field(description="for each value, by its path: rule, value as planned, evidence")

    @model_validator(mode="after")
    def _sections_agree(self) -> "Plan":
        if problem := _disagreement(self.views, shared=self.network.shared_by_views):
            raise ValueError(problem)
        foreground = [label.value for label in self.data.classes[1:]]
        if len(self.training.class_weights) != len(self.data.classes):
            msg = f"training.class_weights needs {len(self.data.classes)} entries, one per class"
            raise ValueError(msg)
        loss = LOSSES.built_in.get(self.training.loss)
        if self.prediction.prior_power and loss is not None and not loss.class_weighted:
            unused = f"the loss `{self.training.loss}` does not use training.class_weights"
            msg = f"prediction.prior_power must be 0, because {unused}"
            raise ValueError(msg)
        if self.training.slices.rule == "with_class" and self.training.slices.label not in foreground:
            msg = f"training.slices.label must be one of {foreground}, the values of data.classes without the background"
            raise ValueError(msg)
        if len(self.evaluation.tolerances_mm) not in {1, len(foreground)}:
            msg = (
                f"evaluation.tolerances_mm needs {len(foreground)} entries, one per class except background, or one for all"
            )
            raise ValueError(msg)
        if len(self.preprocessing.normalisation) != len(self.data.channels):
            msg = f"preprocessing.normalisation needs {len(self.data.channels)} entries, one per channel"
            raise ValueError(msg)
        if any(side % self.network.divisor for view in self.views for side in view.patch_px):
            msg = (
                f"patch_px of views must be multiples of {self.network.divisor}, "
                f"because network.features has {len(self.network.features)} levels"
            )
            raise ValueError(msg)
        if self.training.steps_per_epoch * self.largest_batch > _MOST_SLICES_PER_EPOCH:
            msg = f"training.steps_per_epoch times batch_size of views must not be above {_MOST_SLICES_PER_EPOCH} slices"
            raise ValueError(msg)
        if self._step_gb > _MOST_STEP_GB:
            msg = (
                f"a training step would take about {self._step_gb:.0e} GB, at most {_MOST_STEP_GB}: lower "
                "network.features, network.expansion, patch_px of views, or batch_size of views and prediction"
            )
            raise ValueError(msg)
        return self

    @property
    def _step_gb(self) -> float:
        """Memory of a training step; a prediction keeps less for each slice, so its batch counts as one of training."""
        return self._gb(NETWORKS.built_in.values(), at_least=self.prediction.batch_size)

    def training_step_gb(self, network: NetworkEntry | None = None) -> float:
        """Memory that one step of training takes, in GB, for a network; None: for the hungriest of autoseg's own."""
        return self._gb(NETWORKS.built_in.values() if network is None else (network,))

    def _gb(self, networks: Collection[NetworkEntry], *, at_least: int = 1) -> float:
        """Memory of a step with the hungriest view, its batch taken as `at_least` so many slices."""
        size = self.network
        return max(
            step_bytes(
                size.features,
                channels=self.channels_of(view),
                classes=self.data.encoding.logits,
                convolutions=size.convolutions,
                expansion=size.expansion,
                stem=size.stem,
                networks=networks,
            ).of(max(view.batch_size, at_least) * math.prod(view.patch_px))
            / 1e9
            for view in self.views
        )

    def __repr__(self) -> str:
        return (
            f"<Plan: {self.inputs.name}, recipe {self.inputs.recipe}, {counted(len(self.views), 'view')}, {self.digest[:8]}>"
        )

    __str__ = __repr__

    @property
    def planes(self) -> tuple[Plane | None, ...]:
        """Plane of each view."""
        return tuple(view.plane for view in self.views)

    @property
    def largest_batch(self) -> int:
        """Slices of the largest optimiser step."""
        return max(view.batch_size for view in self.views)

    @property
    def slices_per_epoch(self) -> int:
        """Slices that an epoch trains on, where steps take turns among the views."""
        return round(self.training.steps_per_epoch * mean(view.batch_size for view in self.views))

    @property
    def input_channels(self) -> int:
        """Channels of a network's input; where each view has a network of its own, of that of the first."""
        return self.channels_of(self.views[0])

    def channels_of(self, view: View) -> int:
        """Channels of the slices of a view: those of the data, once for a slice and once for each adjacent one."""
        return len(self.data.channels) * (2 * view.adjacent_slices + 1)

    @property
    def network_views(self) -> tuple[Plane | None, ...]:
        """What the networks of one fold see: the plane of one view each; (None,): one network sees all views."""
        return (None,) if self.network.shared_by_views or len(self.views) == 1 else self.planes

    def of_view(self, plane: Plane | None) -> "Plan":
        """What a network sees of the plan: the view of its plane alone; None: all of it.

        Raises:
            ValueError: there is no such view.
        """
        if plane is None:
            return self
        return self.model_copy(update={"views": (self.views[self.planes.index(plane)],)})

    @property
    def tolerances_mm(self) -> dict[int, float]:
        """Tolerance of the normalised surface Dice of each class except background, by its value."""
        values = [label.value for label in self.data.classes[1:]]
        chosen = self.evaluation.tolerances_mm
        return dict(zip(values, chosen if len(chosen) == len(values) else chosen * len(values), strict=True))

    @property
    def values(self) -> dict[str, Any]:
        """The plan without its reasons, as plain JSON data."""
        return self.model_dump(mode="json", exclude={"decisions", "planned_digest"})

    @property
    def digest(self) -> str:
        """SHA-256 of what was decided: marks everything made from this plan.

        The format, the reasons and what was asked for, the data set's name among it, are no part of it; nor is how results
        are judged, nor are values that equal their defaults.
        """
        return files.sha256_json(decided(self, but={*_UNDECIDED, "inputs"}))

    @property
    def digest_in_0_1(self) -> str:
        """SHA-256 of the values as version 0.1 wrote and computed it: what it stored names its plan by this."""
        return format_1.digest_in_format_1(decided(self, but=_UNDECIDED))

    def is_identified_by(self, digest: str) -> bool:
        """Whether something stored under this digest, by this version or by 0.1, was made from what this plan decides."""
        return digest in {self.digest, self.digest_in_0_1}

    @property
    def edited(self) -> bool:
        """Whether somebody changed a value after planning."""
        return self._judged_otherwise or not self.is_identified_by(self.planned_digest)

    @property
    def _judged_otherwise(self) -> bool:
        """Whether how results are judged, which no digest holds, is other than as planned."""
        judged = self.evaluation.model_dump(mode="json")
        planned = {key: self.decisions.get(f"evaluation.{key}") for key in judged}
        return any(why is not None and why.value != judged[key] for key, why in planned.items())


def _disagreement(views: Sequence[View], *, shared: bool) -> str | None:
    """Why networks cannot see some views, each all of them where they are shared."""
    planes = [view.plane for view in views]
    if len(views) > 1 and (None in planes or len(set(planes)) < len(planes)):
        return f"views: several views need a plane each, every plane once, not {', '.join(map(str, planes))}"
    if shared and len({view.adjacent_slices for view in views}) > 1:
        return "adjacent_slices of views must be equal, because they share one network (network.shared_by_views)"
    return None


def assemble(sections: Mapping[str, Any], decisions: Mapping[str, Decision]) -> Plan:
    """Make a plan from its values and reasons, and seal it with its digest."""
    return sealed(Plan.model_validate({"planned_digest": "", **sections, "decisions": decisions}))


def sealed(plan: Plan) -> Plan:
    """The plan as one that nobody has edited."""
    return plan.model_copy(update={"planned_digest": plan.digest})


PLAN: Final = DocumentType(
    name="plan",
    model=Plan,
    error=PlanError,
    missing="Run `autoseg plan DATASET` to make a plan.",
    unusable="Correct what is named, or run `autoseg plan DATASET --force` for a fresh plan, which keeps this file.",
    migrations={1: format_1.to_format_2},
)


def write_plan(plan: Plan, path: Path) -> None:
    """Store a plan as JSON."""
    PLAN.write(path, plan)


def read_plan(path: Path) -> Plan:
    """Read a plan that may have been edited by hand.

    Raises:
        PlanError: missing, not JSON, made by a newer autoseg, or a key is unknown, missing or has a value that is not
            allowed; names all such keys.
    """
    return PLAN.read(path)
