"""How far a workspace has come: what is planned, preprocessed, trained, scored and selected; found without loading torch.

Documents are read and files looked for; no scan is read, and nothing is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from autoseg.catalogue import NETWORKS
from autoseg.data.splits import Splits
from autoseg.errors import AutosegError
from autoseg.model.description import BUNDLE_FILE, Origin, weights_digest
from autoseg.model.identity import ModelId, model_folders
from autoseg.planning.plan import Plan
from autoseg.postprocessing.scored import is_scored
from autoseg.preprocessing.store import store_of
from autoseg.runs.moved_data import planned_checksums
from autoseg.runs.workspace import Workspace
from autoseg.storage import files
from autoseg.storage.lease import seen
from autoseg.training.run_state import CHECKPOINT_FILE, CONTINUED_FOLDER, RunState, read_progress

RunStage = Literal["missing", "under way", "interrupted", "done", "scored", "of another plan", "failed"]
"""How far a run is; `done`: trained to its end, but not scored; `failed`: its documents cannot be read."""

REPORT_FILE = "report.html"


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
        state: the run itself; None where there is none that can be read.
        weights_sha256: of its model; None where there is none.
        continuation: by which it is trained further; None: it is not.
    """

    model: ModelId
    stage: RunStage
    epochs: int = 0
    of_epochs: int | None = None
    minutes: float = 0.0
    of_minutes: float | None = None
    reason: str = ""
    state: RunState | None = None
    weights_sha256: str | None = None
    continuation: Continuation | None = None

    @property
    def origin(self) -> Origin | None:
        """The model that it started from; None: it started from nothing, or nothing is known of it."""
        return None if self.state is None else self.state.origin

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end under the current plan."""
        return self.stage in {"done", "scored"}

    @property
    def told(self) -> str:
        """How far it is, such as `epoch 12 of 100`."""
        if self.continuation is not None:
            return f"{self.stage}; continued: {self.continuation.told}"
        if self.stage not in {"under way", "interrupted"}:
            return self.stage
        reached = f"minute {self.minutes:.0f}" if self.of_epochs is None else f"epoch {self.epochs}"
        length = f" of {self.of_minutes:g}" if self.of_minutes is not None and self.of_epochs is None else ""
        length = f" of {self.of_epochs}" if self.of_epochs is not None else length
        return f"{self.stage}, {reached}{length}"


@dataclass(frozen=True)
class SelectionStatus:
    """Whether something was selected.

    Attributes:
        models: the networks that were, each with the digest of its weights; none: nothing was, or it cannot be read.
        outdated: why it has to be made again; empty: it has not, or there is none.
    """

    models: Mapping[ModelId, str] = field(default_factory=dict)
    outdated: str = ""


@dataclass(frozen=True)
class WorkspaceStatus:
    """How far a workspace has come.

    Attributes:
        workspace: the workspace.
        plan: its plan; None where it cannot be read.
        problem: why the plan, or what belongs to it, cannot be read; empty where it can.
        cases: labelled cases, those that were adopted among them.
        revision: of the data: how often label maps were adopted.
        adopted: how many cases have an adopted label map.
        preprocessed: how many of them are preprocessed under the plan.
        folds: what there is to train on: numbers, and `official` where the data set has a split of its own.
        runs: every network on every fold that was begun, and those beside them that are missing.
        selection: whether something was selected.
        report: the page; None where there is none.
        report_outdated: whether it is older than what it shows.
    """

    workspace: Workspace
    plan: Plan | None = None
    problem: str = ""
    cases: int = 0
    revision: int = 0
    adopted: int = 0
    preprocessed: int = 0
    folds: tuple[str, ...] = ()
    runs: tuple[RunStatus, ...] = ()
    selection: SelectionStatus = SelectionStatus()
    report: Path | None = None
    report_outdated: bool = False

    def of_stage(self, *stages: RunStage) -> tuple[RunStatus, ...]:
        """The runs that are as far as this."""
        return tuple(run for run in self.runs if run.stage in stages)

    @property
    def behind(self) -> tuple[RunStatus, ...]:
        """Finished runs that have not learnt from all label maps that were adopted."""
        return tuple(run for run in self.runs if run.finished and run.state and run.state.revision < self.revision)


def status_of(workspace: Workspace) -> WorkspaceStatus:
    """Look at a workspace; documents that cannot be read are part of its status."""
    try:
        plan, splits, fingerprint = workspace.plan(), workspace.stored_splits(), workspace.fingerprint()
        dataset = workspace.stored_dataset()
    except AutosegError as unusable:
        return WorkspaceStatus(workspace, problem=unusable.message)
    checksums = planned_checksums(fingerprint)
    store = store_of(workspace.preprocessed, plan=plan, checksums=checksums)
    runs = tuple(_runs(workspace, plan, splits))
    report = workspace.root / REPORT_FILE
    return WorkspaceStatus(
        workspace,
        plan,
        cases=len(checksums),
        revision=dataset.revision,
        adopted=sum(case.adopted is not None for case in dataset.cases),
        preprocessed=sum(map(store.holds, checksums)),
        folds=(*map(str, range(len(splits.folds))), *(() if splits.official is None else ("official",))),
        runs=runs,
        selection=_selection(workspace, plan, runs),
        report=report if report.exists() else None,
        report_outdated=report.exists() and report.stat().st_mtime < _newest(workspace, runs),
    )


def _runs(workspace: Workspace, plan: Plan, splits: Splits) -> Iterator[RunStatus]:
    """Every run that was begun and, of its network, those on the other folds of the cross-validation."""
    begun = {run.model: run for run in _begun(workspace, plan)}
    for network in NETWORKS:
        own = [model for model in begun if model.architecture == network]
        series = dict.fromkeys((model.view, model.seed) for model in own)
        for view, seed in series:
            beside = [model.fold for model in own if (model.view, model.seed) == (view, seed)]
            numbered = [str(number) for number in range(len(splits.folds))] if any(map(str.isdigit, beside)) else []
            for fold in dict.fromkeys([*numbered, *sorted(beside)]):
                model = ModelId(network, fold, seed, view)
                yield begun.get(model, RunStatus(model, "missing"))


def _begun(workspace: Workspace, plan: Plan) -> Iterator[RunStatus]:
    for folder in sorted(model_folders(workspace.models)):
        if (folder / CHECKPOINT_FILE).exists() or (folder / BUNDLE_FILE).exists() or seen(folder / ".lock"):
            model = _id_of(folder.relative_to(workspace.models).parts)
            if model is not None:
                yield _run(model, folder, plan)


def _id_of(parts: Sequence[str]) -> ModelId | None:
    """What a model is called by its place, as `ModelId.folder` makes it; None where no network has this name."""
    network, fold, *inside = parts
    if network not in NETWORKS:
        return None
    seeds = [part.removeprefix("seed_") for part in inside if part.startswith("seed_")]
    views = [plane for plane in ("axial", "coronal", "sagittal") if plane in inside]
    seed = int(seeds[0]) if seeds and seeds[0].isdecimal() else None
    return ModelId(network, fold.removeprefix("fold_"), seed, views[0] if views else None)


def _run(model: ModelId, folder: Path, plan: Plan) -> RunStatus:
    held = seen(folder / ".lock") is not None
    try:
        progress, weights = read_progress(folder), weights_digest(folder)
    except AutosegError as unusable:
        return RunStatus(model, "failed", reason=unusable.message)
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


def _selection(workspace: Workspace, plan: Plan, runs: Sequence[RunStatus]) -> SelectionStatus:
    """The models of a selection; its scores, and what it takes to read them, are for others."""
    if not workspace.selection_file.exists():
        return SelectionStatus()
    try:
        document = files.read_json(workspace.selection_file, remedy="")
        models = {
            ModelId(each["architecture"], each["fold"], each.get("seed"), each.get("view")): str(each["weights_sha256"])
            for each in document["models"]
        }
        digest = str(document["plan_digest"])
    except (AutosegError, AttributeError, KeyError, TypeError):
        return SelectionStatus(outdated="cannot be read")
    return SelectionStatus(models, _outdated(models, digest, workspace, plan, {run.model: run for run in runs}))


def _outdated(
    models: Mapping[ModelId, str], digest: str, workspace: Workspace, plan: Plan, runs: Mapping[ModelId, RunStatus]
) -> str:
    """Why a selection has to be made again; empty where it has not."""
    if not plan.is_identified_by(digest):
        return "made under another plan"
    for model, weights in models.items():
        if model not in runs or not runs[model].finished:
            return f"{model.title} is missing or not trained to its end"
        if runs[model].weights_sha256 != weights:
            return f"{model.title} has been trained again, or further, since"
    others = [run for run in runs.values() if run.model not in models]
    judged = [run.model for run in others if run.stage == "scored" and run.model.is_numbered]
    made = workspace.selection_file.stat().st_mtime
    newer = [model.title for model in judged if (workspace.model(model) / BUNDLE_FILE).stat().st_mtime > made]
    return f"{len(newer)} model(s) were trained since, such as {newer[0]}" if newer else ""


def _newest(workspace: Workspace, runs: Sequence[RunStatus]) -> float:
    """When something that a report shows was written last."""
    folders = [workspace.model(run.model) for run in runs if run.finished]
    paths = [workspace.plan_file, workspace.selection_file, *(folder / BUNDLE_FILE for folder in folders)]
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
