"""What to do next in a workspace: one command line to paste, and why."""

import shlex
from dataclasses import dataclass
from typing import Final

from autoseg.postprocessing.status import RunStatus, WorkspaceStatus
from autoseg.runs.found import found_workspaces
from autoseg.runs.workspace import Workspace

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
        return NextStep(f"{failed[0].model.title} cannot be read: begin it again", _train(status, failed[0], "--restart"))
    return None


def _training(status: WorkspaceStatus) -> NextStep | None:
    """What is still to be trained, or scored."""
    if (interrupted := _interrupted(status)) is not None:
        return interrupted
    if unscored := [run for run in status.of_stage("done") if run.state is not None and run.state.members.validation]:
        return NextStep(f"{unscored[0].model.title} is trained, and not scored yet", _train(status, unscored[0]))
    further = [run for run in status.runs if run.continuation is not None]
    if running := [*status.of_stage("under way"), *further]:
        return NextStep(f"wait for {', '.join(run.model.title for run in running)}")
    finished = [run for run in status.runs if run.finished]
    if not finished:
        fold = "0" if status.folds and status.folds[0] == "0" else "full"
        return NextStep("train a first network", f"autoseg train --arch {_FIRST} --fold {fold}{_where(status.workspace)}")
    if missing := status.of_stage("missing"):
        network = missing[0].model.architecture
        like = next((run for run in finished if run.model.architecture == network), finished[0])
        folds = ", ".join(run.model.fold for run in missing if run.model.architecture == network)
        return NextStep(f"train {network} on the other folds ({folds})", _train(status, like, fold="all"))
    return None


def _interrupted(status: WorkspaceStatus) -> NextStep | None:
    """What goes on with the same command."""
    if stopped := status.of_stage("interrupted"):
        return NextStep(f"{stopped[0].model.title} was interrupted: the same command goes on", _train(status, stopped[0]))
    if continued := [run for run in status.runs if run.continuation is not None and run.continuation.stage == "interrupted"]:
        why = f"{continued[0].model.title} was interrupted while it was trained further: the same command goes on"
        return NextStep(why, _train(status, continued[0], "--continue"))
    return None


def _catching_up(status: WorkspaceStatus) -> NextStep | None:
    """What has not learnt from all label maps that were adopted."""
    if behind := status.behind:
        why = f"label maps were adopted since {len(behind)} model(s) were trained, such as {behind[0].model.title}"
        return NextStep(why, _train(status, behind[0], "--continue"))
    return None


def _use(status: WorkspaceStatus, *, exported: bool) -> NextStep:
    """What is done with trained networks."""
    where = _where(status.workspace)
    judged = any(run.model.is_numbered for run in status.of_stage("scored"))
    if judged and (not status.selection.models or status.selection.outdated):
        return NextStep(status.selection.outdated or "choose the networks that predict", f"autoseg select{where}")
    if status.report is None or status.report_outdated:
        return NextStep("look at the results", f"autoseg report{where}")
    if not exported:
        name = shlex.quote(f"{status.workspace.root.name}.autoseg")
        return NextStep("pass the model on as one file", f"autoseg export {name}{where}")
    return NextStep("segment new scans", f"autoseg predict SCANS results{where}")


def _train(status: WorkspaceStatus, run: RunStatus, *more: str, fold: str | None = None) -> str:
    """The command that a run goes on with, or others are trained like it."""
    parts = ["autoseg train", f"--arch {run.model.architecture}", f"--fold {fold or run.model.fold}"]
    if run.state is not None:
        config = run.state.config if run.continuation is None else run.continuation.state.choices
        options = {"epochs": config.epochs, "minutes": config.minutes, "threads": config.threads}
        options["seed"] = config.seed or None
        parts += [f"--{name} {value:g}" for name, value in options.items() if value is not None]
        parts += [f"--memory-format {config.memory_format}"] if config.memory_format is not None else []
    return " ".join([*parts, *more]) + _where(status.workspace)


def _where(workspace: Workspace) -> str:
    """How a command is told which workspace; not at all where there is only one."""
    if found_workspaces() == [workspace.root]:
        return ""
    return f" --workspace {shlex.quote(str(workspace.root))}"
