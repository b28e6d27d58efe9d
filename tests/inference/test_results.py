from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoseg.data.geometry import Geometry
from autoseg.data.image import Image, write_channels
from autoseg.errors import CasesFailedError, UsageError
from autoseg.events import Silent
from autoseg.inference.results import Predicted, Results, predict_scans
from autoseg.inference.scans import find_scans
from autoseg.storage import files

GEOMETRY = Geometry(shape=(4, 11, 13), spacing_mm=(2.0, 1.0, 1.0))


class Segmenter:
    """Finds a disc wherever a scan is bright; counts what it is asked for."""

    def __init__(self, plan: Any, digest: str = "one") -> None:
        self.ensemble = type("Ensemble", (), {"plan": plan})
        self.digest = digest
        self.segmented = 0

    def is_identified_by(self, digest: str) -> bool:
        return digest == self.digest

    def segment(self, image: Image, *, with_probabilities: bool, with_uncertainty: bool) -> Any:
        self.segmented += 1
        labels = (image.array[0] > 0).astype(np.uint16)
        channels = np.stack([1.0 - labels, labels]).astype(np.float32)
        found = {
            "labels": type("LabelMap", (), {"array": labels, "geometry": image.geometry}),
            "probabilities": channels if with_probabilities else None,
            "entropy": channels[0] if with_uncertainty else None,
            "predicted_dice": {"disc": 0.5} if with_uncertainty else None,
            "warnings": ("rather bright",),
        }
        return type("Segmentation", (), found)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    for seed, name in enumerate(("a", "b")):
        values = np.random.default_rng(seed).normal(size=(1, *GEOMETRY.shape)).astype(np.float32)
        write_channels(folder / f"{name}.nii.gz", values, GEOMETRY)
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


def predict(scans: Path, results: Results, segmenter: Any, **settings: Any) -> Predicted:
    found = find_scans(scans, channels=1, results=results.folder)
    return predict_scans(found, segmenter, results, not_finite=None, events=settings.get("events", Silent()))


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")


def test_every_scan_has_a_label_map_and_a_row(scans: Path, results: Results, tiny_plan: Any) -> None:
    predicted = predict(scans, results, Segmenter(tiny_plan))
    assert [row.case for row in predicted.rows] == ["a", "b"]
    assert not predicted.skipped
    assert listing(results.folder) == ["a.nii.gz", "b.nii.gz", "predictions.csv"]


def test_what_the_same_models_segmented_is_skipped(scans: Path, results: Results, tiny_plan: Any) -> None:
    segmenter = Segmenter(tiny_plan)
    first = predict(scans, results, segmenter)
    assert predict(scans, results, segmenter) == replace(first, skipped=("a", "b"))
    assert segmenter.segmented == 2
    assert predict(scans, results, Segmenter(tiny_plan, "another")).skipped == ()
    assert predict(scans, replace(results, force=True), Segmenter(tiny_plan, "another")).skipped == ()


def test_what_is_asked_for_later_is_added_and_what_is_no_longer_asked_for_goes_with_its_label_map(
    scans: Path, results: Results, tiny_plan: Any
) -> None:
    drawn: list[Path] = []

    def draw(path: Path, image: Image, overlays: Mapping[str, Any], /, *, classes: Any) -> None:
        drawn.append(path)
        files.write_text(path, "picture")

    predict(scans, results, Segmenter(tiny_plan))
    every = replace(results, probabilities=True, uncertainty=True, draw=draw)
    assert predict(scans, every, Segmenter(tiny_plan)).skipped == ()
    kinds = {"pictures": "png", "probabilities": "nii.gz", "uncertainty": "nii.gz"}
    extras = [f"{folder}/{case}.{ending}" for folder, ending in kinds.items() for case in ("a", "b")]
    assert listing(results.folder) == ["a.nii.gz", "b.nii.gz", *extras[:2], "predictions.csv", *extras[2:]]
    assert [path.name for path in drawn] == ["a.png", "b.png"]
    predict(scans, results, Segmenter(tiny_plan, "another"))
    assert listing(results.folder) == ["a.nii.gz", "b.nii.gz", "predictions.csv"]


def test_label_maps_that_were_corrected_are_kept(scans: Path, results: Results, tiny_plan: Any) -> None:
    predict(scans, results, Segmenter(tiny_plan))
    corrected = results.folder / "a.nii.gz"
    corrected.write_bytes(b"corrected")
    with pytest.raises(UsageError, match=r"changed since.*a\.nii\.gz.*--force"):
        predict(scans, results, Segmenter(tiny_plan, "another"))
    assert corrected.read_bytes() == b"corrected"
    predict(scans, replace(results, force=True), Segmenter(tiny_plan))
    assert corrected.read_bytes() != b"corrected"


def test_a_label_map_of_a_killed_command_is_replaced(scans: Path, results: Results, tiny_plan: Any) -> None:
    files.write_json(results.folder / ".pending.json", {"case": "a"})
    (results.folder / "a.nii.gz").write_bytes(b"half of it was entered nowhere")
    assert len(predict(scans, results, Segmenter(tiny_plan)).rows) == 2
    assert not (results.folder / ".pending.json").exists()


def test_scans_are_not_written_over(scans: Path, tiny_plan: Any) -> None:
    segmenter = Segmenter(tiny_plan)
    with pytest.raises(UsageError, match=r"would replace the scans"):
        predict(scans / "a.nii.gz", Results(scans, force=True), segmenter)
    assert not segmenter.segmented


def test_a_bad_scan_leaves_the_others_alone(scans: Path, results: Results, tiny_plan: Any) -> None:
    (scans / "a.nii.gz").write_bytes(b"no scan")
    with pytest.raises(CasesFailedError, match=r"a: .*a\.nii\.gz") as failed:
        predict(scans, results, Segmenter(tiny_plan))
    assert (failed.value.done, listing(results.folder)) == (1, ["b.nii.gz", "predictions.csv"])
