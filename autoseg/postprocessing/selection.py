"""The selection: which models predict together and how their label maps are postprocessed, with every score it rests on.

`models`, `views`, `log_shift` and `postprocessing` decide what `predict` does and are meant to be read and edited; all else
is the evidence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg import catalogue
from autoseg.inference.quality import Quality
from autoseg.inference.steps import Step
from autoseg.model.identity import ModelId, Seed
from autoseg.storage import files
from autoseg.storage.documents import DocumentType

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Views = tuple[catalogue.Plane, ...]
LogShift = tuple[Annotated[float, Field(ge=-10, le=10)], ...]
_LATER: Final = "null: selected before it was scored"
_AGAIN = "Run `autoseg select` to make it again."

EDITED: Final = "edited by hand: the scores are those of what had been decided"
"""What is said wherever scores of a selection are given that somebody changed since."""

FIRST_INTERVALS: Final = "percentile bootstrap"
"""Method of the intervals in documents that do not name one."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SelectedModel(_Part):
    """One trained network."""

    architecture: catalogue.Architecture
    fold: str = Field(description="a number, `official` or `full`")
    seed: Seed | None = Field(default=None, description="where it is part of the model's place; null: it is not")
    view: catalogue.Plane | None = Field(default=None, description="plane of the only view it sees; null: it sees all")
    weights_sha256: Sha256 = Field(description="which weights were judged: another training gives others")

    @property
    def id(self) -> ModelId:
        """What it is called, and where it lies."""
        return ModelId(self.architecture, self.fold, self.seed, self.view)


class Estimate(_Part):
    """A mean over cases with its 95 % interval; null where undefined, bounds also for fewer than six cases."""

    mean: float | None
    low: float | None
    high: float | None
    cases: int = Field(ge=0, description="cases for which the number is defined")


class ClassScore(_Part):
    """How a class scores over the compared cases."""

    name: str
    dice: Estimate
    hausdorff_mm: Estimate
    nsd: Estimate | None = Field(default=None, description=_LATER)
    hausdorff95_mm: Estimate | None = Field(default=None, description=_LATER)
    assd_mm: Estimate | None = Field(default=None, description=_LATER)


class Score(_Part):
    """How label maps score: means over cases, of the classes' mean and class by class."""

    dice: Estimate
    hausdorff_mm: Estimate
    nsd: Estimate | None = Field(default=None, description=_LATER)
    hausdorff95_mm: Estimate | None = Field(default=None, description=_LATER)
    assd_mm: Estimate | None = Field(default=None, description=_LATER)
    classes: tuple[ClassScore, ...]


def _title(networks: tuple[catalogue.Architecture, ...], views: Views) -> str:
    return " + ".join(networks) + (f" ({', '.join(views)})" if views else "")


class Candidate(_Part):
    """Networks and views whose probabilities are averaged."""

    networks: tuple[catalogue.Architecture, ...] = Field(min_length=1)
    views: Views = Field(default=(), description="planes of the views; empty: all")
    score: Score
    difference: Estimate | None = Field(
        description="mean Dice minus that of the best, case by case; null for the best itself"
    )
    p: float | None = Field(description="of no difference from the best, corrected for their number (Holm)")

    @property
    def title(self) -> str:
        """What people tell it by, such as `unet + sepres`, or `unet (axial, coronal)` where views are left out."""
        return _title(self.networks, self.views)


class TriedStep(_Part):
    """A postprocessing step that was tried on top of those kept before it."""

    step: Step
    phrase: str = Field(description="the step in words")
    kept: bool
    reason: str
    before: Score
    after: Score

    @property
    def title(self) -> str:
        """What it is called in a table of all that was tried."""
        return self.phrase


class TriedShift(_Part):
    """A log-prior shift that was learnt from the held-out cases."""

    log_shift: LogShift = Field(description="learnt from all of them, one number per class; empty: none is better")
    phrase: str = Field(description="the shift in words")
    kept: bool
    reason: str
    before: Score
    after: Score = Field(description="of each case with the shift that cases of other folds teach")

    @property
    def title(self) -> str:
        """What it is called in a table of all that was tried: the prior's, which no step is."""
        return f"prior: {self.phrase}"


class NestedFold(_Part):
    """What was chosen without one fold."""

    fold: str
    cases: int = Field(ge=1, description="that it held out, scored with what the other folds chose")
    networks: tuple[catalogue.Architecture, ...] = Field(min_length=1)
    views: Views = Field(description="planes of the views; empty: all")
    log_shift: LogShift
    postprocessing: tuple[Step, ...]

    @property
    def title(self) -> str:
        """Networks and views, as of a candidate."""
        return _title(self.networks, self.views)


class NestedScore(_Part):
    """How label maps score that are made by what was chosen without the fold they are of."""

    score: Score
    optimism: Estimate = Field(description="Dice of what was chosen on all cases minus this, case by case")
    folds: tuple[NestedFold, ...] = Field(min_length=1)


class Selection(_Part):
    """What `autoseg select` decided, and why."""

    version: Literal[3] = 3
    plan_digest: Sha256
    data_key: Sha256 = Field(description="over all labelled cases, as they were when this was selected")
    models: tuple[SelectedModel, ...] = Field(min_length=1, description="averaged by `predict`")
    views: Views = Field(description="planes of the views that are averaged; empty: all")
    log_shift: LogShift = Field(
        description="added to the logarithms of the averaged probabilities, one number per class; empty: nothing"
    )
    postprocessing: tuple[Step, ...] = Field(description="applied to every label map, in this order")
    decided_sha256: Sha256 = Field(description="of models, views, shift and postprocessing as they were decided")
    reasons: tuple[str, ...]
    missing: tuple[str, ...] = Field(description="networks, folds and seeds that could not take part, and why")
    compared_cases: tuple[str, ...] = Field(description="held-out cases that all candidates were scored on")
    candidates: tuple[Candidate, ...] = Field(description="best first")
    shift: TriedShift | None = Field(description="the shift that was learnt; null: none could be judged")
    tried: tuple[TriedStep, ...] = Field(description="postprocessing steps, in the order of trial")
    score: Score = Field(description="of what was decided, over every held-out case of its networks")
    quality: Quality
    intervals: str = Field(default=FIRST_INTERVALS, description="method of the 95 % intervals")
    nested: NestedScore | None = Field(
        default=None, description="chosen without the fold that is scored (`--nested`); null: nobody asked for it"
    )

    @property
    def trials(self) -> "tuple[TriedShift | TriedStep, ...]":
        """All that was tried on top of the networks, in this order: the shift, then the steps."""
        return (*(() if self.shift is None else (self.shift,)), *self.tried)

    @property
    def optimistic(self) -> bool:
        """Whether its score is higher than new cases will have it: something was chosen on the cases that it is of."""
        return len(self.candidates) > 1 or bool(self.log_shift) or bool(self.postprocessing)

    @property
    def edited(self) -> bool:
        """Whether somebody changed what was decided."""
        return self.decided_sha256 != self.decision_sha256

    @property
    def decision_sha256(self) -> str:
        """Of models, views, shift and postprocessing as they are."""
        return decision_digest(self.models, self.postprocessing, log_shift=self.log_shift, views=self.views)


def done_in_words(log_shift: Sequence[float], steps: Sequence[Step]) -> str:
    """What is done to label maps that the scores of a selection are of.

    Args:
        log_shift: one number per class; empty or zeros: nothing is shifted.
        steps: of postprocessing.

    Example:
        >>> done_in_words((), ()), done_in_words((0.0, -0.5), ())
        ('not postprocessed', 'prior shifted, not postprocessed')
    """
    return ("prior shifted, " if any(log_shift) else "") + ("postprocessed" if steps else "not postprocessed")


def decision_digest(
    models: tuple[SelectedModel, ...],
    postprocessing: tuple[Step, ...],
    *,
    log_shift: tuple[float, ...],
    views: Views,
) -> str:
    """SHA-256 of what a selection decides."""
    return files.sha256_json(
        [
            [model.model_dump(mode="json", exclude_defaults=True) for model in models],  # as before keys were added
            [step.decided for step in postprocessing],
            *([log_shift] if log_shift else []),
            *([views] if views else []),
        ]
    )


def _from_format_1(document: dict[str, Any]) -> dict[str, Any]:
    """Steps had a `kind` and a size `smallest_ml`."""
    steps, tried = document.get("postprocessing"), document.get("tried")
    found = list(steps) if isinstance(steps, list) else []
    found += [trial.get("step") for trial in tried if isinstance(trial, dict)] if isinstance(tried, list) else []
    for step in found:
        for old, new in {"kind": "type", "smallest_ml": "min_volume_ml"}.items():
            if isinstance(step, dict) and old in step and new not in step:
                step[new] = step.pop(old)
    return document


def _from_format_2(document: dict[str, Any]) -> dict[str, Any]:
    """Nothing was shifted, and no view left out."""
    return {"views": [], "log_shift": [], "shift": None, **document}


SELECTION: Final = DocumentType(
    name="selection",
    model=Selection,
    missing=_AGAIN,
    unusable=f"Correct the named keys. Or: {_AGAIN}",
    migrations={1: _from_format_1, 2: _from_format_2},
)


def write_selection(selection: Selection, path: Path) -> None:
    """Store a selection as JSON."""
    SELECTION.write(path, selection)


def read_selection(path: Path) -> Selection:
    """Read a selection that may have been edited by hand.

    Raises:
        WorkspaceError: missing, not JSON, made by a newer autoseg, or keys are unknown, missing or have values that are not
            allowed; names them.
    """
    return SELECTION.read(path)
