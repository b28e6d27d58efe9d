"""`autoseg preprocess`: make the arrays that training reads."""

from dataclasses import dataclass
from pathlib import Path

from autoseg.commands.choices import Choices, Processes
from autoseg.data.dataset import Case
from autoseg.events import Events
from autoseg.preprocessing.store import Store
from autoseg.runs.preprocessing import preprocess
from autoseg.runs.workspace import Workspace, find_workspace


class PreprocessConfig(Choices):
    """What the user chose for preprocessing.

    Attributes:
        workspace: the workspace; None: the only one under `runs/`.
        jobs: processes that read scans.
    """

    workspace: Path | None = None
    jobs: Processes = 1


@dataclass(frozen=True)
class PreprocessResult:
    """What preprocessing made."""

    workspace: Workspace
    store: Store
    cases: tuple[Case, ...]


def run(config: PreprocessConfig, events: Events) -> PreprocessResult:
    """Preprocess every labelled case of a workspace, or find that this was done."""
    workspace = find_workspace(config.workspace)
    cases = workspace.dataset().labelled
    store = preprocess(workspace, workspace.plan(), cases, jobs=config.jobs, events=events)
    return PreprocessResult(workspace, store, cases)
