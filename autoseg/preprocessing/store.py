"""The preprocessed cases of a workspace: which are there, and making those that are not.

A case lies in a folder of its own, its files named by its key: changed data or settings mean new files for that case, and
equal ones are used as they are. Version 0.1 kept all cases of one key in a folder of that name; such arrays are used too.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final

from autoseg.data.dataset import Case, names_by_value
from autoseg.errors import AutosegError, CasesFailedError, WorkspaceError
from autoseg.events import Events
from autoseg.images.image import on_grid_of, read_image, read_labels
from autoseg.jobs.pool import ordered_map
from autoseg.planning.case_fingerprint import refuse_constant_channels
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import apply
from autoseg.preprocessing.footprint import Footprint, apply_to_labels
from autoseg.preprocessing.keys import DataKeys, data_keys
from autoseg.preprocessing.stored import CaseFiles, StoredCase
from autoseg.storage.locks import lock

_KEY_DIGITS: Final = 16
"""Of a key, in the names of files."""

_POLL_S: Final = 0.1
"""Time between two looks at a case that another process is making."""


@dataclass(frozen=True)
class Store:
    """The preprocessed cases of a workspace under one plan.

    Attributes:
        folder: where they lie.
        keys: what each was made from.
    """

    folder: Path
    keys: DataKeys

    def load(self, case: str) -> StoredCase:
        """Map a case's arrays into memory, after checking them against their checksums.

        Raises:
            WorkspaceError: something is missing, cannot be parsed, or has changed since it was written.
        """
        return self.files_of(case).read()

    def footprint(self, case: str) -> Footprint:
        """The way back onto a case's scan; its arrays are not looked at.

        Raises:
            WorkspaceError: the case is missing, cannot be parsed, or has changed since it was written.
        """
        return self.files_of(case).footprint()

    def holds(self, case: str) -> bool:
        """Whether a case is there, whole."""
        return self.files_of(case).whole

    def files_of(self, case: str) -> CaseFiles:
        """Where a case lies, or will lie."""
        own = CaseFiles(self.folder / case, self.keys.cases[case][:_KEY_DIGITS])
        of_0_1 = CaseFiles(self.folder / self.keys.all_labelled[:_KEY_DIGITS], case)
        return of_0_1 if of_0_1.whole and not own.whole else own


def build_store(
    folder: Path, cases: Sequence[Case], *, plan: Plan, checksums: Mapping[str, str], jobs: int, events: Events
) -> Store:
    """The preprocessed arrays of labelled cases, made where they are missing.

    Several processes may do this at once: each makes what no other is making, and waits for the rest.

    Args:
        folder: gets one sub-folder per case.
        cases: labelled cases.
        plan: says how.
        checksums: `case_checksum` of every case, by id.
        jobs: processes that work side by side, each with one case in memory.
        events: notified of progress.

    Raises:
        CasesFailedError: some cases cannot be read; the others are stored.
        SystemFailureError: the disk is full, or the folder may not be written.
    """
    store = Store(folder, data_keys(plan, checksums))
    missing = [case for case in cases if not store.holds(case.id)]
    if not missing:
        return store
    failures: dict[str, AutosegError] = {}
    with events.track("preprocessing", total=len(missing), unit="cases") as progress:
        for wait in (False, True):
            prepare = partial(_prepare, store=store, plan=plan, wait=wait)
            busy = []
            with ordered_map(prepare, missing, jobs=jobs) as outcomes:
                for case, outcome in zip(missing, outcomes, strict=True):
                    if isinstance(outcome, AutosegError):
                        failures[case.id] = outcome
                    if outcome is _Outcome.BUSY:
                        busy.append(case)
                    else:
                        progress.advance()
            missing = busy
    if failures:
        failed = [(case.id, failures[case.id]) for case in cases if case.id in failures]
        raise CasesFailedError(failed, done=len(cases) - len(failed))
    return store


class _Outcome(Enum):
    STORED = "stored"
    BUSY = "busy"
    """Another process is making the case."""


def _prepare(case: Case, *, store: Store, plan: Plan, wait: bool) -> _Outcome | AutosegError:
    """Preprocess and store one case; why it cannot be read is returned, so that the other cases go on."""
    place = store.files_of(case.id)
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock(place.folder / ".lock"))
                break
            except WorkspaceError:
                if not wait:
                    return _Outcome.BUSY
                time.sleep(_POLL_S)
        return _Outcome.STORED if place.whole else _make(case, place, plan)


def _make(case: Case, place: CaseFiles, plan: Plan) -> _Outcome | AutosegError:
    if case.label is None:
        msg = f"case {case.id} has no label"
        raise ValueError(msg)
    values = names_by_value(plan.data.classes)
    try:
        image = read_image(case.images, channels=len(plan.data.channels), not_finite=plan.preprocessing.not_finite)
        labels = on_grid_of(read_labels(case.label, values=values), image.geometry, where=case.label, other=case.images[0])
        refuse_constant_channels(case, image)
        prepared = apply(image, plan.preprocessing, view=plan.view)
    except AutosegError as error:
        return error
    indices = apply_to_labels(plan.data.encoding.targets(labels.array), prepared.footprint)
    place.write(prepared.array, indices, prepared.footprint)  # a full disk concerns every case: it ends the work
    return _Outcome.STORED
