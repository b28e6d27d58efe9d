"""The share of a run that is not learning: validation, checkpoints, models, tables, curves, and what is done for each step.

Run with `taskset -c 0 pytest -m benchmark -s tests/benchmarks/test_bookkeeping_speed.py`.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the command does, before torch is loaded

import pytest

import autoseg
from autoseg.data.phantom import PhantomSettings, write_cohort
from autoseg.training import loop
from autoseg.training.batches import TrainingBatch
from autoseg.training.history import read_history
from autoseg.training.learner import Learner
from autoseg.training.loading import Loader

SHAPE = (36, 36, 50)
"""Of the scans, about that of a hippocampus: the smaller the slices, the more the rest weighs."""


@pytest.mark.benchmark
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_share_of_bookkeeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    learning_s, total_s, first_batch = 0.0, 0.0, 0.0

    def timed(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **choices: Any) -> Any:
            nonlocal learning_s
            began = time.perf_counter()
            try:
                return work(*args, **choices)
            finally:
                learning_s += time.perf_counter() - began

        return call

    epoch, train = Loader.epoch, loop.train

    def timed_epoch(loader: Loader, number: int) -> Iterator[TrainingBatch]:
        nonlocal first_batch
        first_batch = first_batch or time.perf_counter()
        batches = epoch(loader, number)
        following = timed(lambda: next(batches, None))
        while (batch := following()) is not None:
            yield batch

    def timed_train(*args: Any, **choices: Any) -> Any:
        nonlocal total_s
        state = train(*args, **choices)
        total_s = time.perf_counter() - first_batch
        return state

    monkeypatch.setattr(Loader, "epoch", timed_epoch)
    monkeypatch.setattr(Learner, "step", timed(Learner.step))
    monkeypatch.setattr("autoseg.runs.run.train", timed_train)
    write_cohort(tmp_path / "data", PhantomSettings(training=40, test=0, shape=SHAPE))
    autoseg.plan(tmp_path / "data", workspace=tmp_path / "work", device="cpu")
    autoseg.train(workspace=tmp_path / "work", minutes=1.0, threads=1, precision=precision)
    epochs = read_history(tmp_path / "work" / "models" / "unet" / "fold_0" / "history.csv")
    with capsys.disabled():
        print(f"\n{precision}: {1 - learning_s / total_s:.1%} of {total_s:.0f} s and {len(epochs)} epochs")
    assert 0 < learning_s < total_s
