"""The one scan that a folder of DICOM files, or one such file, stands for where an image is expected."""

from dataclasses import replace
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.formats.dicom_files import dicom_files, is_dicom
from autoseg.images.dicom.naming import distinctions
from autoseg.images.dicom.scan import FEATURES, DicomScan
from autoseg.images.dicom.series import find_series
from autoseg.images.dicom.volume import read_slices, read_slices_geometry
from autoseg.images.geometry import Geometry
from autoseg.images.volumes import Admit, Volumes


def is_dicom_place(path: Path) -> bool:
    """Whether a path is that of a DICOM file, or of a folder, which cannot be an image in another way."""
    return path.is_dir() or is_dicom(path)


def read_place(path: Path, *, admit: Admit | None = None) -> Volumes:
    """Read the scan that a path stands for.

    Args:
        path: a folder with the slices of one scan, in it or below it; or the file of one slice, which stands for itself.
        admit: asked before any voxel is read.

    Raises:
        ImageError: there is no scan, there are several, or it cannot be read.
    """
    files, warnings = _files(path)
    volume = read_slices(files, admit=admit)
    return replace(volume, warnings=(*warnings, *volume.warnings))


def read_place_geometry(path: Path) -> Geometry:
    """Where the voxels of that scan lie, from headers alone.

    Raises:
        ImageError: as for `read_place`, but for pixels that cannot be decoded.
    """
    return read_slices_geometry(_files(path)[0])


def _files(path: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The slices of the scan in their order, and warnings."""
    if not path.is_dir():
        return (path,), ()
    try:
        found = find_series(dicom_files(path))
    except OSError as cause:
        raise ImageError(f"cannot be read ({cause.strerror})", where=path, remedy="Check its permissions.") from None
    if len(found.scans) != 1:
        raise _not_one(path, found.scans)
    (scan,) = found.scans
    if scan.error is not None:
        raise scan.error
    return scan.files, scan.warnings


def _not_one(path: Path, scans: tuple[DicomScan, ...]) -> ImageError:
    if not scans:
        return ImageError(
            "a folder without a DICOM series, where an image is expected",
            where=path,
            remedy="Name the file inside it, or the folder that holds the slices of one scan.",
        )
    names = distinctions(scans, FEATURES)
    found = ", ".join(f"{name} ({len(scan.files)} slices)" for name, scan in zip(names, scans, strict=True))
    return ImageError(
        "a folder with several DICOM series, where one scan is expected",
        where=path,
        expected="the slices of one scan",
        found=found,
        remedy="Move each series into a folder of its own, and name the folder of the one that is meant.",
    )
