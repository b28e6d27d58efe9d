"""How far the runs of a workspace are: every network on every fold, found without loading torch."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from autoseg.catalogue import NETWORKS, Plane
from autoseg.data.dataset import Dataset
from autoseg.data.splits import Fold, Splits
from autoseg.errors import AutosegError
from autoseg.model.description import BUNDLE, BUNDLE_FILE, Origin, weights_digest
from autoseg.model.identity import ModelId, fold_order, model_folders
from autoseg.planning.plan import Plan
from autoseg.postprocessing.scored import is_scored
from autoseg.runs.targets import DEFAULT_SEED, seed_in
from autoseg.runs.workspace import Workspace, fold_of
from autoseg.storage.lease import seen
from autoseg.training.run_state import CHECKPOINT, CHECKPOINT_FILE, CONTINUED_FOLDER, RunState, read_progress

RunStage = Literal["missing", "under way", "interrupted", "done", "scored", "of another plan", "failed"]
"""How far a run is; `done`: trained to its end, but not scored; `failed`: its documents cannot be read."""


@dataclass(frozen=True)
class Continuation:
    """What a finished run is trained further by, which has not taken its place yet.

    Attributes:
        stage: how far it is.
        told: the same in words, such as `interrupted, epoch 2 of 10`.
        state: of the continuation.
    """

    stage: RunStage
    told: str
    state: RunState


@dataclass(frozen=True)
class RunStatus:
    """One network on one fold.

    Attributes:
        model: what it is called, and where it lies.
        stage: how far it is.
        epochs: epochs trained.
        of_epochs: epochs of the whole run; None: its length is a time.
        minutes: minutes trained.
        of_minutes: minutes of the whole run; None: its length is a number of epochs.
        reason: why it failed; empty where it did not.
        remedy: what can be done about it; empty where its documents are damaged, so that it has to begin again.
        seed: of all its randomness.
        state: the run itself; None where there is none that can be read.
        weights_sha256: of its model; None where there is none.
        continuation: by which it is trained further; None: it is not.
        fold_now: the cases of its fold; None: there is no such fold any more.
    """

    model: ModelId
    stage: RunStage
    epochs: int = 0
    of_epochs: int | None = None
    minutes: float = 0.0
    of_minutes: float | None = None
    reason: str = ""
    remedy: str = ""
    seed: int = DEFAULT_SEED
    state: RunState | None = None
    weights_sha256: str | None = None
    continuation: Continuation | None = None
    fold_now: Fold | None = None

    @property
    def origin(self) -> Origin | None:
        """The model that it started from; None: it started from nothing, or nothing is known of it."""
        return None if self.state is None else self.state.origin

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end under the current plan."""
        return self.stage in {"done", "scored"}

    @property
    def of_other_cases(self) -> bool:
        """Whether its fold has other cases now, so that the same command does not go on, or its scores are left out."""
        if self.state is None or self.fold_now is None:
            return False
        before, now = self.state.members, self.fold_now
        if self.stage == "scored":
            return self.model.is_numbered and set(before.validation) != set(now.validation)
        return before != now and (self.stage == "interrupted" or (self.stage == "done" and before.validation != ()))

    @property
    def stage_told(self) -> str:
        """How far it is, in short."""
        return f"{self.stage} (its fold has other cases now)" if self.of_other_cases else self.stage

    @property
    def told(self) -> str:
        """How far it is, such as `epoch 12 of 100`."""
        if self.continuation is not None:
            return f"{self.stage_told}; continued: {self.continuation.told}"
        if self.stage not in {"under way", "interrupted"} or self.of_other_cases:
            return self.stage_told
        reached = f"minute {self.minutes:.0f}" if self.of_epochs is None else f"epoch {self.epochs}"
        length = f" of {self.of_minutes:g}" if self.of_minutes is not None and self.of_epochs is None else ""
        length = f" of {self.of_epochs}" if self.of_epochs is not None else length
        return f"{self.stage}, {reached}{length}"


def runs_of(workspace: Workspace, plan: Plan, splits: Splits) -> Iterator[RunStatus]:
    """Every run that was begun, and those beside them that are missing: on other folds, and of the plan's other views."""
    dataset = workspace.stored_dataset()
    begun = [replace(run, fold_now=_fold_now(run.model.fold, splits, dataset)) for run in _begun(workspace, plan)]
    for network in NETWORKS:
        own = [run for run in begun if run.model.architecture == network]
        series = dict[tuple[Plane | None, int], int | None]()
        for run in own:
            for view in _beside(run.model.view, plan):
                series.setdefault((view, run.seed), run.model.seed)
        for (view, seed), named in series.items():
            views = _beside(view, plan)
            begun_folds = {run.model.fold for run in own if run.model.view in views and run.seed == seed}
            folds = sorted(begun_folds, key=fold_order)
            numbered = [str(number) for number in range(len(splits.folds))] if any(map(str.isdigit, folds)) else []
            for fold in dict.fromkeys([*numbered, *folds]):
                there = [run for run in own if (run.model.view, run.seed, run.model.fold) == (view, seed, fold)]
                yield from there or [RunStatus(ModelId(network, fold, named, view), "missing", seed=seed)]


def _fold_now(fold: str, splits: Splits, dataset: Dataset) -> Fold | None:
    try:
        return fold_of(splits, dataset, fold)
    except AutosegError:
        return None


def _beside(view: Plane | None, plan: Plan) -> tuple[Plane | None, ...]:
    """The views that are trained by one command with a view, itself among them."""
    return plan.network_views if view in plan.network_views else (view,)


def _begun(workspace: Workspace, plan: Plan) -> Iterator[RunStatus]:
    for folder in sorted(model_folders(workspace.models)):
        if (folder / CHECKPOINT_FILE).exists() or (folder / BUNDLE_FILE).exists() or seen(folder / ".lock"):
            model = _id_of(folder.relative_to(workspace.models).parts)
            if model is not None:
                run = _run(model, folder, plan)
                yield replace(run, seed=_seed_of(run, folder))


def _seed_of(run: RunStatus, folder: Path) -> int:
    """The seed of a run, whether or not it is part of its place: version 0.1 put each into the fold's own folder."""
    if run.state is not None:
        return run.state.config.seed
    return run.model.seed if run.model.seed is not None else (seed_in(folder) or DEFAULT_SEED)


def _id_of(parts: Sequence[str]) -> ModelId | None:
    """What a model is called by its place, as `ModelId.folder` makes it; None where no network has this name."""
    network, fold, *inside = parts
    number = fold.removeprefix("fold_")
    if network not in NETWORKS or not (number.isdecimal() or number in {"official", "full"}):  # others are copies
        return None
    seeds = [part.removeprefix("seed_") for part in inside if part.startswith("seed_")]
    views = [plane for plane in ("axial", "coronal", "sagittal") if plane in inside]
    seed = int(seeds[0]) if seeds and seeds[0].isdecimal() else None
    return ModelId(network, number, seed, views[0] if views else None)


def _run(model: ModelId, folder: Path, plan: Plan) -> RunStatus:
    held = seen(folder / ".lock") is not None
    try:
        progress, weights = read_progress(folder), weights_digest(folder)
    except AutosegError as unusable:
        damaged = unusable.remedy in {CHECKPOINT.unusable, BUNDLE.missing}
        return RunStatus(model, "failed", reason=unusable.message, remedy="" if damaged else unusable.remedy)
    if progress is None:
        return RunStatus(model, "under way" if held else "interrupted", weights_sha256=weights)
    state, epochs = progress
    continuation = _continuation(model, folder, plan, held=held) if state.finished else None
    status = _run_status(model, state, epochs, plan, stage=_stage(state, folder, plan, held=held and continuation is None))
    return replace(status, weights_sha256=weights, continuation=continuation)


def _run_status(model: ModelId, state: RunState, epochs: int, plan: Plan, *, stage: RunStage) -> RunStatus:
    """How far a run is, or what it is trained further by."""
    config, training, stretch = state.choices, plan.training, state.stretch
    own = config.epochs is not None or config.minutes is not None
    return RunStatus(
        model,
        stage,
        epochs - (0 if state.finished else stretch.after_epochs),
        config.epochs if own else training.epochs,
        (state.elapsed_s - (0 if state.finished else stretch.after_s)) / 60,
        config.minutes if own else training.minutes,
        state=state,
    )


def _continuation(model: ModelId, folder: Path, plan: Plan, *, held: bool) -> Continuation | None:
    """What a finished run is trained further by; one that cannot be read is told by the command that goes on with it."""
    with suppress(AutosegError):
        progress = read_progress(folder / CONTINUED_FOLDER)
        if progress is not None and not progress[0].finished:
            stage: RunStage = "under way" if held else "interrupted"
            return Continuation(stage, _run_status(model, *progress, plan, stage=stage).told, progress[0])
    return None


def _stage(state: RunState, folder: Path, plan: Plan, *, held: bool) -> RunStage:
    if not plan.is_identified_by(state.plan_digest):
        return "of another plan"
    if state.finished and state.members.validation and is_scored(folder):
        return "scored"
    if held:
        return "under way"
    return "done" if state.finished else "interrupted"
