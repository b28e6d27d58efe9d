"""The preprocessed arrays of a workspace, made where they are missing."""

from collections.abc import Mapping, Sequence

from autoseg.data.dataset import Case
from autoseg.events import Events
from autoseg.jobs.work import Jobs
from autoseg.planning.plan import Plan
from autoseg.preprocessing.store import Store, fill_store, store_of
from autoseg.runs.moved_data import checksums_of, planned_checksums
from autoseg.runs.workspace import Workspace
from autoseg.wording import some


def preprocess(workspace: Workspace, plan: Plan, cases: tuple[Case, ...], *, jobs: Jobs, events: Events) -> Store:
    """The arrays of all labelled cases, made where missing; scans are asked for only where theirs are."""
    store = find_arrays(workspace, plan, cases, events=events)
    fill_store(store, cases, plan=plan, jobs=jobs, events=events)
    return store


def find_arrays(workspace: Workspace, plan: Plan, cases: Sequence[Case], *, events: Events, remember: bool = True) -> Store:
    """The arrays of labelled cases, whether they are there or not.

    Args:
        workspace: where they lie.
        plan: says how they are made.
        cases: labelled cases.
        events: told of cases that have changed, and of those whose scans are gone.
        remember: whether the workspace remembers the checksums of their files.

    Raises:
        DatasetError: a case's files and its arrays are not there.
    """
    checksums = checksums_of(workspace, plan, cases, events, remember=remember)
    _warn_of_changed_data(workspace, checksums, events)
    return store_of(workspace.preprocessed, plan=plan, checksums=checksums)


def _warn_of_changed_data(workspace: Workspace, checksums: Mapping[str, str], events: Events) -> None:
    """Say which cases are no longer those that the plan was made from."""
    planned = planned_checksums(workspace.fingerprint())
    changed = [case for case, checksum in checksums.items() if planned.get(case) != checksum]
    if changed:
        events.warn(
            f"changed since the plan was made: {some(changed)}. "
            "`autoseg plan` looks at the data again and may decide otherwise."
        )
