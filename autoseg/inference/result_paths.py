"""Where the results of a scan lie in a folder of results."""

from pathlib import Path
from typing import Final

PROBABILITIES: Final = "probabilities"
UNCERTAINTY: Final = "uncertainty"
PICTURES: Final = "pictures"
DICOM_SEG: Final = "dicom_seg"


def label_map_path(folder: Path, case: str) -> Path:
    """The label map."""
    return folder / f"{case}.nii.gz"


def extra_paths(folder: Path, case: str) -> dict[str, Path]:
    """The files beside it, by the names in `table.EXTRAS`."""
    return {
        "probabilities": folder / PROBABILITIES / f"{case}.nii.gz",
        "uncertainty": folder / UNCERTAINTY / f"{case}.nii.gz",
        "picture": folder / PICTURES / f"{case}.png",
        "dicom_seg": folder / DICOM_SEG / f"{case}.dcm",
    }
