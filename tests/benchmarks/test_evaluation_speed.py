"""How long the evaluation of a folder of small cases takes, with one process and with two."""

import time
from pathlib import Path

import numpy as np
import pytest

from autoseg.evaluation.folders import evaluate_folders
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels


@pytest.mark.benchmark
def test_twenty_small_cases(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for index in range(20):
        labels = np.zeros((36, 50, 35), np.uint16)
        labels[10:25, 15:35, 10:25] = 1
        labels[10:25, 25:35, 10:25] = 2
        noisy = np.where(generator.random(labels.shape) < 0.01, np.uint16(1), labels)
        for folder, array in ((tmp_path / "ours", noisy), (tmp_path / "theirs", labels)):
            folder.mkdir(exist_ok=True)
            write_labels(folder / f"{index:02}.nii.gz", array, Geometry(shape=array.shape, spacing_mm=(2.0, 1.0, 0.5)))
    for jobs in (1, 2):
        start = time.perf_counter()
        evaluation = evaluate_folders(
            tmp_path / "ours", tmp_path / "theirs", classes=None, ignore=None, events=Silent(), jobs=jobs
        )
        print(f"20 cases of 36 x 50 x 35, {jobs} process(es): {time.perf_counter() - start:.2f} s")
        assert len(evaluation.cases) == 20
