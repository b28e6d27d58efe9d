"""What keeps a label map that a person corrected from becoming part of a data set."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from autoseg.data.dataset import Case, Dataset
from autoseg.errors import AutosegError, DatasetError, ImageError
from autoseg.events import Events
from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.planning.examination import Examined
from autoseg.planning.plan import Plan
from autoseg.runs.source_checksums import SourceChecksums
from autoseg.runs.workspace import Workspace
from autoseg.wording import counted


@dataclass(frozen=True)
class AdoptionRules:
    """What a case that joins a data set must not be.

    Attributes:
        workspace: of the data set.
        dataset: its cases.
        plan: its plan.
        unlabelled: ids of its cases without a label map, by the checksums of their scans.
        empty: whether label maps without any foreground are taken.
    """

    workspace: Workspace
    dataset: Dataset
    plan: Plan
    unlabelled: Mapping[tuple[str, ...], Sequence[str]]
    empty: bool

    def problems(self, case: Case, found: Examined) -> list[AutosegError]:
        """Everything that keeps it out, beside what is wrong with its files."""
        measured = found.fingerprint
        if measured is None or found.likeness is None or case.label is None:
            return []
        checks = (self._kind(case, measured), self._empty(case, measured), self._copy(case, measured), self._side(case))
        return [problem for problem in checks if problem is not None]

    def _kind(self, case: Case, measured: CaseFingerprint) -> AutosegError | None:
        dimensions, channels = self.workspace.fingerprint().dimensions, len(self.plan.data.channels)
        if (measured.dimensions, len(measured.channels)) == (dimensions, channels):
            return None
        return DatasetError(
            "a scan of another kind than those that were planned",
            where=case.images[0],
            expected=f"{dimensions}D, {counted(channels, 'channel')}",
            found=f"{measured.dimensions}D, {counted(len(measured.channels), 'channel')}",
            remedy="Plan a data set of its own for such scans.",
        )

    def _empty(self, case: Case, measured: CaseFingerprint) -> AutosegError | None:
        names = set(self.plan.data.label_names) - ({self.plan.data.ignore} if self.plan.data.ignore is not None else set())
        voxels = {value: count for value, count in measured.class_voxels.items() if value in names}
        if not sum(voxels.values()):
            return DatasetError(
                "no voxel has a label", where=case.label, remedy="Draw at least a slice of it, or leave the scan out."
            )
        if self.empty or any(count for value, count in voxels.items() if value):
            return None
        return DatasetError(
            "nothing is labelled: every voxel is background",
            where=case.label,
            remedy="Where the scan really shows none of the classes, add --empty; else correct or restore the label map.",
        )

    def _copy(self, case: Case, measured: CaseFingerprint) -> AutosegError | None:
        """The same scan under another name, in the data set."""
        labelled = (other.id for other in self.workspace.fingerprint().cases if self._is_copy(case, measured, other))
        unlabelled = (other for other in self.unlabelled.get(measured.image_sha256, ()) if other != case.id)
        same = next(chain(labelled, unlabelled), None)
        if same is None:
            return None
        return DatasetError(
            f"the same scan as {same}, which is in the data set",
            where=case.images[0],
            found=f"{case.id} and {same}",
            remedy=f"Segment it as {same}, and correct that label map, so that it is not learnt from twice.",
        )

    def _is_copy(self, case: Case, measured: CaseFingerprint, other: CaseFingerprint) -> bool:
        if other.id == case.id:
            return False
        alike = other.voxels_sha256 is not None and other.voxels_sha256 == measured.voxels_sha256
        return alike or other.image_sha256 == measured.image_sha256

    def _side(self, case: Case) -> AutosegError | None:
        """A new training case of a subject whose other scans the data set keeps for validation, or the other way round."""
        others = self.dataset.validation if case.subset == "training" else self.dataset.training
        same = next((other for other in others if other.subject == case.subject and other.id != case.id), None)
        if same is None:
            return None
        return DatasetError(
            f"a scan of the subject of {same.id}, which is on the other side of the data set's own split",
            where=case.id,
            remedy="Leave it out: a model would be validated on a patient it has learnt from.",
        )


def unlabelled_scans(dataset: Dataset, known: SourceChecksums, *, events: Events) -> dict[tuple[str, ...], list[str]]:
    """Ids of the cases without a label map, by the checksums of their scans; those that cannot be read are left out.

    Args:
        dataset: its cases.
        known: checksums of its files.
        events: notified of progress.
    """
    found: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    cases = [case for case in dataset.cases if case.label is None]
    if not cases:
        return {}
    with events.track("looking for copies among scans without a label map", total=len(cases), unit="scans") as progress:
        for case in cases:
            with suppress(ImageError):
                found[tuple(known.of(path) for path in case.images)].append(case.id)
            progress.advance()
    return dict(found)


def same_scans(examined: Sequence[Examined]) -> list[tuple[str, AutosegError]]:
    """Scans among those that are adopted which are one scan."""
    same: defaultdict[str, list[str]] = defaultdict(list)
    for found in examined:
        if found.likeness is not None:
            same[found.likeness.image].append(found.id)
    return [
        (
            ids[-1],
            DatasetError(
                f"the same scan as {', '.join(ids[:-1])}",
                where=ids[-1],
                remedy="Adopt one of them, and leave out the others.",
            ),
        )
        for ids in same.values()
        if len(ids) > 1
    ]
