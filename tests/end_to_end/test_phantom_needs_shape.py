"""On the phantom a network has to learn shape: intensity alone stays far behind it. Run with `pytest -m slow`."""

import csv
from pathlib import Path

import numpy as np
import pytest
from oracles.thresholds import best_thresholds

from autoseg.commands import plan, train
from autoseg.data.phantom import PhantomSettings, write_cohort
from autoseg.events import Silent
from autoseg.images.image import read_image, read_labels


@pytest.mark.slow
def test_the_best_thresholds_stay_a_tenth_below_a_briefly_trained_unet(tmp_path: Path) -> None:
    cohort, workspace = tmp_path / "IBSR18", tmp_path / "run"
    write_cohort(cohort, PhantomSettings(training=6, test=0))
    plan.run(plan.PlanOptions(cohort, workspace=workspace), Silent())
    (model,) = train.run(train.TrainOptions(architecture="unet", workspace=workspace, minutes=2), Silent()).models
    with (model.folder / "validation" / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    held_out = sorted({row["case"] for row in rows})
    trained = float(np.mean([float(row["dice"]) for row in rows]))
    thresholds = []
    for case in held_out:
        folder = cohort / "Training_Set" / case
        scan = read_image([folder / f"{case}.nii.gz"], channels=1).array[0].astype(np.int16)
        labels = read_labels(folder / f"{case}_seg.nii.gz").array.astype(np.uint8)
        thresholds.append(best_thresholds(scan, labels)[0])
    assert trained - float(np.mean(thresholds)) >= 0.10
    assert trained >= 0.85
