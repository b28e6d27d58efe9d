"""What a folder of results must not replace or remove: the scans, what autoseg did not write, and what was changed since."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from autoseg.errors import UsageError
from autoseg.formats import IMAGE_SUFFIXES
from autoseg.inference.one_scan import ScanWork
from autoseg.inference.output_folder import Results
from autoseg.inference.scans import Scan

_IN_WORDS: Final = {
    "label_map": "label maps",
    "probabilities": "probabilities",
    "uncertainty": "maps of uncertainty",
    "picture": "pictures",
    "dicom_seg": "DICOM segmentations",
}
"""What is written of a scan, in the order in which it is looked at."""


def protect_scans(results: Results, scans: Sequence[Scan]) -> None:
    """Refuse to write over the scans themselves, or to remove them as results of before.

    Raises:
        UsageError: a scan lies where a result of one of them goes.
    """
    outputs = {path.resolve() for scan in scans for path in (results.label_map(scan.id), *results.extras(scan.id).values())}
    endangered = [path for scan in scans for path in scan.images if path.resolve() in outputs]
    if endangered:
        raise UsageError(
            "the results would replace the scans",
            where=endangered[0],
            remedy=f"Choose another output folder (scans end in one of {', '.join(IMAGE_SUFFIXES[:3])}, ...).",
        )


def protect_results(work: ScanWork, scans: Sequence[Scan], *, predicted: bool) -> None:
    """Refuse to replace or remove results that were changed by hand, or are none of ours.

    Args:
        work: what is asked for.
        scans: whose results they are.
        predicted: whether these are about to be written; else they may be found to be there as they should.

    Raises:
        SystemFailureError: one cannot be read.
        UsageError: there are some.
    """
    foreign: defaultdict[str, list[Path]] = defaultdict(list)
    for scan in scans:
        for name, (path, sha256) in _endangered(work, scan, predicted=predicted).items():
            if work.differs(path, sha256):
                foreign[name].append(path)
    for name, what in _IN_WORDS.items():
        if paths := foreign[name]:
            raise UsageError(
                f"holds {what} that were changed since, or that autoseg did not write",
                where=paths[0].parent,
                found=", ".join(path.name for path in paths),
                remedy="Choose another output folder, move them away, or have them replaced or removed with --force.",
            )


def _endangered(work: ScanWork, scan: Scan, *, predicted: bool) -> dict[str, tuple[Path, str]]:
    """Files of a scan that may be replaced or removed, with the digest that each was written with, empty if it was not.

    What a killed command had begun to write is nobody's.
    """
    if scan.id in work.begun:
        return {}
    results, row = work.results, work.rows.get(scan.id)
    names = set(results.extras(scan.id)) if predicted or row is None or not work.keeps(row, scan) else set()
    if results.wants_seg(scan):
        names.add("dicom_seg")
    written = {} if row is None else row.extras_sha256
    extras = {name: (path, written.get(name, "")) for name, path in results.extras(scan.id).items() if name in names}
    return {"label_map": (results.label_map(scan.id), "" if row is None else row.output_sha256), **extras}
