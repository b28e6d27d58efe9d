"""What to do next in a workspace: one command line to paste, and why."""

import shlex
from dataclasses import dataclass
from typing import Final

from autoseg.jobs.machine import processor_precision
from autoseg.model.identity import folders_inside
from autoseg.postprocessing.run_status import RunStatus
from autoseg.postprocessing.status import WorkspaceStatus
from autoseg.runs.found import found_workspaces
from autoseg.runs.workspace import Workspace
from autoseg.training.fold_members import lost_cases, remedy_of_other_cases
from autoseg.wording import counted

_FIRST: Final = "unet"
"""The network that is trained first. Source: chosen; the default of `train`."""


@dataclass(frozen=True)
class NextStep:
    """What to do next.

    Attributes:
        why: in a few words.
        command: to paste; empty: nothing can be done but what `why` says.
    """

    why: str
    command: str = ""


def next_step(status: WorkspaceStatus, *, exported: bool) -> NextStep:
    """The first step that is not done.

    Args:
        status: of the workspace.
        exported: whether an exported model was found that predicts as the workspace does.
    """
    return _repairs(status) or _training(status) or _catching_up(status) or _use(status, exported=exported)


def _repairs(status: WorkspaceStatus) -> NextStep | None:
    """What keeps everything else from working."""
    if status.plan is None:
        return NextStep("correct the named file, or plan again with --force")
    if failed := status.of_stage("failed"):
        title, remedy = failed[0].model.title, failed[0].remedy
        if remedy:
            return NextStep(f"{title} cannot be read. {remedy}")
        return _begin_again(status, failed[0], f"{title} cannot be read: begin it again")
    return None


def _training(status: WorkspaceStatus) -> NextStep | None:
    """What is still to be trained, or scored."""
    if (step := _on_other_cases(status) or _interrupted(status)) is not None:
        return step
    if unscored := [run for run in status.of_stage("done") if run.state is not None and run.state.members.validation]:
        return _train(status, unscored[0], f"{unscored[0].model.title} is trained, and not scored yet")
    further = [run for run in status.runs if run.continuation is not None]
    if running := [*status.of_stage("under way"), *further]:
        return NextStep(f"wait for {', '.join(run.model.title for run in running)}")
    if not any(run.finished for run in status.runs):
        return _first(status)
    return _missing(status) or _of_another_plan(status)


def _on_other_cases(status: WorkspaceStatus) -> NextStep | None:
    """A run that does not go on with the same command, or that is not judged, as its fold has other cases now."""
    for run in status.runs:
        further = run.continuation
        if further is not None and further.stage != "interrupted":
            continue
        if run.of_other_cases:
            return _with_cases_of_now(status, run)
        if further is not None and further.state.members != run.fold_now:
            return _with_cases_of_now(status, run)
    return None


def _with_cases_of_now(status: WorkspaceStatus, run: RunStatus) -> NextStep:
    """How a run gets the cases that its fold has now: it is trained further where that is allowed, or begins again."""
    if run.state is None or run.fold_now is None:
        msg = f"{run.model.title} has no cases to compare"
        raise ValueError(msg)
    before, now = run.state.members, run.fold_now
    labelled = [case.id for case in status.workspace.stored_dataset().labelled]
    remedy = remedy_of_other_cases(before, now, labelled=labelled, finished=run.finished)
    why = f"the fold of {run.model.title} has other cases now. {remedy.removesuffix('.')}"
    if not run.finished or lost_cases(before, now):
        return _begin_again(status, run, why)
    outdated = run.continuation is not None and run.continuation.state.members != now
    return _train(status, run, why, "--continue", *(["--restart"] if outdated else []))


def _first(status: WorkspaceStatus) -> NextStep:
    """What is trained first under the plan: where there are runs of another one, the first of these."""
    if earlier := _in_the_way(status):
        return _begin_again(status, earlier[0], _replanned(earlier[0]))
    fold = "0" if status.folds and status.folds[0] == "0" else "full"
    return NextStep("train a first network", f"autoseg train --arch {_FIRST} --fold {fold}{_with_data(status)}")


def _missing(status: WorkspaceStatus) -> NextStep | None:
    """The other folds of a network that was begun: in one command, unless one of its runs would be refused by that."""
    missing = status.of_stage("missing")
    if not missing:
        return None
    first = missing[0]
    folds = list(dict.fromkeys(run.model.fold for run in missing if _is_beside(run, first)))
    begun = [run for run in status.runs if _is_beside(run, first) and run.stage != "missing" and run.model.is_numbered]
    current = all(run.finished for run in begun) and not {run.model for run in begun} & {run.model for run in status.behind}
    together = current and all(fold.isdigit() for fold in folds) and len({_choices(run) for run in begun}) == 1
    seed = "" if first.model.seed is None else f", seed {first.seed},"
    why = f"train {first.model.architecture}{seed} on the other folds ({', '.join(folds)})"
    return _train(status, first, why, fold="all" if together else folds[0])


def _of_another_plan(status: WorkspaceStatus) -> NextStep | None:
    """A fold that a network was trained on under another plan, where it was trained on others under this one."""
    for run in _in_the_way(status):
        if run.model.is_numbered and any(_is_beside(run, other) for other in status.runs if other.finished):
            return _begin_again(status, run, _replanned(run))
    return None


def _in_the_way(status: WorkspaceStatus) -> list[RunStatus]:
    """Runs of another plan in whose place others would be trained under this one."""
    views = () if status.plan is None else status.plan.network_views
    folds = {*status.folds, "full"}
    return [run for run in status.of_stage("of another plan") if run.model.fold in folds and run.model.view in views]


def _replanned(run: RunStatus) -> str:
    return (
        f"{run.model.title} was trained under another plan: begin it again, which discards what is there, or bring back the "
        "plan.json of then"
    )


def _is_beside(run: RunStatus, other: RunStatus) -> bool:
    """Whether two runs are of one network and one seed."""
    return (run.model.architecture, run.seed) == (other.model.architecture, other.seed)


def _choices(run: RunStatus) -> str:
    """What was chosen for a run that is the same on all folds."""
    if run.state is None:
        return ""
    own = {"fold", "view", "started_from", "named_by_seed"}
    return f"{run.state.config.model_dump(exclude=own)} {run.state.config.started_from is None}"


def _interrupted(status: WorkspaceStatus) -> NextStep | None:
    """What goes on with the same command."""
    if stopped := status.of_stage("interrupted"):
        return _train(status, stopped[0], _stopped(stopped[0]))
    if continued := [run for run in status.runs if run.continuation is not None and run.continuation.stage == "interrupted"]:
        why = f"{continued[0].model.title} was interrupted while it was trained further: the same command goes on"
        return _train(status, continued[0], why, "--continue")
    return None


def _stopped(run: RunStatus) -> str:
    """What is left of an interrupted run."""
    if run.state is not None:
        return f"{run.model.title} was interrupted: the same command goes on"
    if run.weights_sha256 is not None:
        return f"{run.model.title} is a model without a checkpoint: training begins again, and replaces it"
    return f"{run.model.title} was interrupted in its first epoch: it begins again"


def _catching_up(status: WorkspaceStatus) -> NextStep | None:
    """What has not learnt from all label maps that were adopted."""
    if behind := status.behind:
        first = behind[0]
        if first.state is not None and first.fold_now is not None and lost_cases(first.state.members, first.fold_now):
            return _with_cases_of_now(status, first)
        why = (
            f"label maps were adopted after the training of {counted(len(behind), 'model')}, such as {behind[0].model.title}"
        )
        return _train(status, behind[0], why, "--continue")
    return None


def _use(status: WorkspaceStatus, *, exported: bool) -> NextStep:
    """What is done with trained networks."""
    where = _where(status.workspace)
    judged = any(run.model.is_numbered for run in status.of_stage("scored"))
    if judged and (not status.selection.models or status.selection.outdated):
        return NextStep(
            status.selection.outdated or "choose the networks that predict", f"autoseg select{_with_data(status)}"
        )
    if status.report is None or status.report_outdated:
        return NextStep("look at the results", f"autoseg report{_with_data(status)}")
    if not exported:
        name = shlex.quote(f"{status.workspace.root.name}.autoseg")
        return NextStep("pass the model on as one file", f"autoseg export {name}{where}")
    return NextStep("segment new scans", f"autoseg predict SCANS results{where}")


def _begin_again(status: WorkspaceStatus, run: RunStatus, why: str) -> NextStep:
    """How the place of a run becomes free: --restart discards the networks of all views of a fold and seed."""
    others = [
        other
        for other in status.runs
        if _is_beside(run, other) and other.model.fold == run.model.fold and other.model.view != run.model.view
    ]
    if run.model.view is None or all(
        other.stage in {"missing", "of another plan"} or other.of_other_cases for other in (run, *others)
    ):
        return _train(status, run, why, "--restart")
    folder = status.workspace.model(run.model)
    inside = [path.name for path in sorted(folders_inside(folder))]
    but = f", except for {', '.join(inside)}" if inside else ""
    return NextStep(
        f"{why}. As --restart discards the networks of its other views, too, move what is in {folder} elsewhere{but}"
    )


def _train(status: WorkspaceStatus, run: RunStatus, why: str, *more: str, fold: str | None = None) -> NextStep:
    """The command that a run goes on with, or is trained by as others of its network were."""
    parts = ["autoseg train", f"--arch {run.model.architecture}", f"--fold {fold or run.model.fold}", *more]
    like = _like(status, run)
    state = like.state if like is not None else None
    chosen: dict[str, float | str | None] = {}
    if like is not None and state is not None:
        config = state.config if like.continuation is None else like.continuation.state.choices
        chosen = {name: getattr(config, name) for name in ("epochs", "minutes", "threads", "memory_format", "precision")}
        chosen["precision"] = None if config.precision == processor_precision() else config.precision
    chosen["seed"] = run.seed or None
    parts += [f"--{name.replace('_', '-')} {_written(value)}" for name, value in chosen.items() if value is not None]
    if state is not None and state.origin is not None and "--continue" not in more:
        parts.append("--init MODEL")
        why = f"{why}. MODEL is the file or folder of the model that it started from: {state.origin.in_words}"
    return NextStep(why, " ".join(parts) + _with_data(status))


def _like(status: WorkspaceStatus, run: RunStatus) -> RunStatus | None:
    """The run whose choices are those of a run: itself, or the most similar of its network; None where there is none."""
    if run.state is not None:
        return run
    known = [
        other for other in status.runs if other.state is not None and other.model.architecture == run.model.architecture
    ]
    return max(
        known, key=lambda other: (other.seed == run.seed, other.model.view == run.model.view, other.finished), default=None
    )


def _written(value: float | str) -> str:
    """A value as an option takes it back; numbers whole, or with all their digits."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _with_data(status: WorkspaceStatus) -> str:
    """How a command that needs the data set is told where that is, as far as it cannot be found, and which workspace."""
    moved = status.changes is not None and not status.changes.there
    return f"{' --data DIR' if moved else ''}{_where(status.workspace)}"


def _where(workspace: Workspace) -> str:
    """How a command is told which workspace; not at all where there is only one."""
    if found_workspaces() == [workspace.root]:
        return ""
    return f" --workspace {shlex.quote(str(workspace.root))}"
