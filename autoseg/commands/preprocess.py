"""`autoseg preprocess`: make the arrays that training reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoseg.commands.choices import Choices, Processes
from autoseg.data.dataset import Case
from autoseg.events import Events
from autoseg.planning.plan import Plan
from autoseg.preprocessing.store import Store, build_store, case_checksum
from autoseg.runs.workspace import Workspace, find_workspace
from autoseg.storage import files


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


def preprocess(workspace: Workspace, plan: Plan, cases: tuple[Case, ...], *, jobs: int, events: Events) -> Store:
    """The arrays of all labelled cases, made where missing."""
    checksums = {case.id: case_checksum(case) for case in cases}
    _warn_of_changed_data(workspace, checksums, events)
    return build_store(workspace.preprocessed, cases, plan=plan, checksums=checksums, jobs=jobs, events=events)


def _warn_of_changed_data(workspace: Workspace, checksums: Mapping[str, str], events: Events) -> None:
    """Say which cases are no longer those that the plan was made from."""
    planned = {case.id: files.sha256_json([*case.image_sha256, case.label_sha256]) for case in workspace.fingerprint().cases}
    changed = [case for case, checksum in checksums.items() if planned.get(case) != checksum]
    if changed:
        events.warn(
            f"changed since the plan was made: {', '.join(changed)}. "
            "`autoseg plan` looks at the data again and may decide otherwise."
        )
