"""`autoseg preprocess`: make the arrays that training reads."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoseg.events import Events
from autoseg.jobs.work import ExecutorName
from autoseg.options.command import Command, Output
from autoseg.options.declaration import Jobs, OptionalPath, Options, option
from autoseg.options.shared import DATA, EXECUTOR, JOBS, SCHEDULER, SLURM_SETTINGS, VERIFY, WORKSPACE
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.data.dataset import Case
    from autoseg.preprocessing.store import Store
    from autoseg.runs.workspace import Workspace


class PreprocessOptions(Options):
    """Make the arrays that training reads; `train` does this by itself where needed."""

    workspace: OptionalPath = option(WORKSPACE, default=None)
    data: OptionalPath = option(DATA, default=None)
    jobs: Jobs = option(JOBS, default=1)
    verify: bool = option(VERIFY, default=False)
    executor: ExecutorName = option(EXECUTOR, default="local")
    scheduler: str | None = option(SCHEDULER, default=None)
    slurm_settings: OptionalPath = option(SLURM_SETTINGS, default=None)


@dataclass(frozen=True)
class PreprocessResult:
    """What preprocessing made."""

    workspace: "Workspace"
    store: "Store"
    cases: "tuple[Case, ...]"


def run(options: PreprocessOptions, events: Events) -> PreprocessResult:
    """Preprocess every labelled case of a workspace, or find that this was done."""
    from autoseg.runs.found import workspace_folder

    folder = workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

    from autoseg.jobs.executors import check_choices, open_executor
    from autoseg.runs.folder_changes import warn_of_additions
    from autoseg.runs.moved_data import with_data_in
    from autoseg.runs.preprocessing import preprocess
    from autoseg.runs.workspace import Workspace

    check_choices(options)  # before scans are compared with those that were planned
    workspace = with_data_in(Workspace(folder, verify=options.verify), options.data, events)
    warn_of_additions(workspace, events)
    cases = workspace.dataset().labelled
    with open_executor(options, folder=workspace.root, events=events) as jobs:
        store = preprocess(workspace, workspace.plan(), cases, jobs=jobs, events=events)
    return PreprocessResult(workspace, store, cases)


def describe(result: PreprocessResult) -> Output:
    """Where the arrays are."""
    number = len(result.cases)
    text = f"{counted(number, 'case')} {'is' if number == 1 else 'are'} preprocessed in {result.store.folder}"
    return Output(text, {"folder": str(result.store.folder), "cases": [case.id for case in result.cases]})


COMMAND = Command(PreprocessOptions, run, describe, example="autoseg preprocess --workspace runs/IBSR18")
