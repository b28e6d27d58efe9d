"""Scans and label maps: read, checked against each other, and written.

Arrays are in array order (Z, Y, X), and what lies where in the patient stays attached as a `Geometry`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoseg.catalogue import NotFinite
from autoseg.errors import ImageError
from autoseg.formats.finite import check_finite, zero_not_finite
from autoseg.formats.remarks import Remark, note_about
from autoseg.formats.verification import verify_file
from autoseg.images.colours import COLOURS, as_grey, as_label_values, without_transparency
from autoseg.images.dicom.volume import read_slices
from autoseg.images.geometry import Geometry
from autoseg.images.label_values import LARGEST_LABEL, exact_labels
from autoseg.images.same_grid import check_same_grid
from autoseg.images.segments import merged, placed
from autoseg.images.sources import read_lossless, read_source
from autoseg.images.volumes import Admit, Volumes, write_volume
from autoseg.wording import counted

__all__ = [
    "Image",
    "LabelMap",
    "check_same_grid",
    "on_grid_of",
    "read_image",
    "read_labels",
    "read_series",
    "verify_file",
    "write_channels",
    "write_labels",
]


@dataclass(frozen=True, eq=False, repr=False)
class Image:
    """A scan.

    Attributes:
        array: intensities, (C, Z, Y, X), float32, finite, in the file's own units.
        geometry: where the voxels lie; the same for all channels.
        warnings: what the user should know about the files; `formats.remarks` tells doubts from remarks.
        source: the file, the first channel's, or the folder of slices that a message should name; None: there is none.
        files: all that it was read from, each channel's file or every slice.
        colours: whether the channels are red, green and blue of one file.
    """

    array: NDArray[np.float32]
    geometry: Geometry
    warnings: tuple[str, ...] = ()
    source: Path | None = None
    files: tuple[Path, ...] = ()
    colours: bool = False

    def __repr__(self) -> str:
        return f"<Image: {counted(len(self.array), 'channel')}, {_voxels(self.geometry)}>"

    @property
    def shown(self) -> NDArray[np.float32]:
        """One value per voxel to look at, (Z, Y, X): how bright colours are, else the first channel.

        Source: the weights of ITU-R BT.601.
        """
        if not self.colours:
            first: NDArray[np.float32] = self.array[0]
            return first
        weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
        brightness: NDArray[np.float32] = np.tensordot(weights, self.array[:COLOURS], axes=1)
        return brightness


@dataclass(frozen=True, eq=False, repr=False)
class LabelMap:
    """The class of each voxel.

    Attributes:
        array: label values as they are in the file, (Z, Y, X), uint16.
        geometry: where the voxels lie.
        warnings: what the user should know about the file.
        partial: whether it may cover a part of its scan only, as 3D Slicer crops segmentations.
    """

    array: NDArray[np.uint16]
    geometry: Geometry
    warnings: tuple[str, ...] = ()
    partial: bool = False

    def __repr__(self) -> str:
        return f"<LabelMap: {_voxels(self.geometry)}>"


def read_image(
    paths: Sequence[Path],
    *,
    channels: int,
    not_finite: NotFinite = "refuse",
    as_found: bool = False,
    missing: str = "",
    admit: Admit | None = None,
) -> Image:
    """Read a scan of one or several channels.

    Args:
        paths: one file per channel, or a single 4D file whose last axis (in the file's order) holds the channels, or a
            single file in colour. Grey values stored as colours are one channel, where one is wanted. A folder of DICOM
            slices is a file of one channel.
        channels: how many channels there must be.
        not_finite: what to do with voxels that are NaN or infinite.
        as_found: whether colours in a single file may be three channels where one is wanted, and grey values one where
            three are: to learn which a data set has.
        missing: which channels the paths lack by their names, for the message where they do.
        admit: asked before any voxel of a file is read.

    Returns:
        the scan, in float32: integers beyond 2^24 are rounded.

    Raises:
        ImageError: a file is damaged, holds NaN or infinite voxels, or has not the channels or the grid asked for.
    """
    wanted = channels if len(paths) == 1 else 1
    scans = [
        _with_channels(
            read_source(path, not_finite=not_finite, admit=admit), path, wanted, as_found=as_found and len(paths) == 1
        )
        for path in paths
    ]
    colours = len(scans) == 1 and scans[0].colours
    if len(scans) > 1:
        scans = [_on_grid_of(scans[0], scan, where=path, other=paths[0]) for path, scan in zip(paths, scans, strict=True)]
    elif channels == 1 and not colours:
        scans[0].single(paths[0])
    found = sum(len(scan.array) for scan in scans)
    free = as_found and len(paths) == 1 and channels in {1, COLOURS} and (colours or found == 1)
    if found != channels and not free:
        raise ImageError(
            "another number of channels than the data set has",
            where=paths[0],
            expected=counted(channels, "channel"),
            found=f"{found} in {counted(len(paths), 'file')}" + (f"; missing: {missing}" if missing else ""),
            remedy="Give one file per channel, or one file that holds them all: 4D, or in colour for red, green and blue.",
        )
    geometry = scans[0].geometry
    array = np.empty((found, *geometry.shape), dtype=np.float32)
    with np.errstate(over="ignore"):  # doubles beyond float32 become infinite, which is found below
        np.concatenate([scan.array for scan in scans], out=array, casting="unsafe")
    warnings = _merged_warnings(paths, scans)
    if any(scan.array.dtype.kind == "f" for scan in scans):
        if not_finite == "zero":
            stored = np.concatenate([scan.array for scan in scans])
            warnings = (*warnings, *zero_not_finite(array, stored))
        check_finite(array, paths, optional=not_finite == "refuse")
    return Image(array, geometry, warnings, source=paths[0], files=tuple(paths), colours=colours)


def read_series(files: Sequence[Path], *, admit: Admit | None = None) -> Image:
    """Read a scan from the slices of a DICOM series.

    Args:
        files: in the order of the slices.
        admit: asked before any voxel is read.

    Returns:
        the scan, of one channel.

    Raises:
        ImageError: a file is damaged or no slice, or the slices do not make a volume.
    """
    volume = read_slices(files, admit=admit)
    return Image(volume.array, volume.geometry, volume.warnings, source=files[0].parent, files=tuple(files))


def read_labels(path: Path, *, values: Collection[int] | None = None) -> LabelMap:
    """Read a label map.

    Args:
        path: its file, or a folder of DICOM slices.
        values: the label values that may occur, background included, as a mapping with the names of their classes, by which
            3D Slicer's segments are told; None: all from 0 to 65535.

    Raises:
        ImageError: the file is damaged, is no single volume, or holds fractions, negative or undeclared values.
    """
    scan = read_lossless(path)
    if scan.segments:
        found: NDArray[Any] = merged(scan.array, scan.segments, path, values=values)
    else:
        scan = as_label_values(scan, path)
        found = scan.single(path)
    labels, warnings = exact_labels(found, path, values=values)
    warnings = (*scan.warnings, *warnings, *(() if labels.any() else (Remark("the label map is empty: every voxel is 0"),)))
    return LabelMap(array=labels, geometry=scan.geometry, warnings=warnings, partial=bool(scan.segments))


def on_grid_of(labels: LabelMap, image: Geometry, *, where: Path, other: Path, compared: bool = False) -> LabelMap:
    """Take the voxels of a label map for those of its scan, after requiring that they are.

    Args:
        labels: the label map.
        image: geometry of its scan, which becomes that of the label map.
        where: file of the label map.
        other: file of the scan.
        compared: whether both were compared when they were planned, perhaps by an earlier version with other tolerances,
            and have not changed since; then shapes have to be equal and no more.

    Raises:
        ImageError: they are not; see `check_same_grid`.
    """
    if labels.partial and labels.geometry.difference(image):
        array = placed(labels.array, labels.geometry, image, where=where, other=other)
        return LabelMap(array=array, geometry=image, warnings=labels.warnings)
    if compared and labels.geometry.shape == image.shape:
        return replace(labels, geometry=image)
    warnings = check_same_grid(image, labels.geometry, where=where, other=other)
    return replace(labels, geometry=image, warnings=(*labels.warnings, *warnings))


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
    if labels.shape != geometry.shape or lowest < 0 or highest > LARGEST_LABEL:
        msg = f"cannot write {lowest} to {highest} of shape {labels.shape} into uint16 of shape {geometry.shape}"
        raise ValueError(msg)
    stored = labels.astype(np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16)
    write_volume(path, stored, geometry)


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
        write_volume(path, channels[0], geometry)
    else:
        write_volume(path, channels, geometry)


def _voxels(geometry: Geometry) -> str:
    """A grid in short, along (Z, Y, X)."""
    sides = " x ".join(f"{side:.4g}" for side in geometry.spacing_mm)
    return f"{' x '.join(map(str, geometry.shape))} voxels of {sides} mm"


def _with_channels(scan: Volumes, path: Path, wanted: int, *, as_found: bool) -> Volumes:
    """A file's volumes without transparency, and with one channel for colours that are grey, unless they are wanted."""
    if scan.alpha and len(scan.array) != wanted:
        scan = without_transparency(scan, path)
    return as_grey(scan, path) if wanted == 1 and not as_found else scan


def _on_grid_of(first: Volumes, scan: Volumes, *, where: Path, other: Path) -> Volumes:
    scan.single(where)
    warnings = check_same_grid(first.geometry, scan.geometry, where=where, other=other)
    return replace(scan, warnings=(*scan.warnings, *warnings))


def _merged_warnings(paths: Sequence[Path], scans: Sequence[Volumes]) -> tuple[str, ...]:
    if len(paths) == 1:
        return scans[0].warnings
    return tuple(note_about(path.name, note) for path, scan in zip(paths, scans, strict=True) for note in scan.warnings)
