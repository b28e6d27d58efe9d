"""What a training that failed advises to do is done, word for word, and works."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

import autoseg
from autoseg.commands import train
from autoseg.commands.train.options import TrainOptions
from autoseg.commands.train.result import TrainedModel
from autoseg.errors import TrainingError, WorkspaceError
from autoseg.events import Silent
from autoseg.model.description import read_document
from autoseg.training.batches import SliceBatches, TrainingBatch
from autoseg.training.learner import Learner


@pytest.fixture
def workspace(cohort: Path, tmp_path: Path) -> Path:
    """A workspace whose epochs have two steps."""
    folder = tmp_path / "run"
    autoseg.plan(cohort, workspace=folder, folds=2, planes="axial", overrides=["training.steps_per_epoch=2"])
    return folder


def trained(workspace: Path, **choices: Any) -> TrainedModel:
    defaults: dict[str, Any] = {"epochs": 2, "fold": 0, "precision": "float32"}
    (model,) = train.run(TrainOptions("unet", workspace=workspace, **(defaults | choices)), Silent()).models
    return model


def lower_the_rate(workspace: Path) -> None:
    plan = json.loads((workspace / "plan.json").read_text())
    plan["training"]["learning_rate"] /= 2
    (workspace / "plan.json").write_text(json.dumps(plan))


@contextmanager
def failing(*, at: int, exhausted: bool = False) -> Iterator[pytest.ExceptionInfo[TrainingError]]:
    """Ends in a loss that is not finite from a step on, or in a GPU whose memory is full."""
    made, step, taken = SliceBatches.__getitem__, Learner.step, 0

    def broken(batches: SliceBatches, address: tuple[int, int]) -> TrainingBatch:
        batch = made(batches, address)
        if not exhausted and 2 * address[0] + address[1] >= at:
            batch.images[0, 0, 0, 0] = math.nan
        return batch

    def full(learner: Learner, *arguments: Any, **more: Any) -> Any:
        nonlocal taken
        taken += 1
        if exhausted and taken > at:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(learner, *arguments, **more)

    with (
        mock.patch.object(SliceBatches, "__getitem__", broken),
        mock.patch.object(Learner, "step", full),
        pytest.raises(TrainingError) as failure,
    ):
        yield failure


def test_after_a_loss_that_is_not_finite(workspace: Path) -> None:
    with failing(at=2) as failure:
        trained(workspace, precision="bfloat16")
    assert "--precision float32; either way add --restart" in failure.value.remedy
    with pytest.raises(WorkspaceError, match="--restart"):
        trained(workspace)
    with failing(at=2) as failure:
        trained(workspace, restart=True)
    assert "--precision" not in failure.value.remedy
    assert "lower training.learning_rate in plan.json, and train with --restart" in failure.value.remedy
    lower_the_rate(workspace)
    with pytest.raises(WorkspaceError, match="--restart"):
        trained(workspace)
    assert trained(workspace, restart=True).epochs == 2

    with failing(at=4) as failure:
        trained(workspace, further=True, epochs=1, precision="bfloat16")
    assert "add --restart --precision float32 to --continue" in failure.value.remedy
    assert "Or lower training.learning_rate in plan.json and train with --restart, without --continue" in (
        failure.value.remedy
    )
    with pytest.raises(WorkspaceError, match="--restart"):
        trained(workspace, further=True, epochs=1)
    assert read_document(workspace / "models" / "unet" / "fold_0").provenance.epochs == 2
    assert trained(workspace, further=True, epochs=1, restart=True).trained_times == 2
    lower_the_rate(workspace)
    assert trained(workspace, restart=True).trained_times == 1


def test_before_anything_is_stored_nothing_is_to_be_discarded(workspace: Path) -> None:
    with failing(at=0) as failure:
        trained(workspace)
    assert failure.value.remedy.endswith("lower training.learning_rate in plan.json.")
    lower_the_rate(workspace)
    assert trained(workspace).epochs == 2


def test_after_a_full_gpu(workspace: Path, cohort: Path) -> None:
    with failing(at=3, exhausted=True) as failure:
        trained(workspace)
    assert "the same command continues from the last epoch. Or plan again with less --memory and train with --restart:" in (
        failure.value.remedy
    )
    assert trained(workspace).epochs == 2
    autoseg.plan(cohort, workspace=workspace, folds=2, planes="axial", memory_gb=1.0, overrides=["network.features=[4,8]"])
    with pytest.raises(WorkspaceError, match=r"plan\.json.*Repeat the earlier choices to use it as it is, or add --restart"):
        trained(workspace)
    with pytest.raises(WorkspaceError, match="under another plan"):
        trained(workspace, further=True)
    assert trained(workspace, restart=True).trained_now
