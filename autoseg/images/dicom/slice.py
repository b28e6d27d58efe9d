"""One slice of a DICOM series: its header, checked against what SimpleITK makes of it, and its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.formats.dicom_elements import DicomError, DicomHeader, parse_dicom
from autoseg.formats.dicom_fields import SYNTAXES, Field
from autoseg.formats.dicom_files import begins_like_dicom
from autoseg.formats.remarks import Remark
from autoseg.formats.text import without_addresses
from autoseg.storage.utf8 import utf8_path
from autoseg.wording import counted

ORIENTATION_TOLERANCE: Final = 1e-3
"""Direction cosines may differ by this much; they are often rounded to three decimals. Source: ours."""

_UNPROVEN_BYTES: Final = 1 << 26
"""So many bytes of pixels are possible, however few they are compressed to: a blank slice takes hardly any."""

_MOST_COMPRESSED: Final = 1000
"""Larger slices have at least this fraction of their bytes in the file. Source: chosen; run lengths save at most 64-fold."""

_GREYS: Final = ("MONOCHROME2", "MONOCHROME1")
_COUNTS: Final = {Field.POSITION: 3, Field.ORIENTATION: 6, Field.SPACING: 2}
_NAMES: Final = {
    Field.POSITION: "the position of the slice",
    Field.ORIENTATION: "the orientation of the slice",
    Field.SPACING: "the size of the pixels",
    Field.SLOPE: "the slope of the scaling",
    Field.INTERCEPT: "the intercept of the scaling",
}
_NO_SCANS: Final = {
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.66.7",
    "1.2.840.10008.5.1.4.1.1.481.2",
}
"""Classes of files with pixels that are no scans: segmentations of two kinds, and doses. Source: part 4, annex B."""

_EXPORT_AGAIN: Final = "Export the series again, or convert it to NIfTI, for example with dcm2niix."


@dataclass(frozen=True)
class DamagedSlice:
    """A DICOM file that cannot be read.

    Attributes:
        path: the file.
        error: what is wrong with it.
        fields: what it says before the damage.
    """

    path: Path
    error: ImageError
    fields: Mapping[Field, str] = field(default_factory=dict)


def examine_slice(path: Path) -> "Slice | DamagedSlice | None":
    """Read the header of a DICOM file; None for one that is no image, such as a report or contours."""
    try:
        content = path.read_bytes()
        if not begins_like_dicom(content):
            return DamagedSlice(path, _no_dicom(path, content))
        header = parse_dicom(content)
    except OSError as cause:
        error = ImageError(f"cannot be read ({cause.strerror})", where=path, remedy="Check its permissions.")
        return DamagedSlice(path, error)
    except DicomError as cause:
        return None if _is_no_scan(cause.fields) else DamagedSlice(path, _undecodable(path, cause), cause.fields)
    return None if header is None or _is_no_scan(header.fields) else Slice(path, header)


def _no_dicom(path: Path, content: bytes) -> ImageError:
    return ImageError(
        "called like DICOM files, and is none" if content else "the file is empty",
        where=path,
        expected="the letters DICM after 128 bytes",
        found=f"{content[:8]!r}" if content else None,
        remedy="Copy or download it again; convert files of old programs, which begin otherwise, for example with dcmconv.",
    )


def _is_no_scan(fields: Mapping[Field, str]) -> bool:
    return fields.get(Field.SOP_CLASS) in _NO_SCANS


def open_slice(path: Path) -> "Slice":
    """Read the header of a DICOM image.

    Raises:
        ImageError: it cannot be read, or is no image.
    """
    found = examine_slice(path)
    if isinstance(found, DamagedSlice):
        raise found.error
    if found is None:
        raise ImageError(
            "a DICOM file without an image, such as a report, contours (RTSTRUCT) or a segmentation (SEG)",
            where=path,
            remedy="Give a series of images; save segmentations as label maps first, for example with 3D Slicer.",
        )
    return found


class Slice:
    """A DICOM file that holds one slice."""

    def __init__(self, path: Path, header: DicomHeader) -> None:
        """With the header that was found in the file."""
        self.path = path
        self._header = header

    @property
    def fields(self) -> Mapping[Field, str]:
        """What its header says."""
        return self._header.fields

    @property
    def greys(self) -> str:
        """What grey values mean, MONOCHROME1 or MONOCHROME2."""
        return self.fields.get(Field.GREYS, "")

    @cached_property
    def _reader(self) -> Any:
        """SimpleITK's reader, which has read the header, too.

        Raises:
            ImageError: it cannot.
        """
        reader: Any = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        with utf8_path(self.path) as named:
            reader.SetFileName(str(named))
            try:
                reader.ReadImageInformation()
            except RuntimeError as cause:
                raise self._not_understood(cause) from None
        return reader

    @property
    def size_px(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._header.number(Field.ROWS), self._header.number(Field.COLUMNS)

    @property
    def has_position(self) -> bool:
        """Whether the header says where the slice lies."""
        return Field.POSITION in self.fields

    @property
    def position_mm(self) -> NDArray[np.float64]:
        """Of the first pixel, (x, y, z)."""
        return self._numbers(Field.POSITION)

    @property
    def orientation(self) -> NDArray[np.float64]:
        """Directions in which columns and rows are counted, (x, y, z, x, y, z)."""
        return self._numbers(Field.ORIENTATION)

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Of rows and columns."""
        return self._numbers(Field.SPACING)

    @property
    def normal(self) -> NDArray[np.float64]:
        """Direction in which slices follow each other, (x, y, z)."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    @property
    def grid(self) -> tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, ...]]:
        """Spacing along (Z, Y, X) and origin (x, y, z) in mm, and the direction, as far as a slice alone can tell."""
        columns_mm, rows_mm, thickness_mm = self._reader.GetSpacing()
        if Field.SPACING in self.fields:
            rows_mm, columns_mm = self.spacing_mm.tolist()
        x_mm, y_mm, z_mm = self.position_mm.tolist() if self.has_position else self._reader.GetOrigin()
        return (thickness_mm, rows_mm, columns_mm), (x_mm, y_mm, z_mm), self._reader.GetDirection()

    @property
    def is_lossy(self) -> bool:
        """Whether its values may have changed when they were compressed."""
        return self.fields.get(Field.LOSSY) == "01"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about it."""
        warnings: list[str] = []
        if self.greys == "MONOCHROME1":
            warnings.append(Remark("its greys are stored the wrong way round (MONOCHROME1), and were turned"))
        if not {Field.SPACING, Field.DETECTOR_SPACING} & self.fields.keys():
            warnings.append("it does not say how large its pixels are: taken for 1 mm")
        if self.is_lossy:
            warnings.append(Remark("its pixels were once stored with loss"))
        return tuple(warnings)

    def check(self) -> None:
        """Require the file to hold one slice, whole, with a header that makes sense.

        Raises:
            ImageError: it does not.
        """
        fields = self.fields
        if fields.get(Field.SAMPLES) != "1" or self.greys not in _GREYS:
            found = f"{fields.get(Field.SAMPLES, 'unknown')} ({self.greys or 'unknown'})"
            raise self.mismatch("not a scalar image", "one grey value per pixel", found)
        if fields.get(Field.FRAMES, "1") != "1":
            what = "several slices in one DICOM file (enhanced or multi-frame DICOM)"
            raise self.mismatch(what, "one slice per file", f"{fields[Field.FRAMES]} frames")
        if "MOSAIC" in fields.get(Field.IMAGE_TYPE, "").split("\\"):
            raise self.mismatch("a mosaic of slices in one image", "one slice per file", "image type MOSAIC")
        if Field.GREY_TABLE in fields:
            raise self.mismatch(
                "greys that a table gives their meaning, which is not applied", "slope and intercept", "a table"
            )
        size = (*self.size_px[::-1], 1)
        if self._reader.GetNumberOfComponents() != 1 or self._reader.GetSize() != size:
            raise self.mismatch("SimpleITK takes it for something else", size, self._reader.GetSize())
        self._check_place()
        if Field.INTERCEPT in fields:
            self._numbers(Field.INTERCEPT)
        if Field.SLOPE in fields and self._numbers(Field.SLOPE)[0] == 0:
            raise self._senseless(Field.SLOPE, "not 0")
        self._check_pixels()

    def pixels(self) -> NDArray[Any]:
        """Its grey values, (Y, X), the slice's own scaling applied, in the type which that needs.

        Raises:
            ImageError: they cannot be decoded.
        """
        reader = self._reader
        with utf8_path(self.path) as named:
            reader.SetFileName(str(named))
            try:
                return np.asarray(sitk.GetArrayFromImage(reader.Execute())[0])
            except RuntimeError as cause:
                raise self._not_understood(cause) from None

    def mismatch(self, what: str, expected: object, found: object) -> ImageError:
        """An error that names the file."""
        return ImageError(what, where=self.path, expected=_listed(expected), found=_listed(found), remedy=_EXPORT_AGAIN)

    def _not_understood(self, cause: RuntimeError) -> ImageError:
        last = without_addresses(str(cause).strip().splitlines()[-1])
        how = f", stored as {SYNTAXES.get(self._header.syntax, self._header.syntax)}" if self._header.compressed else ""
        return ImageError(f"cannot be read as DICOM{how} ({last})", where=self.path, remedy=_EXPORT_AGAIN)

    def _check_place(self) -> None:
        if Field.SPACING in self.fields and self.spacing_mm.min() <= 0:
            raise self._senseless(Field.SPACING, "two numbers > 0")
        if Field.ORIENTATION in self.fields:
            direction = np.reshape(self._reader.GetDirection(), (3, 3))[:, :2].T.ravel()
            if np.abs(self.orientation - direction).max() > ORIENTATION_TOLERANCE:
                raise self._senseless(Field.ORIENTATION, "two directions of length 1 at right angles")

    def _check_pixels(self) -> None:
        rows, columns = self.size_px
        least = wanted = rows * columns * self._header.number(Field.BITS_ALLOCATED) // 8
        if self._header.compressed:
            least = wanted // _MOST_COMPRESSED if wanted > _UNPROVEN_BYTES else 0
        if self._header.pixel_bytes < least:
            raise self.mismatch("the pixels are cut off", f"{wanted} bytes", f"{self._header.pixel_bytes} bytes")

    def _senseless(self, field: Field, expected: str) -> ImageError:
        return self.mismatch(f"DICOM tag {_name(field)}, cannot be true", expected, self.fields[field])

    def _numbers(self, field: Field) -> NDArray[np.float64]:
        count = _COUNTS.get(field, 1)
        text = self.fields.get(field, "")
        try:
            values = np.array([float(number) for number in text.split("\\")])
        except ValueError:
            values = np.zeros(0)
        if values.size != count or not np.isfinite(values).all():
            raise self.mismatch(
                f"DICOM tag {_name(field)}, is missing or damaged", counted(count, "number"), text or "nothing"
            )
        return values


def _undecodable(path: Path, cause: Exception) -> ImageError:
    return ImageError(f"cannot be read as DICOM ({cause})", where=path, remedy=_EXPORT_AGAIN)


def _name(field: Field) -> str:
    return f"({field.replace('|', ',')}), {_NAMES[field]}"


def _listed(value: object) -> object:
    return ", ".join(f"{number:g}" for number in value) if isinstance(value, tuple | np.ndarray) else value
