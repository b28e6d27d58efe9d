"""`autoseg select`: from the cross-validation to one model: which networks, which postprocessing, and how good it is."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoseg.events import Events
from autoseg.jobs.work import ExecutorName
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import Jobs, OptionalPath, Options, option
from autoseg.options.shared import DATA, EXECUTOR, JOBS, SCHEDULER, SLURM_SETTINGS, VERIFY, WORKSPACE
from autoseg.results import Records
from autoseg.wording import counted, listing

if TYPE_CHECKING:
    from autoseg.postprocessing.selection import Candidate, Estimate, SelectedModel, Selection, TriedShift, TriedStep


_TRIED: Final = ("step", "Dice", "HD (mm)", "verdict")
_MOST_CANDIDATES: Final = 7
"""Candidates that are shown. Source: chosen; the combinations of three networks."""


class SelectOptions(Options):
    """Choose, from the cross-validation, the networks that predict together and the postprocessing that helps."""

    workspace: OptionalPath = option(WORKSPACE, default=None)
    _: KW_ONLY
    data: OptionalPath = option(DATA, default=None)
    nested: bool = option(
        "Also score each fold's cases by what the other folds choose: the selection's own score is optimistic, this one is "
        "not. Takes about half as long again for each fold.",
        default=False,
    )
    verify: bool = option(VERIFY, default=False)
    jobs: Jobs = option(JOBS, default=1)
    executor: ExecutorName = option(EXECUTOR, default="local")
    scheduler: str | None = option(SCHEDULER, default=None)
    slurm_settings: OptionalPath = option(SLURM_SETTINGS, default=None)


@dataclass(frozen=True, repr=False)
class SelectResult(Records):
    """What was decided.

    Attributes:
        file: the selection, to be read and edited.
        selection: the same as an object.
        folder: label maps of the held-out cases as the selection makes them, and their scores.
    """

    file: Path
    selection: "Selection"
    folder: Path

    def _in_short(self) -> str:
        dice = self.selection.score.dice.mean
        score = "" if dice is None else f", {_done(self.selection)}, Dice {dice:.4f} on the cases held out"
        return f"{', '.join(model.id.folder for model in self.selection.models)}{score}; {self.file}"

    def _tables(self) -> Sequence[Table]:
        return describe(self).tables

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per candidate, the best first."""
        from autoseg.metrics.table import table_metrics

        return [
            {
                "networks": " + ".join(candidate.networks),
                "views": ", ".join(candidate.views) or "all",
                **{
                    column: number
                    for name in table_metrics()
                    for column, number in _estimated(name, getattr(candidate.score, name, None)).items()
                },
                **_estimated("difference", candidate.difference),
                "p": candidate.p,
            }
            for candidate in self.selection.candidates
        ]


def run(options: SelectOptions, events: Events) -> SelectResult:
    """Choose networks and postprocessing from what the cross-validation held out, and write it all down.

    Raises:
        BundleError: no fold was trained to its end, models stem from different data, or these change meanwhile.
        UsageError: there are too few folds to leave one out.
        WorkspaceError: stored probabilities are damaged, or another process works on the plan.
    """
    from autoseg.runs.found import workspace_folder

    folder = workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

    from autoseg.jobs.executors import check_choices, open_executor
    from autoseg.postprocessing.inputs import gather_inputs, refuse_changed_meanwhile
    from autoseg.postprocessing.selecting import make_selection, store_selection
    from autoseg.runs.moved_data import with_data_in
    from autoseg.runs.workspace import Workspace
    from autoseg.storage.locks import lock

    check_choices(options)  # before scans are compared with those that were planned
    workspace = with_data_in(Workspace(folder, verify=options.verify), options.data, events)
    with lock(workspace.lock_file, events=events):
        inputs = gather_inputs(workspace, events)
        with open_executor(options, folder=workspace.root, events=events) as jobs:
            selection = make_selection(inputs, workspace.selected, jobs=jobs, events=events, nested=options.nested)
        refuse_changed_meanwhile(inputs, workspace)
        store_selection(selection, workspace.selection_file, workspace.selected)
    return SelectResult(workspace.selection_file, selection, workspace.selected)


def describe(result: SelectResult) -> Output:
    """The decision with its reasons; the best candidates and the steps that are kept as tables, all of them as details."""
    selection = result.selection
    kept = [trial for trial in selection.trials if trial.kept]
    left_out = len(selection.candidates) - _MOST_CANDIDATES
    lines = [f"Not shown: {counted(left_out, 'candidate')} with lower scores (--full)"] if left_out > 0 else []
    dropped = ["the shift of the prior"] if selection.shift is not None and not selection.shift.kept else []
    steps = sum(not trial.kept for trial in selection.tried)
    dropped += [f"{counted(steps, 'step')} of postprocessing"] if steps else []
    lines += [f"Tried and not kept: {listing(dropped)} (--full)"] if dropped else []
    models = counted(len(selection.models), "model")
    lines += [f"{'Averaging' if len(selection.models) > 1 else 'Using'} {models}: {', '.join(_in_words(selection.models))}"]
    lines += [f"  through slices of these planes alone: {', '.join(selection.views)}"] if selection.views else []
    lines += [f"  {_scored(selection)}"]
    lines += [f"  {reason}" for reason in selection.reasons if not any(trial.phrase in reason for trial in kept)]
    lines += [f"  missing: {line}" for line in selection.missing]
    lines += [f"Wrote {result.file}, which you may edit, and the held-out label maps in {result.folder}"]
    files = {"file": str(result.file), "folder": str(result.folder)}
    document = {**files, "selection": selection.model_dump(mode="json")}
    return Output("\n".join(lines), document, _tables(selection, kept), _details(selection))


def _estimated(name: str, estimate: "Estimate | None") -> dict[str, float | None]:
    """A mean and the bounds of its interval, each by its name."""
    numbers = (None, None, None) if estimate is None else (estimate.mean, estimate.low, estimate.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), numbers, strict=True))


def _tables(selection: "Selection", kept: "Sequence[TriedShift | TriedStep]") -> list[Table]:
    """What people decide by: the best candidates, and what the shift and postprocessing brought."""
    steps = [Table("Shift and postprocessing kept", _TRIED[:-1], [_trial(trial)[:-1] for trial in kept])] if kept else []
    return [_compared(selection, selection.candidates[:_MOST_CANDIDATES]), *steps, *_nested(selection)]


def _details(selection: "Selection") -> list[Table]:
    """All candidates, and everything that was tried, with the reasons."""
    tried = Table("Shift and postprocessing tried", _TRIED, [_trial(trial) for trial in selection.trials])
    return [_compared(selection, selection.candidates), tried, *_nested(selection)]


def _compared(selection: "Selection", candidates: "Sequence[Candidate]") -> Table:
    from autoseg.evaluation.formatting import interval_column, mean_column
    from autoseg.postprocessing.scoring import with_undefined

    scores = [candidate.score for candidate in candidates]
    heading, dice = interval_column("Dice", [score.dice for score in scores], 4)
    distances = with_undefined(mean_column([score.hausdorff_mm for score in scores], 2), scores)
    return Table(
        f"Networks on {counted(len(selection.compared_cases), 'held-out case')}, before shift and postprocessing",
        ("networks", heading, "HD (mm)", "difference", "p"),
        list(map(_candidate, candidates, dice, distances)),
    )


def _in_words(models: "Sequence[SelectedModel]") -> list[str]:
    """Models by network, with the folds of each."""
    folds: dict[str, list[str]] = {}
    for model in models:
        other = [part for part in (model.view, None if model.seed is None else f"seed {model.seed}") if part is not None]
        folds.setdefault(", ".join([model.architecture, *other]), []).append(model.fold)
    return [f"{name} (fold{'s' if len(of) > 1 else ''} {', '.join(of)})" for name, of in folds.items()]


def _scored(selection: "Selection") -> str:
    """The scores of what was decided: of all that `predict` does, on every case that its networks held out."""
    from autoseg.evaluation.formatting import interval
    from autoseg.model.identity import of_several_networks

    score = selection.score
    average = " of their average" if of_several_networks(model.id for model in selection.models) else ""
    return (
        f"scores{average}, {_done(selection)}, on {counted(score.dice.cases, 'held-out case')}: "
        f"Dice {interval(score.dice, 4)}, HD {interval(score.hausdorff_mm, 2, unit='mm')}"
    )


def _done(selection: "Selection") -> str:
    from autoseg.postprocessing.selection import done_in_words

    return done_in_words(selection.log_shift, selection.postprocessing)


def _nested(selection: "Selection") -> list[Table]:
    """What is chosen without each fold, where that was asked for."""
    if selection.nested is None:
        return []
    rows = [
        (fold.fold, str(fold.cases), fold.title, "yes" if fold.log_shift else "no", str(len(fold.postprocessing)))
        for fold in selection.nested.folds
    ]
    return [Table("Chosen without each fold", ("fold", "cases", "networks", "shift", "steps"), rows)]


def _candidate(candidate: "Candidate", dice: str, distance: str) -> tuple[str, ...]:
    from autoseg.evaluation.formatting import number

    difference = candidate.difference
    return (
        candidate.title,
        dice,
        distance,
        "best" if difference is None else number(difference.mean, 4),
        "" if candidate.p is None else f"{candidate.p:.3f}",
    )


def _trial(trial: "TriedShift | TriedStep") -> tuple[str, ...]:
    from autoseg.evaluation.formatting import change

    before, after = trial.before, trial.after
    verdict = "kept" if trial.kept else "not kept"
    gains = change(before.dice.mean, after.dice.mean, 4), change(before.hausdorff_mm.mean, after.hausdorff_mm.mean, 2)
    return trial.title, *gains, f"{verdict}: {trial.reason}"


select = function(SelectOptions, run)
COMMAND = Command(SelectOptions, run, describe, example="autoseg select --workspace runs/IBSR18", has_details=True)
