"""Scans shared out over several devices, pretended ones and the processor named twice: what comes of them is the same."""

import shutil
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracles.untrained_models import untrained_ensemble

import autoseg
from autoseg.errors import MemoryLimitError
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, write_channels
from autoseg.inference import passes
from autoseg.inference.lanes import Lanes, scans_at_once
from autoseg.inference.one_scan import ScanWork
from autoseg.inference.output_folder import FileDigests, Results
from autoseg.inference.prediction_settings import PredictionSettings
from autoseg.inference.results import predict_scans
from autoseg.inference.scans import Scan, find_scans
from autoseg.inference.segmenter import Segmenter
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan

PATIENCE_S = 300.0
GEOMETRY = Geometry(shape=(4, 11, 13), spacing_mm=(2.0, 1.0, 1.0))


def test_no_two_items_are_in_work_in_one_lane() -> None:
    together = threading.Barrier(3)
    seen: list[tuple[int, int]] = []

    def work(item: int, lane: int) -> int:
        together.wait(PATIENCE_S)  # until all lanes are in work
        seen.append((item, lane))
        together.wait(PATIENCE_S)
        return item

    assert [outcome() for outcome in Lanes(work, lanes=3).outcomes(range(9))] == list(range(9))
    for first in range(0, 9, 3):
        assert {lane for _, lane in seen[first : first + 3]} == {0, 1, 2}


def test_an_item_that_fails_leaves_its_lane_to_others() -> None:
    lanes: set[int] = set()

    def work(item: int, lane: int) -> None:
        lanes.add(lane)
        raise ZeroDivisionError

    for outcome in Lanes(work, lanes=2).outcomes(range(20)):
        with pytest.raises(ZeroDivisionError):
            outcome()
    assert lanes <= {0, 1}


@pytest.mark.parametrize(
    ("devices", "cores", "expected"),
    [
        ("cuda:0", 16, 6),
        ("cuda:0 cuda:1", 16, 8),
        ("cuda:0 cuda:1", 64, 12),
        ("cuda:0 cuda:1 cuda:2", 2, 3),
        ("cpu", 16, 1),
        ("cpu cpu", 16, 2),
    ],
)
def test_every_device_has_scans_in_work(monkeypatch: pytest.MonkeyPatch, devices: str, cores: int, expected: int) -> None:
    monkeypatch.setattr("autoseg.inference.lanes.usable_cores", lambda: cores)
    assert scans_at_once([Compute(torch.device(name), bfloat16=False) for name in devices.split()]) == expected


@dataclass
class _Ensemble:
    data: Any
    title: str = "tiny: unet fold_0"
    not_finite: str = "refuse"


@dataclass(frozen=True)
class _OnDevice:
    """Pretends to segment on a device, together with those on the others."""

    ensemble: _Ensemble
    device: str
    together: threading.Barrier
    done: list[tuple[str, str]] = field(default_factory=list)
    memory_gb: float = 4.0
    digest: str = "one"
    quality: Any = None

    def is_identified_by(self, digest: str) -> bool:
        return digest == self.digest

    def admit(self, geometry: Geometry, size: int, **wanted: bool) -> None:
        """Has memory for everything."""

    def segment(self, image: Image, **how: Any) -> Any:
        self.together.wait(PATIENCE_S)
        self.done.append((self.device, threading.current_thread().name))
        found = {
            "labels": type("LabelMap", (), {"array": (image.array[0] > 0).astype(np.uint16), "geometry": image.geometry}),
            "probabilities": None,
            "spooled": None,
            "entropy": None,
            "predicted_dice": None,
            "estimated_dice": None,
            "warnings": (),
        }
        return type("Segmentation", (), found)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        array = np.random.default_rng(number).normal(size=(1, *GEOMETRY.shape)).astype(np.float32)
        write_channels(folder / f"scan{number}.nii.gz", array, GEOMETRY)
    return folder


@pytest.mark.parametrize("at_once", [2, 3, 6])
def test_devices_have_equal_shares_of_the_scans(scans: Path, tmp_path: Path, tiny_plan: Plan, at_once: int) -> None:
    ensemble, together = _Ensemble(tiny_plan.data), threading.Barrier(at_once)
    first: Any = _OnDevice(ensemble, "cuda:0", together)
    others: Any = [replace(first, device=f"cuda:{number}") for number in range(1, at_once)]
    found = find_scans(scans, channels=1)
    results = Results(tmp_path / "out")
    predicted = predict_scans(found, first, results, not_finite=None, events=Silent(), at_once=at_once, replicas=others)
    assert [row.case for row in predicted.rows] == [f"scan{number}" for number in range(6)]
    devices = [device for device, _ in first.done]
    for begun in range(0, 6, at_once):  # all of them work whenever one does
        assert set(devices[begun : begun + at_once]) == {f"cuda:{number}" for number in range(at_once)}


def test_the_same_networks_on_another_device_find_the_same(tiny_plan: Plan) -> None:
    ensemble = untrained_ensemble(tiny_plan, folds=("0", "1"), mirror=True)
    segmenter = Segmenter(ensemble, steps=(), quality=None, trained_on=())
    elsewhere = Compute(torch.device("cpu", 0), bfloat16=False)  # another name for the same
    copy = segmenter.on(elsewhere)
    assert copy.ensemble.compute is elsewhere
    assert all(one.compute is elsewhere for one in copy.ensemble.passes)
    assert copy.digest == segmenter.digest
    weights = [[next(member.network.parameters()) for member in each.ensemble.members] for each in (segmenter, copy)]
    assert all(torch.equal(one, other) and one.data_ptr() != other.data_ptr() for one, other in zip(*weights, strict=True))
    image = Image(np.random.default_rng(0).normal(size=(1, *GEOMETRY.shape)).astype(np.float32), GEOMETRY)
    first, second = (each.segment(image, with_probabilities=True) for each in (segmenter, copy))
    assert first.probabilities is not None
    assert second.probabilities is not None
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    assert segmenter.on(Compute(torch.device("cpu"), bfloat16=False)).ensemble is ensemble  # nothing to copy


@pytest.mark.parametrize(
    "other", [Compute(torch.device("meta"), bfloat16=False), Compute(torch.device("cpu"), bfloat16=True)]
)
def test_other_kinds_of_devices_and_number_formats_are_other_results(tiny_plan: Plan, other: Compute) -> None:
    with pytest.raises(ValueError, match="another one"):
        untrained_ensemble(tiny_plan, folds=("0",), mirror=True).on(other)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(passes, "predict_slices", fill)


def test_a_full_gpu_is_a_scan_that_takes_too_much_memory(tiny_plan: Plan, full: None, scans: Path, tmp_path: Path) -> None:
    segmenter = Segmenter(untrained_ensemble(tiny_plan, folds=("0",), mirror=True), steps=(), quality=None, trained_on=())
    settings = PredictionSettings(segmenter, "refuse")
    work = ScanWork(settings, Results(tmp_path / "out"), {}, FileDigests(), Silent(), at_once=2)
    error = work(Scan("scan0", (scans / "scan0.nii.gz",)), 1).result
    assert isinstance(error, MemoryLimitError)
    assert error.what == "the GPU cpu has too little memory left"
    # What was computed when the memory was full is not kept, while the scan is tried again without the others.
    assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_predict_on_two_devices_writes_what_it_writes_on_one(cohort: Path, trained: Path, tmp_path: Path) -> None:
    (scan,) = (cohort / "Test_Set").glob("*/*.nii.gz")
    for number in range(3):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(scan, tmp_path / "in" / f"scan{number}.nii.gz")
    for name, device in (("one", "cpu"), ("two", "cpu,cpu")):
        autoseg.predict(
            tmp_path / "in", tmp_path / name, workspace=trained, uncertainty=True, precision="float32", device=device
        )
        (tmp_path / name / ".checksums.json").unlink(missing_ok=True)  # remembered where scans are older than two seconds
    one, two = (written(tmp_path / name) for name in ("one", "two"))
    assert one == two
    assert "predictions.csv" in one
    again = autoseg.predict(
        tmp_path / "in", tmp_path / "one", workspace=trained, uncertainty=True, precision="float32", device=["cpu", "cpu"]
    )
    assert len(again.skipped) == 3
