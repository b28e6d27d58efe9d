"""Folders of results as `predict` leaves them, made without a network: label maps that are given, and their table."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from oracles.tiny_cases import write_nifti

from autoseg.data.dataset import LabelClass
from autoseg.images.image import write_labels
from autoseg.inference.scan_places import scan_cells
from autoseg.inference.scans import find_scans
from autoseg.inference.table import TABLE_FILE, PredictionRow, write_table
from autoseg.storage import files

CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=1, name="ball"))


def write_results(
    folder: Path, scans: Path, label_maps: Mapping[str, NDArray[np.uint8]], *, estimates: Mapping[str, float] | None = None
) -> None:
    """Write label maps of scans with one channel, and the table that says what they were made from.

    Args:
        folder: of the results.
        scans: where the scans lie.
        label_maps: by id, (Z, Y, X).
        estimates: the Dice that each probably reaches; a scan without one has none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for scan in find_scans(scans, channels=1, results=folder).scans:
        if scan.id not in label_maps:
            continue
        path = folder / f"{scan.id}.nii.gz"
        write_labels(path, label_maps[scan.id], scan.read(channels=1).geometry)
        row = PredictionRow(
            case=scan.id,
            input_sha256=files.sha256_json([files.sha256_file(file) for file in scan.images]),
            model_digest="a model",
            output_sha256=files.sha256_file(path),
            volumes_ml={"ball": 1.0},
            predicted_dice={},
            warnings="",
            model="tiny: unet (a model)",
            estimated_dice=(estimates or {}).get(scan.id),
            scan=scan_cells(scan, folder),
        )
        rows.append(row)
    write_table(folder / TABLE_FILE, rows, classes=CLASSES)


def write_scans(folder: Path, scans: Mapping[str, NDArray[np.int16]]) -> None:
    """Write scans of one channel, by id, as `<id>.nii`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scan in scans.items():
        write_nifti(folder / f"{name}.nii", scan)
