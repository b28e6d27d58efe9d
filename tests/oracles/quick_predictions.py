"""Folders of results made by a segmenter that takes no time, for tests of what happens to files."""

from pathlib import Path
from typing import Any

import numpy as np

from autoseg.events import Events, Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, LabelMap
from autoseg.inference.output_folder import Results
from autoseg.inference.part import WHOLE, Part
from autoseg.inference.results import Predicted, predict_scans
from autoseg.inference.scans import find_scans


class Segmenter:
    """Finds a disc wherever a scan is bright; counts what it is asked for."""

    def __init__(self, plan: Any, digest: str = "one", value: int = 1) -> None:
        self.ensemble = type(
            "Ensemble", (), {"data": plan.data, "not_finite": "refuse", "title": "tiny: unet fold_0 fold_1 + sepres fold_0"}
        )
        self.digest = digest
        self.quality: Any = None
        self.segmented = 0
        self.value = value
        self.memory_gb = 4.0

    def is_identified_by(self, digest: str) -> bool:
        return digest == self.digest

    def admit(self, geometry: Geometry, size: int, **wanted: bool) -> None:
        """Has memory for everything."""

    def segment(self, image: Image, *, with_probabilities: bool, with_uncertainty: bool, **how: Any) -> Any:
        self.segmented += 1
        bright = image.array[0] > 0
        labels = bright.astype(np.uint16) * np.uint16(self.value)
        channels = np.stack([~bright, bright]).astype(np.float32)
        found = {
            "labels": LabelMap(labels, image.geometry),
            "probabilities": channels if with_probabilities else None,
            "spooled": None,
            "entropy": channels[0] if with_uncertainty else None,
            "predicted_dice": {"disc": 0.5} if with_uncertainty else None,
            "estimated_dice": 0.5,
            "warnings": ("rather bright",),
        }
        return type("Segmentation", (), found)


def predict(scans: Path, results: Results, segmenter: Any, *, events: Events | None = None, part: Part = WHOLE) -> Predicted:
    found = find_scans(scans, channels=1, results=results.folder)
    return predict_scans(found, segmenter, results, not_finite=None, events=events or Silent(), part=part)


def listing(folder: Path) -> list[str]:
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(name) for name in names if not any(part.startswith(".") for part in name.parts))
