"""Series that are torn: their slices claim to be of others, as some anonymisers and damaged identifiers leave them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats.dicom_fields import Field
from autoseg.images.dicom.scan import DicomScan

_LEAST_PLACES: Final = 3
"""So many places make a stack. Source: chosen, above what scouts are."""

_OF_A_STACK: Final = (
    Field.PATIENT_ID,
    Field.SERIES_NUMBER,
    Field.SERIES_DESCRIPTION,
    Field.ROWS,
    Field.COLUMNS,
    Field.SPACING,
    Field.ORIENTATION,
)
"""What slices of one stack have in common, whatever series they claim to be of."""


def without_torn(scans: Sequence[DicomScan]) -> list[DicomScan]:
    """Scans, with those put together that are no scans: single slices of one stack, or of one with a whole series."""
    alike: defaultdict[tuple[str, ...], list[DicomScan]] = defaultdict(list)
    for scan in scans:
        if scan.error is None and not scan.part and Field.POSITION in scan.fields:
            alike[tuple(scan.fields.get(name, "") for name in _OF_A_STACK)].append(scan)
    gone: list[DicomScan] = []
    bad: list[DicomScan] = []
    for members in alike.values():
        for torn in _torn(members):
            gone += torn
            bad.append(_as_one(torn))
    return [*(scan for scan in scans if not any(scan is other for other in gone)), *bad]


def _torn(alike: Sequence[DicomScan]) -> list[list[DicomScan]]:
    """Of scans that look like parts of one stack, those that are: single slices, or those of a study with a larger one."""
    single = [scan for scan in alike if len(scan.files) == 1]
    if len({scan.fields[Field.POSITION] for scan in single}) >= _LEAST_PLACES:
        return [single]
    studies: defaultdict[str, list[DicomScan]] = defaultdict(list)
    for scan in alike:
        studies[scan.fields.get(Field.STUDY_UID, "")].append(scan)
    return [
        members
        for members in studies.values()
        if len(members) > 1
        and min(len(scan.files) for scan in members) == 1
        and sum(len(scan.files) for scan in members) >= _LEAST_PLACES
    ]


def _as_one(torn: Sequence[DicomScan]) -> DicomScan:
    files = tuple(sorted(path for scan in torn for path in scan.files))
    error = ImageError(
        "slices that look like one stack claim to be of several series, single ones among them",
        where=min(scan.files[0] for scan in torn if len(scan.files) == 1),
        expected="one series",
        found=f"{len(files)} slices in {len(torn)} series",
        remedy="Export them again with the identifiers they had, or convert them to NIfTI, for example with dcm2niix.",
    )
    return DicomScan(files, torn[0].fields, error=error)
