"""`autoseg preprocess`: make the arrays that training reads."""

from dataclasses import dataclass
from pathlib import Path

from autoseg.data.dataset import Case
from autoseg.events import Events
from autoseg.planning.plan import Plan
from autoseg.preprocessing.store import Store, build_store
from autoseg.workspace import Workspace, find_workspace


@dataclass(frozen=True)
class PreprocessConfig:
    """What the user chose for preprocessing.

    Attributes:
        workspace: the workspace; None: the only one under `runs/`.
        jobs: processes that read scans.
    """

    workspace: Path | None = None
    jobs: int = 1


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


def preprocess(workspace: Workspace, plan: Plan, cases: tuple[Case, ...], *, jobs: int, events: Events) -> Store:
    """The arrays of all labelled cases, made where missing."""
    return build_store(workspace.preprocessed, cases, plan=plan, jobs=jobs, events=events)
