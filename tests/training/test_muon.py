"""Muon against singular value decomposition, and against torch's own optimisers."""

from collections.abc import Callable

import pytest
import torch
from oracles.operators import AskedOperators
from torch import nn

from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.training.muon import Muon, forms_matrix, orthogonal
from autoseg.training.optimiser import set_rate

MakePlan = Callable[..., Plan]


def _matrix(rows: int, columns: int, *, singular: torch.Tensor | None = None, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(rows, columns, generator=generator)
    if singular is None:
        return drawn
    left, _, right = torch.linalg.svd(drawn, full_matrices=False)
    made: torch.Tensor = left @ torch.diag(singular) @ right
    return made


@pytest.mark.parametrize(("rows", "columns"), [(16, 144), (144, 16), (32, 32), (17, 40)])
def test_singular_vectors_stay_and_values_become_about_one(rows: int, columns: int) -> None:
    singular = torch.linspace(1, 30, min(rows, columns))
    matrix = _matrix(rows, columns, singular=singular)
    (made,) = orthogonal([matrix])
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    seen = left.T @ made @ right.T
    values = seen.diagonal()
    assert made.shape == (rows, columns)
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert (seen - torch.diag(values)).abs().max() < 1e-4


def test_matrices_of_all_shapes_are_treated_together_as_alone() -> None:
    matrices = [_matrix(16, 40), _matrix(40, 16), _matrix(16, 16), _matrix(64, 20), _matrix(16, 40, seed=1)]
    for together, matrix in zip(orthogonal(matrices), matrices, strict=True):
        torch.testing.assert_close(together, orthogonal([matrix])[0])


def test_a_gradient_of_nothing_and_one_of_few_directions_change_nothing_else() -> None:
    nothing, few = torch.zeros(16, 32), _matrix(16, 4) @ _matrix(4, 32)
    made_of_nothing, made_of_few = orthogonal([nothing, few])
    assert bool((made_of_nothing == 0).all())
    assert torch.linalg.matrix_rank(made_of_few, atol=1e-2) == 4


def test_products_are_not_rounded_though_a_program_allows_it() -> None:
    few = _matrix(256, 4) @ _matrix(4, 512) + 1e-4 * _matrix(256, 512, seed=1)
    (expected,) = orthogonal([few])
    torch.set_float32_matmul_precision("medium")
    try:
        (found,) = orthogonal([few])
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(found, expected)


def test_steps_of_matrices_are_those_of_torch() -> None:
    ours, theirs = nn.Parameter(_matrix(24, 48)), nn.Parameter(_matrix(24, 48))
    muon = Muon([ours], lr=0.01, weight_decay=0.1)
    torchs = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        before = ours.detach().clone()
        ours.grad, theirs.grad = _matrix(24, 48, seed=step + 1), _matrix(24, 48, seed=step + 1)
        muon.step()
        torchs.step()  # type: ignore[no-untyped-call]
        changed = (ours - before).norm()
        assert (ours - theirs).norm() < 0.05 * (step + 1) * changed  # which computes in bfloat16


def test_all_other_weights_take_the_steps_of_adamw() -> None:
    shapes = [(16,), (16, 1, 3, 3), (4, 16, 1, 1), (16, 3, 1, 1)]
    ours, theirs = ([nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2))
    assert not any(map(forms_matrix, ours))
    muon, adamw = Muon(ours, lr=0.01, weight_decay=0.1), torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1)
    for step in range(3):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.full(own.shape, 0.5 + step)
            other.grad = own.grad.clone()
        muon.step()
        adamw.step()
    for own, other in zip(ours, theirs, strict=True):
        assert torch.equal(own, other)


def test_a_step_has_the_size_of_adamws() -> None:
    weight = nn.Parameter(torch.zeros(32, 16, 3, 3))
    muon = Muon([weight], lr=0.01, weight_decay=0.0)
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    muon.step()
    assert weight.square().mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.2)


@pytest.mark.parametrize("architecture", ["unet", "sepres", "attention"])
def test_every_network_has_matrices_and_others(architecture: str, make_plan: MakePlan) -> None:
    plan = make_plan(network={"features": [16, 32]})
    network = build_network(architecture, in_channels=3, classes=4, size=plan.network)
    split = {name: forms_matrix(weight) for name, weight in network.named_parameters()}
    assert {True, False} == set(split.values())
    assert all(weight.dim() > 1 for name, weight in network.named_parameters() if split[name])


def test_only_whole_float32_is_orthogonalised() -> None:
    weights = [nn.Parameter(torch.zeros(32, 16, dtype=kind)) for kind in (torch.float32, torch.float64, torch.bfloat16)]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    Muon(weights, lr=0.01, weight_decay=0.0).step()
    assert [forms_matrix(weight) for weight in weights] == [True, False, False]
    assert all(weight.abs().min() > 0 for weight in weights)


def test_a_step_on_matrices_asks_nothing_of_the_device() -> None:
    weights = [nn.Parameter(_matrix(16, 32)), nn.Parameter(_matrix(32, 16))]
    optimiser = Muon(weights, lr=torch.tensor(0.1), weight_decay=0.1)
    set_rate(optimiser, 0.01)
    before = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    with AskedOperators() as asked:
        optimiser.step()
    assert "_local_scalar_dense" not in asked.names  # which reads a number
    assert not any(torch.equal(one, other) for one, other in zip(before, weights, strict=True))
