"""The preprocessed arrays of a workspace, made where they are missing."""

from collections.abc import Mapping

from autoseg.data.dataset import Case
from autoseg.events import Events
from autoseg.jobs.work import Jobs
from autoseg.planning.plan import Plan
from autoseg.preprocessing.store import Store, build_store
from autoseg.runs.moved_data import checksums_of, listing, planned_checksums
from autoseg.runs.workspace import Workspace


def preprocess(workspace: Workspace, plan: Plan, cases: tuple[Case, ...], *, jobs: Jobs, events: Events) -> Store:
    """The arrays of all labelled cases, made where missing; scans are asked for only where theirs are."""
    checksums = checksums_of(workspace, plan, cases, events)
    _warn_of_changed_data(workspace, checksums, events)
    return build_store(workspace.preprocessed, cases, plan=plan, checksums=checksums, jobs=jobs, events=events)


def _warn_of_changed_data(workspace: Workspace, checksums: Mapping[str, str], events: Events) -> None:
    """Say which cases are no longer those that the plan was made from."""
    planned = planned_checksums(workspace.fingerprint())
    changed = [case for case, checksum in checksums.items() if planned.get(case) != checksum]
    if changed:
        events.warn(
            f"changed since the plan was made: {listing(changed)}. "
            "`autoseg plan` looks at the data again and may decide otherwise."
        )
