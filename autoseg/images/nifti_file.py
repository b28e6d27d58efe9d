"""Arrays become NIfTI files that lie where their scan lies, whichever of its statements a reader follows."""

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.formats.nifti_placement import placement_of
from autoseg.formats.nifti_writing import nifti_header
from autoseg.images.geometry import Geometry
from autoseg.storage import files

_LEVELS: Final = {"u": 6, "i": 6, "f": 3}
"""Of compression, by the type of voxels. Source: measured; probabilities of IBSR18 take .42 s and 13.2 MB at level 3, .63 s
and 12.6 MB at zlib's own choice of 6; label maps take hundredths of a second and nearly half the space at level 6."""


def write_nifti(path: Path, array: NDArray[Any], geometry: Geometry) -> None:
    """Write an array, whole or not at all; the same array gives the same bytes.

    Args:
        path: ends in .nii.gz, and is compressed, or in .nii.
        array: (Z, Y, X), or (T, Z, Y, X): the first axis becomes the file's fourth; uint8, int16, uint16 or float32.
        geometry: where the voxels lie; of two dimensions: a single slice becomes a 2D file. What the header of its scan
            says about places is written word for word.

    Raises:
        ImageError: there are more voxels along an axis than NIfTI can count.
        SystemFailureError: the disk is full, or the place may not be written.
    """
    flat = geometry.dimensions == 2 and array.ndim == 3
    placement = geometry.placement or placement_of(geometry.affine)
    header = nifti_header((array[0] if flat else array).shape[::-1], array.dtype, placement)
    with files.atomic_path(path) as temporary, _opened(temporary, level=_LEVELS[array.dtype.kind]) as stream:
        stream.write(header)
        for part in array:  # of a whole series, one volume at a time is copied where its bytes are in another order
            stream.write(np.ascontiguousarray(part, dtype=array.dtype.newbyteorder("<")).data)


def write_nifti_volumes(path: Path, volumes: Iterable[NDArray[np.float32]], geometry: Geometry, *, number: int) -> None:
    """The same for a series of volumes that come one after the other, of which not all fit into memory.

    Args:
        path: ends in .nii.gz, and is compressed, or in .nii.
        volumes: each (Z, Y, X), float32.
        geometry: where the voxels lie.
        number: how many volumes there are.

    Raises:
        ImageError: there are more volumes, or voxels along an axis, than NIfTI can count.
        SystemFailureError: the disk is full, or the place may not be written.
    """
    dtype = np.dtype("<f4")
    header = nifti_header((*reversed(geometry.shape), number), dtype, geometry.placement or placement_of(geometry.affine))
    with files.atomic_path(path) as temporary, _opened(temporary, level=_LEVELS[dtype.kind]) as stream:
        stream.write(header)
        for volume in volumes:
            for part in volume:  # slice by slice, because what was compressed comes back at once
                stream.write(np.ascontiguousarray(part, dtype=dtype).data)


@contextmanager
def _opened(path: Path, *, level: int) -> Iterator[IO[bytes]]:
    with path.open("wb") as plain:
        if path.name.endswith(".gz"):
            # Without a name and a time, which would tell equal files apart.
            with gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=plain, mtime=0) as compressed:
                yield compressed  # type: ignore[misc]
        else:
            yield plain
