"""What a model takes on the disk is told before it is trained."""

from collections.abc import Callable
from pathlib import Path

import torch

from autoseg.events import Silent
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.loop import train
from autoseg.training.size import stored_bytes


def test_model_and_checkpoint_take_what_was_told(make_plan: Callable[..., Plan], fold: FoldData, tmp_path: Path) -> None:
    plan = make_plan(network={"features": [16, 32, 32]}, view={"patch_px": [16, 12]}, training={"epochs": 1})
    before = torch.get_rng_state()
    told = stored_bytes(plan, "unet")
    assert torch.equal(torch.get_rng_state(), before)
    config = TrainConfig(architecture="unet", fold="0", precision="float32")
    train(plan, config, fold, context=RunContext(tmp_path, Compute(torch.device("cpu"), bfloat16=False), 0, Silent()))
    taken = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    assert 0.95 * taken < told < taken  # running statistics, the names of tensors and a generator's state beside it
