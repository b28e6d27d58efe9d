"""The preprocessed cases of a workspace: which are there, and making those that are not.

A case lies in a folder of its own, its files named by its key: changed data or settings mean new files for that case, and
equal ones are used as they are. Version 0.1 kept all cases of one key in a folder of that name; such arrays are used too.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final

from autoseg.data.dataset import Case
from autoseg.errors import AutosegError, CasesFailedError, DatasetError, WorkspaceError
from autoseg.events import Events
from autoseg.images.image import on_grid_of, read_image, read_labels
from autoseg.jobs.pool import given_up, ordered_map
from autoseg.jobs.work import Jobs
from autoseg.planning.case_fingerprint import refuse_constant_channels
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import apply
from autoseg.preprocessing.footprint import Footprint, apply_to_labels
from autoseg.preprocessing.keys import DataKeys, case_checksum, data_keys, volume_keys
from autoseg.preprocessing.mapped import OpenArrays
from autoseg.preprocessing.stored import CaseFiles, StoredCase
from autoseg.preprocessing.views import Cut, cuts, stored_views, turned
from autoseg.storage.locks import lock

_KEY_DIGITS: Final = 16
"""Of a key, in the names of files."""


@dataclass(frozen=True)
class Store:
    """The preprocessed cases of a workspace under one plan.

    Attributes:
        folder: where they lie.
        keys: what each was made from.
        checksums: by case, `case_checksum` of its files.
        volumes: by case, the key of each of its volumes.
        cuts: for each view of the plan, number of the volume that it is cut from, and along which axes.
        arrays: where they are mapped.
    """

    folder: Path
    keys: DataKeys
    checksums: Mapping[str, str]
    volumes: Mapping[str, tuple[str, ...]]
    cuts: tuple[Cut, ...]
    arrays: OpenArrays = field(default_factory=OpenArrays, compare=False)

    def load(self, case: str) -> StoredCase:
        """A case, whose arrays are mapped when they are read, and verified when they are first read.

        Raises:
            WorkspaceError: its document is missing, cannot be parsed, or has changed since it was written.
        """
        volumes = [place.read(self.arrays) for place in self.files_of(case)]
        return StoredCase(tuple(volumes[number].turned(order) for number, order in self.cuts))

    def footprints(self, case: str) -> tuple[Footprint, ...]:
        """For each view the way back onto a case's scan; its arrays are not looked at.

        Raises:
            WorkspaceError: the case is missing, cannot be parsed, or has changed since it was written.
        """
        volumes = [place.footprint() for place in self.files_of(case)]
        return tuple(turned(volumes[number], order) for number, order in self.cuts)

    def holds(self, case: str) -> bool:
        """Whether a case is there, whole."""
        return all(place.whole for place in self.files_of(case))

    def require_same_files(self, case: Case) -> None:
        """Require a case's files to be those that its arrays are of; asked after reading them, which may be hours later.

        Raises:
            DatasetError: they are others.
        """
        if case_checksum(case) != self.checksums[case.id]:
            raise DatasetError(
                f"files of {case.id} were replaced, or cannot be read any more, while the command ran",
                where=case.images[0] if case.label is None else case.label,
                remedy="Bring them back as they were, or run the same command again: it says what has to be made of the new "
                "files. Where it says this again, the file system hides the change: add --verify once.",
            )

    def missing(self, cases: Sequence[Case]) -> list[Case]:
        """Those of some cases that are not there."""
        return [case for case in cases if not self.holds(case.id)]

    def files_of(self, case: str) -> tuple[CaseFiles, ...]:
        """Where each volume of a case lies, or will lie."""
        places = [CaseFiles(self.folder / case, key[:_KEY_DIGITS]) for key in self.volumes[case]]
        if len(places) == 1:
            of_0_1 = CaseFiles(self.folder / self.keys.all_labelled[:_KEY_DIGITS], case)
            places = [of_0_1] if of_0_1.whole and not places[0].whole else places
        return tuple(places)


def store_of(folder: Path, *, plan: Plan, checksums: Mapping[str, str]) -> Store:
    """The preprocessed arrays of labelled cases, whether they are there or not.

    Args:
        folder: has one sub-folder per case.
        plan: says how they are made.
        checksums: `case_checksum` of every case, by id.
    """
    volumes = {case: volume_keys(plan, checksum) for case, checksum in checksums.items()}
    return Store(folder, data_keys(plan, checksums), checksums, volumes, cuts(plan.views))


def fill_store(store: Store, cases: Sequence[Case], *, plan: Plan, jobs: Jobs, events: Events) -> int:
    """Make the arrays of labelled cases that are missing.

    Several processes may do this at once: each makes what no other is making, and waits for the rest.

    Args:
        store: the arrays of these cases, and perhaps of others.
        cases: labelled cases.
        plan: says how; that of the store.
        jobs: processes that work side by side, each with one case in memory, or an executor.
        events: notified of progress.

    Returns:
        of how many cases arrays were missing.

    Raises:
        CasesFailedError: some cases cannot be read; the others are stored.
        SystemFailureError: the disk is full, or the folder may not be written.
    """
    missing = store.missing(cases)
    if not missing:
        return 0
    count = len(missing)
    failures: dict[str, AutosegError] = {}
    with events.track("preprocessing", total=count, unit="cases") as progress:
        for wait in (False, True):
            prepare = partial(_prepare, store=store, plan=plan, wait=wait)
            busy = []
            with ordered_map(prepare, missing, jobs=jobs, on_death=given_up) as outcomes:
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
    return count


class _Outcome(Enum):
    STORED = "stored"
    BUSY = "busy"
    """Another process is making the case."""


def _prepare(case: Case, *, store: Store, plan: Plan, wait: bool) -> _Outcome | AutosegError:
    """Preprocess and store one case; why it cannot be read is returned, so that the other cases go on."""
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(store.files_of(case.id)[0].folder / ".lock", wait_s=math.inf if wait else 0.0))
        except WorkspaceError:
            return _Outcome.BUSY
        return _Outcome.STORED if store.holds(case.id) else _make(case, store, plan)


def _make(case: Case, store: Store, plan: Plan) -> _Outcome | AutosegError:
    if case.label is None:
        msg = f"case {case.id} has no label"
        raise ValueError(msg)
    values = plan.data.label_names
    try:
        image = read_image(case.images, channels=len(plan.data.channels), not_finite=plan.preprocessing.not_finite)
        labels = on_grid_of(read_labels(case.label, values=values), image.geometry, where=case.label, other=case.images[0])
        store.require_same_files(case)
        refuse_constant_channels(case, image)
        prepared = [
            (place, apply(image, plan.preprocessing, view=view))
            for place, view in zip(store.files_of(case.id), stored_views(plan.views), strict=True)
            if not place.whole
        ]
    except AutosegError as error:
        return error
    targets = plan.data.encoding.targets(labels.array)
    for place, volume in prepared:  # a full disk concerns every case: it ends the work
        place.write(volume.array, apply_to_labels(targets, volume.footprint), volume.footprint)
    return _Outcome.STORED
