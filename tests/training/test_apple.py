"""What networks ask of a device is there on Apple's graphics cards, told by the names of operators: none is at hand."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pytest
import torch
from oracles.operators import AskedOperators

from autoseg.catalogue import NETWORKS
from autoseg.model.compute import Compute, choose_compute
from autoseg.model.encoding import TensorEncoding
from autoseg.model.padding import Padding
from autoseg.model.slices import predict_slices
from autoseg.planning.plan import Plan
from autoseg.training.batches import TrainingBatch
from autoseg.training.context import FoldData
from autoseg.training.device_batches import DeviceBatches
from autoseg.training.learner import Learner

CPU: Final = Compute(torch.device("cpu"), bfloat16=False)

MISSING: Final = {
    "_ctc_loss",
    "adaptive_avg_pool3d",
    "adaptive_max_pool3d",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "frexp",
    "geqrf",
    "grid_sampler_2d_backward",
    "grid_sampler_3d_backward",
    "heaviside",
    "kthvalue",
    "linalg_cond",
    "linalg_eig",
    "linalg_eigh",
    "linalg_eigvals",
    "linalg_ldl_factor",
    "linalg_lstsq",
    "linalg_matrix_exp",
    "linalg_svdvals",
    "logspace",
    "max_unpool3d",
    "mode",
    "put",
    "put_",
    "upsample_bicubic2d_backward",
}
"""Operators that some tested version of torch lacks on MPS.

Source: the operators that torch's own tests of MPS expect to fail (`torch.testing._internal.common_mps`, 2.13), and those
that its users ask for (pytorch issues 77764 and 154052)."""

ZEROS: Final = 0
"""The way in which `grid_sampler_2d` fills what lies outside; that with the border's values is missing."""


@pytest.mark.parametrize("architecture", sorted(NETWORKS.built_in))
def test_steps_batches_and_predictions_ask_for_nothing_that_is_missing(
    make_plan: Callable[..., Plan], fold: FoldData, architecture: str
) -> None:
    plan = make_plan(
        network={"features": [16, 32], "deep_supervision": True},
        training={"optimiser": "muon"},
        prediction={"padding": "darkest"},
    )
    learner = Learner(plan, architecture=architecture, compute=CPU)
    batches = DeviceBatches(fold.training, plan=plan, seed=0, compute=CPU)
    with AskedOperators() as asked:
        batch = next(batches.epoch(0))
        learner.step(TrainingBatch(batch.images, batch.labels, batch.sources), rate=0.1)
        predict_slices(
            [learner.network],
            np.zeros((1, 2, 18, 11), dtype=np.float32),
            view=plan.views[0],
            batch_size=2,
            mirror=True,
            encoding=TensorEncoding.of(plan),
            padding=Padding.of(plan, (-1.0,)),
            compute=CPU,
        )
    batches.close()
    assert {"convolution", "convolution_backward", "grid_sampler_2d"} <= asked.names
    assert not asked.names & MISSING
    assert not asked.double  # numbers of 64 bits are missing, too
    assert asked.paddings == {ZEROS}


def test_bfloat16_is_not_taken_for_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_compute("mps").precision == "float32"
