"""DICOM segmentation objects (SEG): a label map as binary segments on the slices it was made from, written by highdicom.

Everything that places a frame is what its slice says. Patient and study are those of the slices, too. Identifiers, and the
date that is stated, depend on nothing but the slices, the model and the program: the same gives the same bytes.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

import numpy as np
from highdicom.color import CIELabColor
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.version import __version__ as highdicom_version
from numpy.typing import NDArray
from pydicom import Dataset, config, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.sr.coding import Code

from autoseg.errors import ImageError
from autoseg.images.dicom.coded_segments import CodedSegment, Maker, overlap
from autoseg.images.dicom.concepts import Concept
from autoseg.images.image import LabelMap
from autoseg.storage.files import write_bytes

_NAME: Final = "autoseg"
_LONGEST: Final = 64
"""Characters of a long string (LO). Source: part 5, 6.2."""

_UTF_8: Final = "ISO_IR 192"
_PLAIN: Final = {"", "ISO_IR 6"}
_NAMESPACE: Final = UUID("6d3c9d1e-53f7-5f0a-9b3e-6a1f0c6f7f0e")
"""Of identifiers made here. Source: drawn once."""

_LEARNING: Final = Code("123110", "DCM", "Artificial Intelligence")
_MORE: Final = 1000
"""Added to the number of the series, so that segmentations are listed behind what a scanner made. Source: chosen."""

_MOST: Final = 2**31 - 1
_NEEDED: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
_MAY_BE_EMPTY: Final = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    "ReferringPhysicianName",
)  # fmt: skip
_OF_SLICES: Final = [*_NEEDED, "Rows", "Columns", "FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient"]
_DATED: Final = ("Content", "Acquisition", "Series", "Study")
_NO_DATE, _NO_TIME = "19000101", "000000"
_SEXES: Final = {"M", "F", "O"}
_NOT_UNDERSTOOD: Final = (
    ArithmeticError, AttributeError, InvalidDicomError, LookupError, NotImplementedError, TypeError, ValueError,
)  # fmt: skip


def write_seg(
    path: Path, slices: Sequence[Path], labels: LabelMap, /, *, segments: Sequence[CodedSegment], maker: Maker
) -> None:
    """Write a label map as a DICOM segmentation.

    Frames without voxels are left out; where there is no voxel at all, every segment has an empty frame on the first slice.

    Args:
        path: the file.
        slices: the files it was made from, in the order of the label map's slices.
        labels: label values, (Z, Y, X).
        segments: what to write, in this order.
        maker: what made it.

    Raises:
        ImageError: the slices do not say what a segmentation must.
        SystemFailureError: the disk is full, or the place may not be written.
    """
    try:
        with _quiet():
            content = _encoded(_segmentation(_headers(slices, labels), labels.array, segments, maker))
    except OSError as cause:
        raise _impossible(slices, f"cannot be read: {cause.strerror}") from None
    except _NOT_UNDERSTOOD as cause:
        raise _impossible(slices, str(cause) or type(cause).__name__) from None
    write_bytes(path, content)


def _impossible(slices: Sequence[Path], why: str) -> ImageError:
    return ImageError(
        f"no DICOM segmentation can be made of its label map, which is there ({why})",
        where=slices[0].parent,
        remedy="Export the series again, with the headers it had, or use the label map.",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Take headers as they are: what matters in them was checked when the slices were read."""
    settings, loggers = config.settings, [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    modes, levels = (settings.reading_validation_mode, settings.writing_validation_mode), [one.level for one in loggers]
    settings.reading_validation_mode = settings.writing_validation_mode = config.IGNORE
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode, settings.writing_validation_mode = modes
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _headers(slices: Sequence[Path], labels: LabelMap) -> list[Dataset]:
    """What the slices say, with what a segmentation needs besides; the first says most."""
    first = dcmread(slices[0], stop_before_pixels=True)
    headers = [first, *(dcmread(path, stop_before_pixels=True, specific_tags=_OF_SLICES) for path in slices[1:])]
    for path, header in zip(slices, headers, strict=True):
        if lacking := [keyword for keyword in _NEEDED if not header.get(keyword)]:
            msg = f"{path.name} has no {', '.join(lacking)}"
            raise ValueError(msg)
    _complete(first)
    _place(headers, labels)
    return headers


def _complete(first: Dataset) -> None:
    """Add what may be empty, but must be there."""
    first.decode()
    for keyword in _MAY_BE_EMPTY:
        if first.get(keyword) is None:
            setattr(first, keyword, "")
    if str(first.PatientSex) not in _SEXES:
        first.PatientSex = ""


def _place(headers: Sequence[Dataset], labels: LabelMap) -> None:
    """Add what slices leave out of where they lie, and let them agree where they differ by rounding.

    The label map's grid may have been stored meanwhile, in fewer digits.
    """
    first, (gap_mm, *sides_mm) = headers[0], labels.geometry.spacing_mm
    if not (first.get("ImagePositionPatient") and first.get("ImageOrientationPatient")):
        first.pop("FrameOfReferenceUID", None)  # a projection, which lies nowhere
        return
    frame = first.get("FrameOfReferenceUID") or _uid("frame of reference", first.SeriesInstanceUID)
    for header in headers:
        header.ImageOrientationPatient = first.ImageOrientationPatient
        header.FrameOfReferenceUID = header.get("FrameOfReferenceUID") or frame
    if not first.get("PixelSpacing"):
        first.PixelSpacing = [f"{side_mm:.5g}" for side_mm in sides_mm]
    first.pop("SpacingBetweenSlices", None)  # often wrong, and of the whole series, which may hold several volumes
    if len(headers) > 1:
        corners_mm = np.array([header.ImagePositionPatient for header in (first, headers[-1])], dtype=np.float64)
        gap_mm = float(np.linalg.norm(corners_mm[1] - corners_mm[0])) / (len(headers) - 1)
        first.SpacingBetweenSlices = f"{gap_mm:.9g}"
    if not first.get("SliceThickness"):
        first.SliceThickness = f"{gap_mm:.5g}"


def _segmentation(
    headers: Sequence[Dataset], labels: NDArray[np.uint16], segments: Sequence[CodedSegment], maker: Maker
) -> Dataset:
    first, found = headers[0], _pixels(labels, segments)
    content = f"{maker.content} autoseg {version(_NAME)} highdicom {highdicom_version}"
    is_empty = not found.any()
    number = int(first.get("SeriesNumber") or 0)
    texts = [maker.title, *(segment.name for segment in segments)]
    plain = str(first.get("SpecificCharacterSet") or "") in _PLAIN and all(text.isascii() for text in texts)
    document: Any = Segmentation(
        source_images=headers[:1] if is_empty else headers,
        pixel_array=found[:1] if is_empty else found,
        segmentation_type="BINARY",
        segment_descriptions=_descriptions(segments, maker),
        series_instance_uid=_uid("series", content),
        series_number=min(max(number, 0) + _MORE, _MOST),
        sop_instance_uid=_uid("object", content),
        instance_number=1,
        manufacturer=_NAME,
        manufacturer_model_name=_NAME,
        software_versions=version(_NAME),
        device_serial_number=maker.model[:_LONGEST],
        content_label=_NAME.upper(),
        content_description=_long_string(maker.title),
        series_description=_long_string(f"{_NAME} {first.get('SeriesDescription') or ''}"),
        omit_empty_frames=not is_empty,
        specific_character_set=None if plain else _UTF_8,
    )
    document.ContentCreatorName = ""  # it must be there, and nobody drew it
    if "FrameOfReferenceUID" not in document:
        document.PatientOrientation = first.get("PatientOrientation") or ""
    _make_repeatable(document, first, _uid("dimensions", content))
    return document


def _pixels(labels: NDArray[np.uint16], segments: Sequence[CodedSegment]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Numbers of segments from 1, (Z, Y, X); where these overlap, whether each is there, (Z, Y, X, K)."""
    if overlap(segments):
        stacked = np.empty((len(segments), *labels.shape), dtype=np.uint8)
        for target, segment in zip(stacked, segments, strict=True):
            target[...] = segment.mask(labels)
        return np.moveaxis(stacked, 0, -1)
    numbers = np.zeros(1 + max(int(labels.max()), *(value for one in segments for value in one.values)), dtype=np.uint16)
    for number, segment in enumerate(segments, start=1):
        numbers[list(segment.values)] = number
    return numbers.astype(np.uint8)[labels] if len(segments) < 256 else numbers[labels]


def _descriptions(segments: Sequence[CodedSegment], maker: Maker) -> list[SegmentDescription]:
    algorithm = AlgorithmIdentificationSequence(
        name=_NAME, family=_LEARNING, version=version(_NAME), parameters={"model": maker.title}
    )
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=_long_string(segment.name),
            segmented_property_category=_code(segment.property.category),
            segmented_property_type=_code(segment.property.type),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            display_color=CIELabColor.from_rgb(*segment.rgb),
        )
        for number, segment in enumerate(segments, start=1)
    ]


def _code(concept: Concept) -> Code:
    return Code(concept.code, "SCT", concept.meaning)


def _make_repeatable(document: Any, first: Dataset, dimensions: str) -> None:
    """Take out what the clock and chance put in: date and time are those of the series."""
    dated = next((what for what in _DATED if first.get(f"{what}Date")), "")
    document.ContentDate = first.get(f"{dated}Date") or _NO_DATE
    document.ContentTime = first.get(f"{dated}Time") or _NO_TIME
    del document.InstanceCreationDate, document.InstanceCreationTime
    for equipment in document.ContributingEquipmentSequence:
        if equipment.get("SoftwareVersions") == highdicom_version:
            del equipment.ContributionDateTime
    for item in (*document.DimensionOrganizationSequence, *document.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions


def _encoded(document: Dataset) -> bytes:
    stream = BytesIO()
    document.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _uid(*parts: str) -> str:
    """An identifier made of texts. Source: part 5, B.2: a UUID as a whole number under 2.25."""
    return f"2.25.{uuid5(_NAMESPACE, ' '.join(parts)).int}"


def _long_string(text: str) -> str:
    """A text as DICOM takes it: in one line, without what separates values, and not too long."""
    printable = "".join(sign if sign.isprintable() else " " for sign in text)
    return printable.replace("\\", "/")[:_LONGEST].strip()
