"""Slices per second that training reaches with nnU-Net's own sizes for the hippocampus, loader and augmentation included.

Run with `taskset -c 0 pytest -m benchmark -s tests/benchmarks/test_training_speed.py`.
"""

import os
from collections.abc import Callable
from pathlib import Path

from autoseg.wording import counted

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the command does, before torch is loaded

import numpy as np
import pytest
import torch

from autoseg.events import Silent
from autoseg.jobs.machine import usable_cores
from autoseg.model.compute import choose_compute
from autoseg.planning.plan import Plan
from autoseg.preprocessing.footprint import Footprint
from autoseg.preprocessing.keys import DataKeys
from autoseg.preprocessing.mapped import OpenArrays
from autoseg.preprocessing.stored import CaseFiles, StoredCase
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.loop import train


def stored_cases(folder: Path, *, count: int) -> FoldData:
    """Cases of the hippocampus's usual size, stored and mapped as training does."""
    generator = np.random.default_rng(0)
    for number in range(count):
        label = (generator.uniform(size=(36, 50, 35)) < 0.05).astype(np.uint8)
        image = generator.normal(size=(1, *label.shape)).astype(np.float32)
        footprint = Footprint(
            shape=label.shape,
            axes=(0, 1, 2),
            flipped=(False, False, False),
            start=(0, 0, 0),
            stop=label.shape,
            size_px=(50, 35),
            spacing_mm=(1.0, 1.0, 1.0),
            pad_value=(float(image.min()),),
        )
        CaseFiles(folder, f"case{number}").write(image, label, footprint)
    arrays = OpenArrays()  # one for all, as of a store
    cases = [(f"case{number}", StoredCase((CaseFiles(folder, f"case{number}").read(arrays),))) for number in range(count)]
    return FoldData(DataKeys(all_labelled="benchmark"), cases, [])


@pytest.mark.benchmark
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", ["unet", "sepres", "attention"])
def test_training_throughput(
    make_plan: Callable[..., Plan], tmp_path: Path, architecture: str, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(usable_cores())
    still_default = {"blur_sigma_px": [0.0, 0.0]}
    plan = make_plan(
        network={"features": [32, 64, 128, 256], "convolutions": 2, "skips": "add"},
        view={"patch_px": [56, 40], "batch_size": 58},
        training={"steps_per_epoch": 8, "epochs": 6},
        augmentation=still_default,
    )
    config = TrainConfig.model_validate({"architecture": architecture, "fold": "full", "precision": precision})
    compute = choose_compute("cpu", "bfloat16" if precision == "bfloat16" else "float32")
    state = train(
        plan, config, stored_cases(tmp_path / "store", count=8), context=RunContext(tmp_path, compute, 0, Silent())
    )
    rates = sorted(epoch.slices_per_s for epoch in state.epochs[1:])
    with capsys.disabled():
        print(f"\n{architecture} {precision}, {counted(usable_cores(), 'core')}: {rates[len(rates) // 2]:.1f} patches/s")
    assert len(rates) == 5
