"""Digests of the scans that runs learn from and are judged on: what a model remembers of them, and no name."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from autoseg.data.dataset import Case
from autoseg.errors import AutosegError
from autoseg.images.image import read_image
from autoseg.model.description import ScanDigests
from autoseg.planning.duplicates import likeness_of
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys, case_key
from autoseg.runs.moved_data import planned_checksums
from autoseg.runs.workspace import Workspace


def scan_digests(workspace: Workspace, plan: Plan, cases: Sequence[Case], *, keys: DataKeys) -> dict[str, str | None]:
    """`voxel_digest` of the scan of each case, by id: the same for copies of a scan, whatever its label map is.

    Planning has computed it. Only scans of cases that have changed since are read, those of corrected label maps among them.

    Args:
        workspace: whose fingerprint is asked.
        plan: of the runs.
        cases: labelled cases.
        keys: of the arrays that were made from them.

    Returns:
        None for a case that cannot be read, and for one that version 0.1 planned and nobody has since.
    """
    fingerprint = workspace.fingerprint()
    planned, known = planned_checksums(fingerprint), {case.id: case.voxels_sha256 for case in fingerprint.cases}
    return {
        case.id: known[case.id]
        if case.id in planned and keys.cases.get(case.id) == case_key(plan, planned[case.id])
        else _digest(case, plan)
        for case in cases
    }


def _digest(case: Case, plan: Plan) -> str | None:
    with suppress(AutosegError):
        channels, not_finite = len(plan.data.channels), plan.preprocessing.not_finite
        return likeness_of(read_image(case.images, channels=channels, not_finite=not_finite, as_found=True), None).image
    return None


def recorded(digests: Mapping[str, str | None]) -> ScanDigests | None:
    """What a model records of its training scans; None where one of them is not known."""
    known = {digest for digest in digests.values() if digest is not None}
    return None if None in digests.values() else tuple(sorted(known))
