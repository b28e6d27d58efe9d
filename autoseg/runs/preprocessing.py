"""The preprocessed arrays of a workspace, made where they are missing."""

from collections.abc import Mapping

from autoseg.data.dataset import Case
from autoseg.events import Events
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import case_checksum
from autoseg.preprocessing.store import Store, build_store
from autoseg.runs.workspace import Workspace
from autoseg.storage import files


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
