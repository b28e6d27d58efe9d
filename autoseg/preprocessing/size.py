"""How large the arrays of a case will be, by its fingerprint alone."""

import math

from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.planning.slicing import stack_of
from autoseg.preprocessing.views import stored_views

_IMAGE_BYTES = 4
_LABEL_BYTES = 1


def voxels_of(case: CaseFingerprint, plan: Plan, view: View) -> int:
    """Voxels of a case as a view shows it, of one channel."""
    stack = stack_of(
        case,
        plane=view.plane,
        spacing_mm=view.spacing_mm,
        crop=plan.preprocessing.crop,
        margin_px=plan.preprocessing.crop_margin_px,
    )
    return math.prod((stack.slices, stack.rows_px, stack.columns_px))


def arrays_bytes(case: CaseFingerprint, plan: Plan) -> int:
    """What the preprocessed arrays of a case take on the disk."""
    voxels = sum(voxels_of(case, plan, view) for view in stored_views(plan.views))
    return voxels * (_IMAGE_BYTES * len(plan.data.channels) + _LABEL_BYTES)
