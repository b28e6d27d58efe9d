"""Scans and label maps: read, held against each other, and written. With `dicom_slice`, the only door to SimpleITK.

Every file is verified before it is read (see `verification`); arrays are in array order (Z, Y, X), and what lies where
in the patient stays attached as a `Geometry`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from autoseg.data.geometry import Geometry
from autoseg.errors import ImageError, SystemFailureError
from autoseg.formats import voxels
from autoseg.formats.verification import is_lossy, verify_file
from autoseg.formats.voxels import NotFinite
from autoseg.storage import files

__all__ = [
    "IMAGE_SUFFIXES",
    "Image",
    "LabelMap",
    "check_same_grid",
    "image_stem",
    "read_image",
    "read_labels",
    "verify_file",
    "write_channels",
    "write_labels",
]

IMAGE_SUFFIXES: Final = (
    ".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr", ".png", ".jpeg", ".jpg", ".tiff", ".tif",
)  # fmt: skip
"""Endings by which files are taken for images, the longest first where one contains another."""

_WRITABLE = (".nii.gz", ".nii", ".mha", ".nrrd")

# Its warnings go straight to the terminal; what matters in them is told by verify_file's notes.
sitk.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003 - takes no names


@dataclass(frozen=True, eq=False)
class Image:
    """A scan.

    Attributes:
        array: intensities, (C, Z, Y, X), float32, finite, in the file's own units.
        geometry: where the voxels lie; the same for all channels.
        notes: what the user should know about the files.
        source: the file, the first channel's, or the folder of slices that a message should name; None: there is none.
    """

    array: NDArray[np.float32]
    geometry: Geometry
    notes: tuple[str, ...] = ()
    source: Path | None = None


@dataclass(frozen=True, eq=False)
class LabelMap:
    """The class of each voxel.

    Attributes:
        array: label values as they are in the file, (Z, Y, X), uint16.
        geometry: where the voxels lie.
        notes: what the user should know about the file.
    """

    array: NDArray[np.uint16]
    geometry: Geometry
    notes: tuple[str, ...] = ()


def image_stem(path: Path) -> str | None:
    """The file's name without its image suffix, whatever its case; None where it is not an image by its name."""
    name = path.name
    for suffix in IMAGE_SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return None


def read_image(paths: Sequence[Path], *, channels: int, not_finite: NotFinite = "refuse") -> Image:
    """Read a scan of one or several channels.

    Args:
        paths: one file per channel, or a single 4D file whose last axis (in the file's order) holds the channels.
        channels: how many channels there must be.
        not_finite: what to do with voxels that are NaN or infinite.

    Returns:
        the scan, in float32: integers beyond 2^24 are rounded.

    Raises:
        ImageError: a file is damaged, holds NaN or infinite voxels, or has not the channels or the grid asked for.
    """
    scans = [_read(path, not_finite=not_finite) for path in paths]
    if len(scans) > 1:
        for path, scan in zip(paths, scans, strict=True):
            _single_volume(scan, path)
            check_same_grid(scans[0].geometry, scan.geometry, where=path, other=paths[0])
    elif channels == 1:
        _single_volume(scans[0], paths[0])
    found = sum(len(scan.volumes) for scan in scans)
    if found != channels:
        raise ImageError(
            "another number of channels than the data set has",
            where=paths[0],
            expected=f"{channels} channel(s)",
            found=f"{found} in {len(paths)} file(s)",
            remedy="Give one file per channel, or one 4D file that holds them all.",
        )
    geometry = scans[0].geometry
    array = np.empty((channels, *geometry.shape), dtype=np.float32)
    with np.errstate(over="ignore"):  # doubles beyond float32 become infinite, which is found below
        np.concatenate([scan.volumes for scan in scans], out=array, casting="unsafe")
    notes = _merged_notes(paths, scans)
    if any(scan.volumes.dtype.kind == "f" for scan in scans):
        if not_finite == "zero":
            stored = np.concatenate([scan.volumes for scan in scans])
            notes = (*notes, *voxels.zero_not_finite(array, stored))
        voxels.check_finite(array, paths)
    return Image(array=array, geometry=geometry, notes=notes, source=paths[0])


def read_labels(path: Path, *, values: Collection[int] | None = None) -> LabelMap:
    """Read a label map.

    Args:
        path: its file.
        values: the label values that may occur, background included; None: all from 0 to 65535.

    Raises:
        ImageError: the file is damaged, is no single volume, or holds fractions, negative or undeclared values.
    """
    scan = _read(path)
    if is_lossy(path):
        raise ImageError(
            "a label map that is stored with loss, so that its values may have changed",
            where=path,
            expected="a format that keeps every value, such as .nii.gz or .png",
            remedy="Save it anew from its source; what the loss has changed cannot be told.",
        )
    found = _single_volume(scan, path)
    labels = voxels.exact_labels(found, path, values=values)
    notes = scan.notes if labels.any() else (*scan.notes, "the label map is empty: every voxel is 0")
    return LabelMap(array=labels, geometry=scan.geometry, notes=notes)


def check_same_grid(image: Geometry, label: Geometry, *, where: Path, other: Path) -> None:
    """Insist that two files describe the same voxels of the same patient.

    Args:
        image: geometry of `other`, the file that sets the grid.
        label: geometry of `where`, the file that must follow it.
        where: file named first in the error.
        other: file it is compared with.

    Raises:
        ImageError: shape, spacing, origin or direction differ by more than `Geometry.difference` tolerates.
    """
    if difference := label.difference(image):
        raise ImageError(
            f"not on the grid of {other}: {difference}",
            where=where,
            remedy="Resample one onto the grid of the other; if only a header is wrong, copy it from the other file.",
        )


def write_labels(path: Path, labels: NDArray[np.integer[Any]], geometry: Geometry) -> None:
    """Write a label map, compressed, whole or not at all.

    Args:
        path: ends in .nii.gz, .nii, .mha or .nrrd.
        labels: label values 0 to 65535, (Z, Y, X); stored as uint8 where they all fit, else as uint16.
        geometry: where the voxels lie; of two dimensions: a 2D file.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    lowest, highest = int(labels.min()), int(labels.max())
    if labels.shape != geometry.shape or lowest < 0 or highest > voxels.LARGEST_LABEL:
        msg = f"cannot write {lowest} to {highest} of shape {labels.shape} into uint16 of shape {geometry.shape}"
        raise ValueError(msg)
    stored = labels.astype(np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16)
    _write(path, _to_sitk(stored[0] if geometry.dimensions == 2 else stored, geometry))


def write_channels(path: Path, channels: NDArray[np.float32], geometry: Geometry) -> None:
    """Write one volume per channel, such as class probabilities, into one file.

    Args:
        path: ends in .nii.gz or .nii.
        channels: (C, Z, Y, X), float32; the channel becomes the file's last, fourth axis, as viewers expect of a
            series of volumes. A single channel becomes an ordinary image.
        geometry: where the voxels lie.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    if channels.shape[1:] != geometry.shape or not path.name.endswith((".nii.gz", ".nii")):
        msg = f"cannot write shape {channels.shape} with geometry {geometry.shape} to {path.name}"
        raise ValueError(msg)
    if not np.isfinite(channels).all():
        msg = f"cannot write NaN or infinities to {path.name}: readers take them for 0"
        raise ValueError(msg)
    if len(channels) == 1:
        _write(path, _to_sitk(channels[0, 0] if geometry.dimensions == 2 else channels[0], geometry))
    else:
        _write(path, _to_sitk(channels, geometry))


@dataclass(frozen=True, eq=False)
class _Scan:
    owner: Any  # the SimpleITK image: the array only looks into its memory and is void without it
    volumes: NDArray[Any]  # (T, Z, Y, X), the file's own type
    geometry: Geometry
    notes: tuple[str, ...]


def _read(path: Path, *, not_finite: NotFinite = "refuse") -> _Scan:
    notes = verify_file(path, not_finite=not_finite)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_scalar(reader, path)
        image = reader.Execute()
    except RuntimeError as cause:
        raise _unreadable(path, str(cause)) from None
    geometry = _geometry(image)
    view = sitk.GetArrayViewFromImage(image)
    series = [length for length in view.shape[:-3] if length > 1]
    if len(series) > 1:
        raise ImageError("more than four dimensions", where=path, found=view.shape, remedy=_ONE_VOLUME)
    return _Scan(owner=image, volumes=view.reshape(-1, *geometry.shape), geometry=geometry, notes=notes)


_ONE_VOLUME = "Choose one volume of the series and save it as a 3D file."


def _check_scalar(reader: Any, path: Path) -> None:
    kind = sitk.GetPixelIDValueAsString(reader.GetPixelIDValue())
    if reader.GetNumberOfComponents() != 1 or "complex" in kind:
        raise _not_scalar(path, reader.GetNumberOfComponents(), kind)


def _not_scalar(path: Path, components: int, kind: str) -> ImageError:
    return ImageError(
        "not a scalar image",
        where=path,
        expected="one number per voxel",
        found=f"{components} ({kind})",
        remedy="Convert it to greyscale, or store each channel in a file of its own.",
    )


def _unreadable(path: Path, message: str) -> ImageError:
    if "orthonormal" in message:
        return ImageError(
            "the image axes are not at right angles (a sheared sform)",
            where=path,
            remedy="Resample it onto straight axes. Where the shear is mere rounding, straighten it in nibabel: "
            "image.set_qform(image.affine); image.set_sform(image.get_qform(), 1).",
        )
    last = message.strip().splitlines()[-1]
    return ImageError(
        f"SimpleITK cannot read it ({last})",
        where=path,
        remedy="Check that its name ends as its format demands, or convert it to .nii.gz.",
    )


def _geometry(image: Any) -> Geometry:
    """Of a 2D, 3D or longer SimpleITK image; axes beyond the third are no part of it."""
    total = image.GetDimension()
    spatial = min(total, 3)
    size, spacing, origin = [1, 1, 1], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]
    size[:spatial] = image.GetSize()[:spatial]
    spacing[:spatial] = image.GetSpacing()[:spatial]
    origin[:spatial] = image.GetOrigin()[:spatial]
    direction = np.eye(3)
    direction[:spatial, :spatial] = np.reshape(image.GetDirection(), (total, total))[:spatial, :spatial]
    return Geometry(
        shape=(size[2], size[1], size[0]),
        spacing_mm=(spacing[2], spacing[1], spacing[0]),
        origin_mm=(origin[0], origin[1], origin[2]),
        direction=tuple(direction.ravel().tolist()),
        dimensions=spatial,
    )


def _to_sitk(array: NDArray[Any], geometry: Geometry) -> Any:
    """The inverse of `_geometry` for an array of two, three or four axes."""
    image = sitk.GetImageFromArray(array, isVector=False)
    total = array.ndim
    spatial = min(total, 3)
    extra = [1.0] * (total - spatial)
    direction = np.eye(total)
    direction[:spatial, :spatial] = np.reshape(geometry.direction, (3, 3))[:spatial, :spatial]
    image.SetSpacing([*geometry.spacing_mm[::-1][:spatial], *extra])
    image.SetOrigin([*geometry.origin_mm[:spatial], *(0.0 for _ in extra)])
    image.SetDirection(direction.ravel().tolist())
    return image


def _write(path: Path, image: Any) -> None:
    if not path.name.endswith(_WRITABLE):
        msg = f"cannot write {path.name}: its name must end in one of {', '.join(_WRITABLE)}"
        raise ValueError(msg)
    with files.atomic_path(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
            verify_file(temporary)  # not every writer notices a full disk
        except (RuntimeError, ImageError) as cause:
            raise SystemFailureError(
                f"could not be written whole ({str(cause).strip().splitlines()[-1]})",
                where=path,
                remedy="Check the free space and the permissions of its folder, then run the same command again.",
            ) from cause


def _single_volume(scan: _Scan, path: Path) -> NDArray[Any]:
    if len(scan.volumes) != 1:
        raise ImageError(
            "a series of volumes; which one is meant?",
            where=path,
            expected="one 3D volume",
            found=f"{len(scan.volumes)} volumes",
            remedy=_ONE_VOLUME,
        )
    volume: NDArray[Any] = scan.volumes[0]
    return volume


def _merged_notes(paths: Sequence[Path], scans: Sequence[_Scan]) -> tuple[str, ...]:
    if len(paths) == 1:
        return scans[0].notes
    return tuple(f"{path.name}: {note}" for path, scan in zip(paths, scans, strict=True) for note in scan.notes)
