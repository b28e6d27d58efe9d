"""Several scans in work at a time: results, messages and failures as of one after the other."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autoseg.errors import CasesFailedError, MemoryLimitError
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, write_channels
from autoseg.inference import lanes as module
from autoseg.inference.lanes import Lanes, scans_at_once
from autoseg.inference.memory import share_gb
from autoseg.inference.output_folder import Results
from autoseg.inference.results import Predicted, predict_scans
from autoseg.inference.scans import find_scans
from autoseg.model.compute import Compute


def test_outcomes_come_in_order_and_no_more_are_in_work_than_there_are_lanes() -> None:
    begun: list[int] = []

    def work(item: int, lane: int) -> int:
        begun.append(item)
        time.sleep(0.002 * (5 - item % 5))  # later ones are done earlier
        return item * item

    lanes = Lanes(work, lanes=3)
    for number, outcome in enumerate(lanes.outcomes(range(12))):
        assert outcome() == number * number
        assert len(begun) <= number + 3


def test_a_single_lane_works_here_and_only_when_asked() -> None:
    threads: list[threading.Thread] = []
    outcomes = list(Lanes(lambda _, lane: threads.append(threading.current_thread()), lanes=1).outcomes([1, 2]))
    assert not threads
    for outcome in outcomes:
        outcome()
    assert threads == [threading.current_thread()] * 2


def test_whoever_leaves_early_waits_for_what_is_in_work_and_begins_nothing_else() -> None:
    begun: list[int] = []
    lanes = Lanes(lambda item, lane: begun.append(item), lanes=2)
    with closing(lanes.outcomes(range(100))) as outcomes:  # type: ignore[type-var]  # a generator
        next(outcomes)()
    assert len(begun) <= 3


def test_only_a_gpu_has_several_scans_in_work(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, cpu = (Compute(torch.device(kind), bfloat16=False) for kind in ("cuda", "cpu"))
    for cores, expected in ((1, 1), (4, 2), (16, 6)):
        monkeypatch.setattr(module, "usable_cores", lambda cores=cores: cores)
        assert (scans_at_once([gpu]), scans_at_once([cpu])) == (expected, 1)


def test_scans_share_the_memory_and_the_program() -> None:
    assert share_gb(4.0, 1) == 4.0
    assert share_gb(4.0, 2) == pytest.approx(0.5 + 1.75)
    assert share_gb(0.3, 2) == 0.5


# Through the folder of results.


@dataclass(frozen=True)
class _Ensemble:
    data: Any
    title: str = "tiny: unet fold_0"
    not_finite: str = "refuse"


@dataclass(frozen=True)
class _Segmenter:
    """Finds a disc wherever a scan is bright, the later the earlier; needs memory for scans that are brighter than 5."""

    ensemble: _Ensemble
    memory_gb: float = 4.0
    digest: str = "one"
    quality: Any = None

    def is_identified_by(self, digest: str) -> bool:
        return digest == self.digest

    def admit(self, geometry: Geometry, size: int, **wanted: bool) -> None:
        """Has memory for everything."""

    def segment(self, image: Image, **how: Any) -> Any:
        assert (how["spool"] is None) == (self.memory_gb < 4.0)  # a file is for a scan that has all the memory
        brightest = float(image.array.max())
        if brightest > 5.0 and self.memory_gb < 4.0:
            raise MemoryLimitError("segmenting takes more memory than it may", remedy="Allow more.")
        time.sleep(0.01 / brightest)
        labels = (image.array[0] > 0).astype(np.uint16)
        found = {
            "labels": type("LabelMap", (), {"array": labels, "geometry": image.geometry}),
            "probabilities": None,
            "spooled": None,
            "entropy": None,
            "predicted_dice": None,
            "estimated_dice": None,
            "warnings": (f"brightest {brightest:g}",),
        }
        return type("Segmentation", (), found)


class _Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, message: str) -> None:
        self.said.append(message)

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Any]:
        yield self

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self.said.append(f"done {fields['scan']}")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    geometry = Geometry(shape=(4, 11, 13), spacing_mm=(2.0, 1.0, 1.0))
    (tmp_path / "in").mkdir()
    for number in range(7):
        array = np.full((1, *geometry.shape), -1.0, dtype=np.float32)
        array[0, :2] = number + 1
        write_channels(tmp_path / "in" / f"scan{number}.nii.gz", array, geometry)
    return tmp_path / "in"


def predicted(scans: Path, folder: Path, plan: Any, *, at_once: int, heard: _Heard) -> Predicted:
    found = find_scans(scans, channels=1, results=folder)
    segmenter: Any = _Segmenter(_Ensemble(plan.data))
    return predict_scans(found, segmenter, Results(folder), not_finite=None, events=heard, at_once=at_once)


def test_several_at_a_time_give_what_one_after_the_other_gives(scans: Path, tmp_path: Path, tiny_plan: Any) -> None:
    one, three = _Heard(), _Heard()
    first = predicted(scans, tmp_path / "one", tiny_plan, at_once=1, heard=one)
    second = predicted(scans, tmp_path / "three", tiny_plan, at_once=3, heard=three)
    assert first == second
    assert one.said == three.said
    assert [text for text in three.said if "done" in text] == [f"done scan{number}" for number in range(7)]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(
        path.name for path in (tmp_path / "three").iterdir()
    )
    again = predicted(scans, tmp_path / "three", tiny_plan, at_once=3, heard=_Heard())
    assert len(again.skipped) == 7


def test_a_bad_scan_among_several_leaves_the_others_alone(scans: Path, tmp_path: Path, tiny_plan: Any) -> None:
    broken = scans / "scan2.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-20])
    heard = {}
    for at_once in (1, 3):
        heard[at_once] = _Heard()
        with pytest.raises(CasesFailedError, match="scan2"):
            predicted(scans, tmp_path / f"out{at_once}", tiny_plan, at_once=at_once, heard=heard[at_once])
        assert len(list((tmp_path / f"out{at_once}").glob("*.nii.gz"))) == 6
    assert heard[1].said == heard[3].said
