"""DICOM segmentations read by pydicom alone, frame by frame, and laid onto the grid of a NIfTI label map."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        segment: its number.
        mask: rows and columns.
        points_mm: of its pixels, in the patient, LPS: (rows, columns, 3).
        source: identifier of the slice it was made from.
    """

    segment: int
    mask: NDArray[np.bool_]
    points_mm: NDArray[np.float64]
    source: str


def frames(path: Path) -> Iterator[Frame]:
    """The frames of a segmentation, in their order."""
    document = dcmread(path)
    assert (document.Modality, document.SegmentationType, document.BitsAllocated) == ("SEG", "BINARY", 1)
    rows, columns, count = document.Rows, document.Columns, int(document.NumberOfFrames)
    bits = np.unpackbits(np.frombuffer(document.PixelData, np.uint8), bitorder="little")
    masks = bits[: count * rows * columns].reshape(count, rows, columns).astype(bool)
    shared = document.SharedFunctionalGroupsSequence[0]
    for mask, own in zip(masks, document.PerFrameFunctionalGroupsSequence, strict=True):
        yield Frame(
            _group(shared, own, "SegmentIdentificationSequence").ReferencedSegmentNumber,
            mask,
            _points(mask.shape, shared, own),
            own.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID,
        )


def _group(shared: Dataset, own: Dataset, name: str) -> Any:
    return (own if name in own else shared)[name].value[0]


def _points(size: tuple[int, ...], shared: Dataset, own: Dataset) -> NDArray[np.float64]:
    """Source: DICOM part 3, C.7.6.2.1.1."""
    orientation = np.array(_group(shared, own, "PlaneOrientationSequence").ImageOrientationPatient, float)
    between_rows, between_columns = map(float, _group(shared, own, "PixelMeasuresSequence").PixelSpacing)
    corner = np.array(_group(shared, own, "PlanePositionSequence").ImagePositionPatient, float)
    row, column = (numbers[..., np.newaxis] for numbers in np.indices(size))
    return corner + column * between_columns * orientation[:3] + row * between_rows * orientation[3:]


def masks_on_grid(path: Path, label_map: Path) -> tuple[dict[int, NDArray[np.bool_]], NDArray[np.int64]]:
    """The segments of a file on the grid of a label map, and the label map as nibabel reads it; both (X, Y, Z)."""
    image: Any = nib.load(label_map)
    labels = np.asarray(image.dataobj).astype(np.int64)
    document = dcmread(path, stop_before_pixels=True)
    found = {int(one.SegmentNumber): np.zeros(labels.shape, bool) for one in document.SegmentSequence}
    to_voxels = np.linalg.inv(image.affine)
    for frame in frames(path):
        in_ras = frame.points_mm * (-1, -1, 1)
        exact = in_ras @ to_voxels[:3, :3].T + to_voxels[:3, 3]
        voxels = np.rint(exact).astype(int)
        assert np.abs(exact - voxels).max() < 0.01, "frames lie between the voxels of the label map"
        found[frame.segment][tuple(voxels[frame.mask].T)] = True
    return found, labels
