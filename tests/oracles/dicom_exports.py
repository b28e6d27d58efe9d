"""DICOM files as scanners and archives export them, written by pydicom, which the package does without."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import FileDataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

MR: Final = UID("1.2.840.10008.5.1.4.1.1.4")
AXIAL: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL: Final = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL: Final = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def export(
    folder: Path,
    volume: NDArray[np.integer[Any]],
    *,
    series: str = "series",
    study: str = "study",
    names: str = "IM{:04d}",
    start: int = 1,
    spacing_mm: tuple[float, float, float] = (1.5, 0.9, 0.8),
    origin_mm: tuple[float, float, float] = (-10.0, 20.0, 30.0),
    orientation: Sequence[float] = AXIAL,
    left_out: Sequence[int] = (),
    one_by_one: Mapping[int, Mapping[str, Any]] | None = None,
    **elements: Any,
) -> list[Path]:
    """Write the slices of a volume as files of one series.

    Args:
        folder: where to.
        volume: stored values, (Z, Y, X).
        series: what the series' identifier is made of.
        study: what the study's is.
        names: pattern of the files' names, by instance number.
        start: first instance number.
        spacing_mm: (Z, Y, X).
        origin_mm: (x, y, z) of the first voxel.
        orientation: directions of rows and columns.
        left_out: slices without a file.
        one_by_one: elements of single slices, by slice and keyword; None: the element is not there.
        elements: of all slices, by keyword.
    """
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(orientation[:3], orientation[3:])
    paths = []
    for index, stored in enumerate(volume):
        if index in left_out:
            continue
        number = start + index
        usual = {
            "SOPClassUID": MR,
            "SOPInstanceUID": generate_uid(entropy_srcs=[series, str(number)]),
            "Modality": "MR",
            "PatientID": "case-1",
            "PatientName": "Lovelace^Ada",
            "StudyInstanceUID": generate_uid(entropy_srcs=[study]),
            "SeriesInstanceUID": generate_uid(entropy_srcs=[series, "series"]),
            "SeriesNumber": 7,
            "InstanceNumber": number,
            "ImagePositionPatient": [round(float(x), 4) for x in origin_mm + index * spacing_mm[0] * normal],
            "ImageOrientationPatient": list(orientation),
            "PixelSpacing": list(spacing_mm[1:]),
            "SliceThickness": spacing_mm[0],
        }
        wanted = {**usual, **elements, **(one_by_one or {}).get(index, {})}
        paths.append(_write(folder / names.format(number), stored, wanted))
    return paths


def _write(path: Path, stored: NDArray[np.integer[Any]], elements: Mapping[str, Any]) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = elements["SOPClassUID"]
    meta.MediaStorageSOPInstanceUID = elements["SOPInstanceUID"]
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    bits = 8 * stored.dtype.itemsize
    document.SamplesPerPixel = 1
    document.PhotometricInterpretation = "MONOCHROME2"
    document.Rows, document.Columns = stored.shape
    document.BitsAllocated = document.BitsStored = bits
    document.HighBit = bits - 1
    document.PixelRepresentation = int(stored.dtype.kind == "i")
    document.PixelData = stored.tobytes()
    for keyword, value in elements.items():
        if value is not None:
            setattr(document, keyword, value)
    dcmwrite(path, document, enforce_file_format=True)
    return path
