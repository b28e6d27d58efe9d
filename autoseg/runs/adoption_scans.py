"""The scans that label maps in a folder of results belong to: where they lie, and what the data set calls them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.data.dataset import Case, Dataset
from autoseg.errors import DatasetError, ImageError, UsageError
from autoseg.formats.checksum import image_checksum
from autoseg.inference.review import ReviewedScan
from autoseg.inference.scans import Scan, find_scans
from autoseg.planning.plan import Plan
from autoseg.runs.source_checksums import SourceChecksums
from autoseg.storage import files

_BIDS_SUBJECT: Final = re.compile(r"sub-[A-Za-z0-9+]+(?=_|$)")


def scans_in(place: Path | None, plan: Plan, folder: Path) -> dict[str, Scan] | None:
    """The scans of a place by id; None where none is named.

    Raises:
        UsageError: there is no such place, or it holds no scans.
    """
    if place is None:
        return None
    channels = plan.data.channels
    return {scan.id: scan for scan in find_scans(place, channels=len(channels), names=channels, results=folder).scans}


@dataclass(frozen=True)
class ScanFinder:
    """Finds the scan that a label map belongs to, and what the data set calls it.

    Attributes:
        dataset: that the case is to join.
        plan: its plan.
        given: scans by id, where a person named their folder; None: the table of predictions says where each lies.
        known: checksums of files.
    """

    dataset: Dataset
    plan: Plan
    given: Mapping[str, Scan] | None
    known: SourceChecksums

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
        before = next((case for case in self.dataset.cases if case.id == scan.case), None)
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
        return Case(id=scan.case, images=images, label=scan.label_map, subject=self._subject(scan.case))

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

    def _subject(self, case: str) -> str:
        """The subject of a new case: what BIDS calls it, else the case itself."""
        match = _BIDS_SUBJECT.match(case) if self.dataset.layout == "bids" else None
        return case if match is None else match[0]


def _paths(scan: Scan) -> tuple[Path, ...]:
    """The files of a scan as a case of a data set has them: of a series the folder of its slices."""
    paths = (scan.images[0].parent,) if scan.series else scan.images
    return tuple(path.absolute() for path in paths)
