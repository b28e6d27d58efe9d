"""The scans that label maps in a folder of results belong to: where they lie, whose they are, what the data set calls them.

A new case is of the subject that is stated, that BIDS names, or, where the layout has a folder per subject, of the known one
whose folder it lies in; else of one of its own.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autoseg.data.bids import subject_named
from autoseg.data.dataset import Case, Dataset
from autoseg.data.naming import normalised, printable
from autoseg.errors import DatasetError, ImageError, UsageError
from autoseg.formats.checksum import image_checksum
from autoseg.inference.review import ReviewedScan
from autoseg.inference.scans import Scan, find_scans
from autoseg.layouts import layout_of
from autoseg.planning.plan import Plan
from autoseg.runs.source_checksums import SourceChecksums
from autoseg.storage import files
from autoseg.wording import some


def scans_in(place: Path | None, plan: Plan, folder: Path) -> dict[str, Scan] | None:
    """The scans of a place by id; None where none is named.

    Raises:
        UsageError: there is no such place, or it holds no scans.
    """
    if place is None:
        return None
    channels = plan.data.channels
    return {scan.id: scan for scan in find_scans(place, channels=len(channels), names=channels, results=folder).scans}


def stated_subjects(pairs: Iterable[str]) -> dict[str, str]:
    """Whose scans new cases are, by case.

    Args:
        pairs: each `CASE=SUBJECT`.

    Raises:
        UsageError: one is no such pair, or a case has two.

    Example:
        >>> stated_subjects(["day3=p1"])
        {'day3': 'p1'}
    """
    stated: dict[str, str] = {}
    for pair in pairs:
        case, _, subject = (normalised(part.strip()) for part in pair.partition("="))
        if not (case and subject) or printable(pair) != pair:
            raise UsageError(
                "is no case with its subject",
                where=f"--subject {printable(pair)}",
                expected="CASE=SUBJECT",
                remedy="Name both, as in --subject day3=p1.",
            )
        if stated.setdefault(case, subject) != subject:
            raise UsageError(f"{case} has two subjects", where=f"--subject {pair}", remedy="Give one of them.")
    return stated


@dataclass(frozen=True)
class ScanFinder:
    """Finds the scan that a label map belongs to, what the data set calls it, and whose it is.

    Attributes:
        dataset: that the case is to join.
        plan: its plan.
        given: scans by id, where a person named their folder; None: the table of predictions says where each lies.
        known: checksums of files.
        stated: subjects of new cases, where a person named them.
    """

    dataset: Dataset
    plan: Plan
    given: Mapping[str, Scan] | None
    known: SourceChecksums
    stated: Mapping[str, str]

    def case_of(self, scan: ReviewedScan) -> Case:
        """The case that a label map makes of its scan.

        Raises:
            DatasetError: the label map or its scan is not there, is another one, or cannot be told.
        """
        if scan.row is None or scan.label_map is None:
            raise DatasetError(
                "there is no label map",
                where=scan.case,
                found=scan.reasons[0],
                remedy="Predict the scan again, or leave it out.",
            )
        if len(scan.corrections) > 1:
            raise DatasetError(
                "several label maps were changed or put there, and only one can be right",
                where=scan.corrections[0].parent,
                found=", ".join(path.name for path in scan.corrections),
                remedy="Remove all but the one that counts.",
            )
        before = self._cases.get(scan.case)
        images = self._images(scan, scan.row.input_sha256) if before is None else before.images
        if before is not None and self._digest(images) != scan.row.input_sha256:
            raise DatasetError(
                "the data set has another scan of this name, or has changed since",
                where=before.images[0],
                expected=f"the scan that was segmented as {scan.case}",
                remedy="Rename the scan and segment it under its new name, or bring the data set's file back.",
            )
        if before is not None:
            subset = "validation" if before.subset == "validation" and before.label is not None else "training"
            return before.model_copy(update={"label": scan.label_map, "subset": subset, "adopted": None})
        return Case(id=scan.case, images=images, label=scan.label_map, subject=self._subject(scan.case, images) or scan.case)

    def without_subject(self, cases: Iterable[Case]) -> list[str]:
        """The new cases that nothing tells the subject of; none where the data set has a subject for every case."""
        if all(case.subject == case.id for case in self.dataset.cases):
            return []
        return [case.id for case in cases if self._subject(case.id, case.images) is None]

    def stated_first(self) -> list[str]:
        """Subjects that were stated, and that the data set has no scan of: new ones, or misspelt."""
        return sorted({*self.stated.values()} - self._subjects)

    def refuse_unknown(self, new: Collection[str]) -> None:
        """Require that subjects were stated of new cases only, or are those of the data set.

        Raises:
            UsageError: they were stated of others.
        """
        joined = {name: case.subject for name, case in self._cases.items()}
        if unknown := [case for case, subject in self.stated.items() if case not in new and joined.get(case) != subject]:
            raise UsageError(
                "subjects can be stated of scans that the data set does not have",
                where=f"--subject {unknown[0]}={self.stated[unknown[0]]}",
                expected=f"one of {some(sorted(new))}" if new else "a new scan, and there is none",
                found=", ".join(unknown),
                remedy="Leave it out.",
            )

    def _images(self, scan: ReviewedScan, input_sha256: str) -> tuple[Path, ...]:
        """The files of a scan that the data set does not have."""
        paths = scan.scan
        if self.given is not None:
            found = self.given.get(scan.case)
            paths = () if found is None else _paths(found)
        if not paths:
            raise DatasetError(
                "nothing tells where the scan lies",
                where=scan.case,
                found="none of this name" if self.given is not None else "a table without it",
                remedy="Name the folder that was the IN of `autoseg predict` with --scans DIR.",
            )
        if self._digest(paths) != input_sha256:
            there = all(path.exists() for path in paths)
            raise DatasetError(
                "not the scan that was segmented any more" if there else "the scan is not there any more",
                where=paths[0],
                expected="the files as they were; of a DICOM series a folder that holds nothing else",
                remedy="Bring it back, or name the folder where it lies now with --scans DIR.",
            )
        return paths

    def _digest(self, paths: Sequence[Path]) -> str | None:
        """The digest of a scan's files as a table of predictions has it; None where they are not there."""
        try:
            if len(paths) == 1 and paths[0].is_dir():
                found = find_scans(paths[0], channels=1).scans
                paths = found[0].images if len(found) == 1 else ()
                return files.sha256_json([image_checksum(path) for path in paths])
            return files.sha256_json([self.known.of(path) for path in paths])
        except (ImageError, UsageError):
            return None

    @cached_property
    def _cases(self) -> dict[str, Case]:
        return {case.id: case for case in self.dataset.cases}

    @cached_property
    def _subjects(self) -> frozenset[str]:
        return frozenset(case.subject for case in self.dataset.cases)

    def _subject(self, case: str, images: Sequence[Path]) -> str | None:
        """The subject of a new case; None where nothing tells it."""
        if case in self.stated:
            return self.stated[case]
        told_by = layout_of(self.dataset).subjects
        if told_by == "stated":
            return None
        if told_by == "bids" and (subject := subject_named(case)):
            return subject
        folders = (path for path in (images[0], *images[0].parents) if not self.dataset.root.is_relative_to(path))
        return next((name for name in (normalised(path.name) for path in folders) if name in self._subjects), None)


def _paths(scan: Scan) -> tuple[Path, ...]:
    """The files of a scan as a case of a data set has them: of a series the folder of its slices."""
    paths = (scan.images[0].parent,) if scan.series else scan.images
    return tuple(path.absolute() for path in paths)
