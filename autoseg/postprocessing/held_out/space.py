"""What the probabilities of held-out cases take on the disk: said before a training, and before they are read."""

import math
import shutil
from collections.abc import Sequence
from typing import Final

from autoseg.events import Events
from autoseg.postprocessing.held_out.cases import HeldOutCase
from autoseg.runs.session import Session
from autoseg.runs.targets import Target

_WORTH_SAYING_BYTES: Final = 1e8
"""Less is not worth a line. Source: chosen."""

_LOOKED_AT: Final = 20
"""Cases whose sizes stand for all. Source: chosen."""

_COMPRESSED: Final = 10
"""How many times smaller compressed probabilities usually are (docs/explanation/decisions.md)."""


def tell_needed(session: Session, targets: Sequence[Target], events: Events) -> None:
    """Say what the probabilities of held-out cases will take, and warn where the disk has too little space for them.

    Args:
        session: of the runs.
        targets: whose held-out cases will be predicted.
        events: told.
    """
    needed = sum(_most_bytes(target, session) for target in targets)
    if needed < _WORTH_SAYING_BYTES:
        return
    events.info(
        f"the probabilities of held-out cases will take {needed / 1e9:.1f} GB at most, usually about a tenth of it; select "
        "needs them (--no-keep-probabilities: none are kept)"
    )
    free = shutil.disk_usage(session.workspace.root).free
    if needed / _COMPRESSED > free:
        events.warn(
            f"the disk has {free / 1e9:.1f} GB free, which is probably too little for the probabilities of held-out cases: "
            "free some space, or train with --no-keep-probabilities"
        )


def _most_bytes(target: Target, session: Session) -> int:
    """What the probabilities of a run's held-out cases take uncompressed, by the sizes of a few of them."""
    cases, plan = target.members.validation, session.plan
    if not cases:
        return 0
    looked_at = cases[:: -(-len(cases) // _LOOKED_AT)]
    views = [number for number, plane in enumerate(plan.planes) if target.model.view in {None, plane}]
    footprints = [session.store.footprints(case) for case in looked_at]
    shown = [of_case[view] for of_case in footprints for view in views]
    pixels = sum(footprint.kept[0] * math.prod(footprint.size_px) for footprint in shown)
    return pixels * len(plan.data.classes) * len(cases) // len(looked_at)


def tell_size(cases: Sequence[HeldOutCase], *, models: int, events: Events) -> None:
    """Say how much there is to read.

    Args:
        cases: held-out cases.
        models: by which they were predicted.
        events: told.
    """
    size = sum(path.stat().st_size for case in cases for path in case.sha256 if path.exists())
    if size >= _WORTH_SAYING_BYTES:
        events.info(f"the probabilities of {len(cases)} held-out cases by {models} models take {size / 1e9:.1f} GB")
