"""Data sets of very many very small cases, written in about a second for a few thousand: for what grows with their number.

Each scan holds a bright ball in noise, elsewhere in every case, and its label map the ball; so no two cases are copies.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHAPE: Final = (4, 16, 16)
"""Of a tiny case, (Z, Y, X)."""

_INT16, _UINT8 = 4, 2
"""NIfTI-1's codes of these types."""


def write_tiny_cases(
    root: Path, count: int, *, unlabelled: int = 0, shape: tuple[int, int, int] = SHAPE, seed: int = 0
) -> tuple[str, ...]:
    """Write a data set in nnU-Net's raw layout: `imagesTr/<id>_0000.nii`, `labelsTr/<id>.nii`, `dataset.json`.

    Args:
        root: its folder.
        count: labelled cases.
        unlabelled: further scans, in `imagesTs`, which `predict` takes as a folder.
        shape: voxels (Z, Y, X) of every scan.
        seed: the same seed gives the same cases.

    Returns:
        ids of the labelled cases, `case_00000` and so on.
    """
    for name in ("imagesTr", "labelsTr", *(["imagesTs"] if unlabelled else [])):
        (root / name).mkdir(parents=True, exist_ok=True)
    description = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "ball": 1},
        "numTraining": count,
        "file_ending": ".nii",
    }
    (root / "dataset.json").write_text(json.dumps(description))
    ids = tuple(f"case_{number:05d}" for number in range(count + unlabelled))
    for number, (case, (scan, label)) in enumerate(zip(ids, tiny_scans(len(ids), shape=shape, seed=seed), strict=True)):
        labelled = number < count
        write_nifti(root / ("imagesTr" if labelled else "imagesTs") / f"{case}_0000.nii", scan)
        if labelled:
            write_nifti(root / "labelsTr" / f"{case}.nii", label)
    return ids[:count]


def write_tiny_predictions(folder: Path, count: int, *, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> None:
    """Write label maps for `evaluate` to compare with those of `write_tiny_cases`: the same balls, a voxel off."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (_, label) in enumerate(tiny_scans(count, shape=shape, seed=seed)):
        write_nifti(folder / f"case_{number:05d}.nii", np.roll(label, 1, axis=2))


def tiny_scans(
    count: int, *, shape: tuple[int, int, int] = SHAPE, seed: int = 0
) -> Iterator[tuple[NDArray[np.int16], NDArray[np.uint8]]]:
    """Scans (Z, Y, X) and their label maps, 1 where the ball is."""
    generator = np.random.default_rng(seed)
    grid = np.indices(shape)  # (3, Z, Y, X)
    for _ in range(count):
        centre = generator.uniform(0.3, 0.7, size=3) * shape
        distance_px = np.sqrt(np.square(grid - centre[:, None, None, None]).sum(axis=0))
        label = (distance_px < max(shape[1:]) / 4).astype(np.uint8)
        scan = generator.integers(10, 60, size=shape) + 100 * label
        yield scan.astype(np.int16), label


def write_nifti(path: Path, volume: NDArray[np.int16] | NDArray[np.uint8]) -> None:
    """Write a volume (Z, Y, X) as an uncompressed NIfTI-1 file, voxels of 1 mm, along the patient's axes."""
    kind = _INT16 if volume.dtype == np.int16 else _UINT8
    path.write_bytes(_header(volume.shape, kind, volume.itemsize) + np.ascontiguousarray(volume).tobytes())


def _header(shape: tuple[int, ...], kind: int, itemsize: int) -> bytes:
    """Source: nifti1.h; sizes and offsets are those of its struct."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)  # sizeof_hdr
    struct.pack_into("<8h", header, 40, 3, *shape[::-1], 1, 1, 1, 1)  # dim
    struct.pack_into("<2h", header, 70, kind, 8 * itemsize)  # datatype, bitpix
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)  # pixdim
    struct.pack_into("<3f", header, 108, 352, 1, 0)  # vox_offset, scl_slope, scl_inter
    header[123] = 2  # xyzt_units: mm
    struct.pack_into("<2h", header, 252, 0, 1)  # qform_code, sform_code
    for line, offset in enumerate((280, 296, 312)):  # srow_x, srow_y, srow_z
        struct.pack_into("<4f", header, offset, *(float(line == axis) for axis in range(3)), 0.0)
    header[344:348] = b"n+1\0"
    return bytes(header)
