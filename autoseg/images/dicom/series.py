"""Which scans lie in DICOM files.

Series are put together from all folders, taken apart where they hold several volumes, and named.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats.dicom_fields import Field
from autoseg.formats.remarks import Remark
from autoseg.images.dicom.copies import is_copy
from autoseg.images.dicom.parts import take_apart
from autoseg.images.dicom.scan import DicomScan
from autoseg.images.dicom.slice import DamagedSlice, Slice, examine_slice
from autoseg.images.dicom.stacks import Part
from autoseg.images.dicom.torn import without_torn
from autoseg.wording import counted

_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
NO_IMAGES: Final = "DICOM files without a scan, such as reports, contours and segmentations"


@dataclass(frozen=True)
class FoundSeries:
    """What lies in DICOM files.

    Attributes:
        scans: good and bad.
        passed_over: files that hold none, by what they are.
    """

    scans: tuple[DicomScan, ...]
    passed_over: Mapping[str, Sequence[Path]]


@dataclass
class _Group:
    """Files that claim to be of one series."""

    slices: list[Slice] = field(default_factory=list)
    damaged: list[DamagedSlice] = field(default_factory=list)


def find_series(paths: Iterable[Path]) -> FoundSeries:
    """Find the scans in DICOM files, wherever they lie.

    Args:
        paths: DICOM files, and such as should be. Those without a scan, such as reports, segmentations and localizers, are
            skipped.

    Returns:
        the scans, by path, and what was skipped.
    """
    groups: defaultdict[str, _Group] = defaultdict(_Group)
    lost: list[DamagedSlice] = []
    others: list[Path] = []
    for path in sorted(paths):
        found = examine_slice(path)
        if found is None:
            others.append(path)
        elif isinstance(found, Slice):
            groups[_key(found.fields, path)].slices.append(found)
        elif found.fields.get(Field.SERIES_UID):
            groups[_key(found.fields, path)].damaged.append(found)
        else:
            lost.append(found)
    passed_over = {NO_IMAGES: others} if others else {}
    for what, is_meant in _NO_SCANS.items():
        if meant := [one.path for group in groups.values() for one in group.slices if is_meant(one)]:
            passed_over[what] = meant
    for group in groups.values():
        group.slices = [one for one in group.slices if not any(is_meant(one) for is_meant in _NO_SCANS.values())]
    scans = [scan for group in groups.values() if group.slices or group.damaged for scan in _scans(group)]
    scans = _with_lost(without_torn(scans), lost)
    return FoundSeries(tuple(sorted(scans, key=lambda scan: (scan.files, scan.part))), passed_over)


def _is_localizer(one: Slice) -> bool:
    return "LOCALIZER" in one.fields.get(Field.IMAGE_TYPE, "").split("\\")


def _is_screenshot(one: Slice) -> bool:
    """Whether it is in colour and lies nowhere, such as a dose report or a rendering."""
    captured = one.fields.get(Field.SOP_CLASS, "").startswith(_SECONDARY_CAPTURE)
    return captured and not one.has_position and one.fields.get(Field.SAMPLES) != "1"


_NO_SCANS: Final[Mapping[str, Callable[[Slice], bool]]] = {
    "localizers in DICOM files": _is_localizer,
    "screenshots in DICOM files": _is_screenshot,
}
"""Images that are no scans, and what they are called."""


def _key(fields: Mapping[Field, str], path: Path) -> str:
    """What files of one series have in common: its identifier, or without one the folder and the number."""
    return fields.get(Field.SERIES_UID) or f"{path.parent}/{fields.get(Field.SERIES_NUMBER, '')}"


def _scans(group: _Group) -> list[DicomScan]:
    """The scans of one series."""
    identities = {one.fields[Field.SOP_UID] for one in group.slices if Field.SOP_UID in one.fields}
    damaged = [one for one in group.damaged if one.fields.get(Field.SOP_UID) not in identities]
    members: list[Slice | DamagedSlice] = [*group.slices, *damaged]
    if damaged:
        return [_bad(members, damaged[0].error)]
    try:
        _check_origin(group.slices)
        slices = _distinct(group.slices)
        parts = take_apart(slices)
    except ImageError as error:
        return [_bad(members, error)]
    kept = {one.path for one in slices}
    paths = [*(one.path for one in group.slices), *(one.path for one in group.damaged)]
    copies = [path for path in paths if path not in kept]
    folders = len({one.path.parent for one in slices})
    warnings = [
        *([Remark(f"{len(copies)} copies of its slices are left out, such as {copies[0]}")] if copies else []),
        *_numbering(slices),
        *([Remark(f"its slices lie in {folders} folders")] if folders > 1 else []),
    ]
    return [_good(part, warnings) for part in parts]


def _good(part: Part, warnings: Iterable[str]) -> DicomScan:
    files = tuple(one.path for one in part.slices)
    return DicomScan(files, part.slices[0].fields, part.name, (*warnings, *part.warnings), part.error)


def _bad(members: Sequence[Slice | DamagedSlice], error: ImageError) -> DicomScan:
    paths = tuple(sorted(one.path for one in members))
    return DicomScan(paths, members[0].fields, error=error)


def _check_origin(slices: Sequence[Slice]) -> None:
    """Require that one series is of one patient and one study: what is not was not exported as it should be."""
    for name, what in ((Field.PATIENT_ID, "patients"), (Field.STUDY_UID, "studies")):
        values = {one.fields.get(name, "") for one in slices}
        if len(values) > 1:
            raise slices[0].mismatch(f"the files of one series name several {what}", "one", len(values))


def _distinct(slices: Sequence[Slice]) -> list[Slice]:
    """Slices without copies; of several the one in the folder with the most slices is kept.

    Raises:
        ImageError: different slices have one identity.
    """
    sizes = Counter(one.path.parent for one in slices)
    kept: dict[str, Slice] = {}
    for one in sorted(slices, key=lambda one: (-sizes[one.path.parent], one.path)):
        identity = one.fields.get(Field.SOP_UID) or str(one.path)
        if identity in kept and not is_copy(one, kept[identity]):
            raise one.mismatch(
                f"another slice than {kept[identity].path}, with the same identity", "copies", "another image"
            )
        kept.setdefault(identity, one)
    return sorted(kept.values(), key=lambda one: one.path)


def _numbering(slices: Sequence[Slice]) -> list[str]:
    """A warning where slices are numbered as if others belonged to them, too."""
    texts = [one.fields.get(Field.INSTANCE_NUMBER, "") for one in slices]
    if not all(re.fullmatch("[0-9]{1,9}", text) for text in texts):
        return []
    numbers = {int(text) for text in texts}
    first, last = min(numbers), max(numbers)
    if len(numbers) < len(slices) or (first <= 1 and last - first < len(slices)):
        return []
    if len(slices) == 1:
        return [f"its only slice has the number {first}: others may be missing, or lie elsewhere"]
    return [f"its {len(slices)} slices are numbered from {first} to {last}: others may be missing, or lie elsewhere"]


def _with_lost(scans: Sequence[DicomScan], lost: Sequence[DamagedSlice]) -> list[DicomScan]:
    """Scans and what is to be said of files whose series is not known: a slice of the only series beside them, or of any."""
    by_folder: defaultdict[Path, list[DamagedSlice]] = defaultdict(list)
    for one in lost:
        by_folder[one.path.parent].append(one)
    found = list(scans)
    for folder, damaged in by_folder.items():
        error = damaged[0].error
        beside = [index for index, scan in enumerate(found) if any(path.parent == folder for path in scan.files)]
        alone = len({found[index].fields.get(Field.SERIES_UID) for index in beside}) == 1
        warning = f"{counted(len(damaged), 'damaged file')} beside it may hold slices of it, such as {damaged[0].path.name}"
        for index in beside:
            scan = found[index]
            found[index] = (
                replace(scan, error=scan.error or error) if alone else replace(scan, warnings=(*scan.warnings, warning))
            )
        if not alone:
            found.append(DicomScan(tuple(one.path for one in damaged), {}, "unreadable", error=error))
    return found
