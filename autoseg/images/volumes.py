"""The SimpleITK adapter: files become arrays with a `Geometry`, and arrays become files.

Every file is verified before it is read (see `formats.verification`). With `dicom.slice`, the only place that imports
SimpleITK.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from autoseg.catalogue import NotFinite
from autoseg.errors import ImageError, SystemFailureError
from autoseg.formats import WRITABLE_SUFFIXES
from autoseg.formats.header import Header, not_scalar
from autoseg.formats.nifti import NIFTI
from autoseg.formats.picture import Picture, pixel_size
from autoseg.formats.segments import Segment
from autoseg.formats.streams import AGAIN
from autoseg.formats.text import without_addresses
from autoseg.formats.verification import describe, verify_file
from autoseg.images.geometry import Geometry
from autoseg.images.nifti_file import write_nifti
from autoseg.images.pillow_pictures import read_picture
from autoseg.images.reader_name import name_for_reader
from autoseg.storage import files
from autoseg.storage.utf8 import utf8_path

# What it prints goes straight to the terminal; what matters in it is told by verify_file's warnings.
sitk.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003 - takes no names

_COLOURS = 3  # red, green and blue
Admit = Callable[[Geometry, int], None]
"""Raises an error where a scan should not be read: takes its geometry, and the bytes of one voxel as stored, 0 for few."""

_ONE_VOLUME = "Choose one volume of the series and save it as a 3D file."


@dataclass(frozen=True, eq=False)
class Volumes:
    """What one file holds.

    Attributes:
        array: (T, Z, Y, X), the file's own type; of several numbers per voxel each is one of the T.
        geometry: of each volume.
        warnings: what the user should know about the file.
        owner: the SimpleITK image: the array only looks into its memory and is void without it; None: it has its own.
        colours: whether they are red, green and blue.
        alpha: whether the last of them is transparency.
        segments: of a segmentation by 3D Slicer, whose layers they are.
        lossy: whether a DICOM series says that values may have changed when they were compressed.
    """

    array: NDArray[Any]
    geometry: Geometry
    warnings: tuple[str, ...]
    owner: Any
    colours: bool = False
    alpha: bool = False
    segments: tuple[Segment, ...] = ()
    lossy: bool = False

    def single(self, path: Path) -> NDArray[Any]:
        """The only volume, (Z, Y, X).

        Raises:
            ImageError: there are several.
        """
        if len(self.array) != 1:
            raise ImageError(
                "a series of volumes; which one is meant?",
                where=path,
                expected="one 3D volume",
                found=f"{len(self.array)} volumes",
                remedy=_ONE_VOLUME,
            )
        volume: NDArray[Any] = self.array[0]
        return volume


def read_volumes(
    path: Path, *, not_finite: NotFinite = "refuse", as_labels: bool = False, admit: Admit | None = None
) -> Volumes:
    """Verify a file and read it.

    Args:
        path: the file.
        not_finite: what to do with voxels that are NaN or infinite.
        as_labels: of a palette, give the places and not the colours that stand there.
        admit: asked before any voxel of what may be large is read.

    Raises:
        ImageError: it is damaged, or holds neither volumes of scalars nor colours.
    """
    warnings = verify_file(path, not_finite=not_finite)
    described = describe(path)
    if isinstance(described, Picture) and not described.as_stored:
        array = read_picture(path, described, as_labels=as_labels)
        return _volumes(path, described, array, _grid_of(array), warnings=warnings, owner=None)
    reader = sitk.ImageFileReader()
    with name_for_reader(path) as name:
        reader.SetFileName(name)
        try:
            reader.ReadImageInformation()
            _check_pixels(reader, path, components=_components(described))
            if admit is not None:
                admit(_geometry(reader), _voxel_bytes(reader))
            image = reader.Execute()
        except RuntimeError as cause:
            raise _unreadable(path, str(cause), is_picture=isinstance(described, Picture)) from None
    geometry, view = _geometry(image), sitk.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        view = np.moveaxis(view, -1, 0)  # (C, ...)
    series = [length for length in view.shape[: -min(image.GetDimension(), 3)] if length > 1]
    if len(series) > 1:
        raise ImageError("more than four dimensions", where=path, found=view.shape, remedy=_ONE_VOLUME)
    return _volumes(path, described, view.reshape(-1, *geometry.shape), geometry, warnings=warnings, owner=image)


def read_volumes_geometry(path: Path) -> Geometry:
    """Where the voxels of a file that was read before lie, from its header alone unless it is a picture.

    Raises:
        ImageError: the file is missing or damaged.
    """
    described = describe(path)
    if isinstance(described, Picture):
        return read_volumes(path).geometry
    reader = sitk.ImageFileReader()
    with name_for_reader(path) as name:
        reader.SetFileName(name)
        try:
            reader.ReadImageInformation()
        except RuntimeError as cause:
            raise _unreadable(path, str(cause)) from None
    return _stated(_geometry(reader), described, path)


def write_volume(path: Path, array: NDArray[Any], geometry: Geometry) -> None:
    """Write an array, compressed, whole or not at all.

    Args:
        path: ends in one of `formats.WRITABLE_SUFFIXES`.
        array: (Z, Y, X), or (T, Z, Y, X): the first axis becomes the file's fourth.
        geometry: where the voxels lie; of two dimensions: a single slice becomes a 2D file.

    Raises:
        ImageError: the format cannot hold so many voxels along an axis.
        SystemFailureError: the disk is full, or the place may not be written.
    """
    if not path.name.endswith(WRITABLE_SUFFIXES):
        msg = f"cannot write {path.name}: its name must end in one of {', '.join(WRITABLE_SUFFIXES)}"
        raise ValueError(msg)
    if path.name.endswith(NIFTI.writable):
        write_nifti(path, array, geometry)
        return
    flat = geometry.dimensions == 2 and array.ndim == 3
    image = _to_sitk(array[0] if flat else array, geometry)
    with files.atomic_path(path) as temporary:
        try:
            with utf8_path(temporary) as named:
                sitk.WriteImage(image, str(named), useCompression=True)
            verify_file(temporary)  # not every writer notices a full disk
        except (RuntimeError, ImageError) as cause:
            raise SystemFailureError(
                f"could not be written whole ({without_addresses(str(cause).strip().splitlines()[-1])})",
                where=path,
                remedy="Check the free space and the permissions of its folder, then run the same command again.",
            ) from cause


def _components(described: Header | Picture | None) -> int:
    """Numbers per voxel that a file announces."""
    if isinstance(described, Header):
        return described.components
    return 1 if described is None or described.pixels == "grey" else _COLOURS + described.alpha


def _check_pixels(reader: Any, path: Path, *, components: int) -> None:
    pixel_type = sitk.GetPixelIDValueAsString(reader.GetPixelIDValue())
    if reader.GetNumberOfComponents() != components or "complex" in pixel_type:
        raise not_scalar(path, f"{reader.GetNumberOfComponents()} ({pixel_type})")


def _voxel_bytes(reader: Any) -> int:
    """Of one voxel as it is stored, in all volumes of a file together."""
    bits = re.search(r"\d+", sitk.GetPixelIDValueAsString(reader.GetPixelIDValue()))  # such as "16-bit signed integer"
    several = reader.GetNumberOfComponents() * math.prod(int(length) for length in reader.GetSize()[3:])
    return int(bits[0]) // 8 * several if bits else 0


def _grid_of(array: NDArray[Any]) -> Geometry:
    """Of a picture without a place in the patient, (C, Z, Y, X)."""
    _, pages, rows, columns = array.shape
    return Geometry(shape=(pages, rows, columns), spacing_mm=(1.0, 1.0, 1.0), dimensions=2 if pages == 1 else 3)


def _volumes(
    path: Path,
    described: Header | Picture | None,
    array: NDArray[Any],
    geometry: Geometry,
    *,
    warnings: tuple[str, ...],
    owner: Any,
) -> Volumes:
    segments = described.segments if isinstance(described, Header) else ()
    alpha = described is not None and described.alpha and len(array) > 1
    return Volumes(
        array=array,
        geometry=_stated(geometry, described, path),
        warnings=warnings,
        owner=owner,
        colours=len(array) - alpha == _COLOURS and _components(described) > 1 and not segments,
        alpha=alpha,
        segments=segments,
    )


def _unreadable(path: Path, message: str, *, is_picture: bool = False) -> ImageError:
    if "orthonormal" in message:
        return ImageError(
            "the image axes are not at right angles (a sheared sform)",
            where=path,
            remedy="Straighten the header in nibabel, and that of its label map likewise, so that labels stay on their "
            "voxels: image.set_qform(image.affine); image.set_sform(image.get_qform(), 1).",
        )
    last = without_addresses(message.strip().splitlines()[-1])
    # Of PNG, JPEG and the like the voxels were not verified before; what a file is its content tells.
    remedy = AGAIN if is_picture else "Check that its name ends as its format demands, or convert it to .nii.gz."
    return ImageError(f"SimpleITK cannot read it ({last})", where=path, remedy=remedy)


def _geometry(image: Any) -> Geometry:
    """Of a 2D, 3D or longer SimpleITK image, or of the reader of one; axes beyond the third are no part of it."""
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


def _stated(geometry: Geometry, described: Header | Picture | None, path: Path) -> Geometry:
    """The geometry by all that the file says."""
    return _in_mm(geometry, described, path).stated_as(described.placement if isinstance(described, Header) else None)


def _in_mm(geometry: Geometry, described: Header | Picture | None, path: Path) -> Geometry:
    """The geometry by what the file states, where SimpleITK drops its unit or takes a hint for printing for a size."""
    if isinstance(described, Picture):
        pixels = pixel_size(path, described)
        known = pixels.spacing_mm
        return replace(
            geometry,
            spacing_mm=known or (1.0, 1.0, 1.0),
            origin_mm=(0.0, 0.0, 0.0),
            spacing_stated=known is not None,
            printed_mm=pixels.printed_mm,
        )
    unit_mm = 1.0 if described is None else described.unit_mm
    if unit_mm == 1:
        return geometry
    across, rows, columns = geometry.spacing_mm
    x, y, z = (coordinate * unit_mm for coordinate in geometry.origin_mm)
    thickness_mm = across * unit_mm if geometry.dimensions > 2 else across  # that of a 2D image is 1 mm by convention
    return replace(geometry, spacing_mm=(thickness_mm, rows * unit_mm, columns * unit_mm), origin_mm=(x, y, z))


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
