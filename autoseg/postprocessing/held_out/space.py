"""What the probabilities of held-out cases take on the disk: said before a training, and before they are read."""

import math
from collections.abc import Sequence
from typing import Final

from autoseg.events import Events
from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.postprocessing.held_out.cases import HeldOutCase
from autoseg.preprocessing.size import voxels_of
from autoseg.runs.session import Session
from autoseg.runs.targets import Target

WORTH_SAYING_BYTES: Final = 1e8
"""Less is not worth a line. Source: chosen."""

_LOOKED_AT: Final = 20
"""Cases whose sizes stand for all. Source: chosen."""

COMPRESSED: Final = 10
"""How many times smaller compressed probabilities usually are (docs/explanation/decisions.md)."""


def most_bytes(target: Target, session: Session) -> int:
    """What the probabilities of a run's held-out cases take uncompressed, by the sizes of a few of them.

    Args:
        target: the run.
        session: whose preprocessed arrays say how large a case is; of those that are missing the fingerprint does.
    """
    cases, plan = target.members.validation, session.plan
    if not cases or not session.choices.keep_probabilities:
        return 0
    looked_at = cases[:: -(-len(cases) // _LOOKED_AT)]
    fingerprints = {case.id: case for case in session.workspace.fingerprint().cases}
    voxels = sum(_voxels(case, target, session, fingerprints.get(case)) for case in looked_at)
    return voxels * len(plan.data.classes) * len(cases) // len(looked_at)


def _voxels(case: str, target: Target, session: Session, fingerprint: CaseFingerprint | None) -> int:
    """Voxels of a case in all views that the model of a run sees."""
    seen = [number for number, view in enumerate(session.plan.views) if target.model.view in {None, view.plane}]
    if session.store.holds(case):
        footprints = session.store.footprints(case)
        return sum(footprints[view].kept[0] * math.prod(footprints[view].size_px) for view in seen)
    if fingerprint is None:
        return 0
    return sum(voxels_of(fingerprint, session.plan, session.plan.views[view]) for view in seen)


def tell_size(cases: Sequence[HeldOutCase], *, models: int, events: Events) -> None:
    """Say how much there is to read.

    Args:
        cases: held-out cases.
        models: by which they were predicted.
        events: told.
    """
    size = sum(path.stat().st_size for case in cases for path in case.sha256 if path.exists())
    if size >= WORTH_SAYING_BYTES:
        events.info(f"the probabilities of {len(cases)} held-out cases by {models} models take {size / 1e9:.1f} GB")
