"""Muon: a matrix of weights is changed by an orthogonal one, so that all that a layer answers to is learnt at one pace.

A gradient is dominated by few directions; a step of Adam follows them, and the others, which fine structures hang on, come
late. Here all singular values of a step are about 1. Source: Jordan et al. 2024 (Muon); the size of a step is that of Liu et
al. 2025, so that learning rates and weight decays of AdamW serve. The singular values are changed through the matrix's
product with itself, which is small and square, in float32: half as long as by the matrix itself on a processor, and exact.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import torch
from torch.optim.adamw import adamw

_COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
"""Of s, s^3 and s^5 in what a singular value s becomes; five times take all but the smallest to .7 to 1.2.

Source: Jordan et al. 2024."""

_TIMES: Final = 5
_MOMENTUM: Final = 0.95
"""Of the mean of gradients, which is looked ahead by (Nesterov). Source: Jordan et al. 2024."""

_RMS: Final = 0.2
"""Size of a step at learning rate 1: root of the mean square over weights. Source: Liu et al. 2025, as AdamW's steps are."""

_SMALLEST_SIDE: Final = 16
"""Rows and columns from which on a weight is seen as a matrix. Source: ours; it leaves out layers that give a few classes.
Jordan et al. leave out the last layer."""

_EPSILON: Final = 1e-7

_ADAMW: Final[dict[str, Any]] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "maximize": False}
"""Source: the defaults of `torch.optim.AdamW`."""


class Muon(torch.optim.Optimizer):
    """Muon for weights that form a matrix, AdamW for all others: normalisations, biases, kernels of single channels.

    The weight of a convolution, (O, I, h, w), is a matrix of O rows and I x h x w columns; that of a transposed one has a
    row per input. A step asks nothing of the device, so that it can be recorded.

    Args:
        params: weights to learn.
        lr: learning rate, or a tensor that holds it.
        weight_decay: fraction of a weight that is taken off at learning rate 1, in each step.
        fused: whether AdamW's part is one operation.
        capturable: whether it counts steps on the device.
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor],
        *,
        lr: float | torch.Tensor,
        weight_decay: float,
        fused: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "fused": fused, "capturable": capturable})

    def step(self) -> None:  # type: ignore[override]  # no closure: nothing is computed again
        """Change all weights that have a gradient."""
        for group in self.param_groups:
            learnt = [weight for weight in group["params"] if weight.grad is not None]
            with torch.no_grad():
                self._change_matrices([weight for weight in learnt if forms_matrix(weight)], group)
                self._change_others([weight for weight in learnt if not forms_matrix(weight)], group)

    def _change_matrices(self, weights: Sequence[torch.Tensor], group: dict[str, Any]) -> None:
        steps = orthogonal([self._ahead(weight).flatten(1) for weight in weights])
        for weight, step in zip(weights, steps, strict=True):
            size = _RMS * max(step.shape) ** 0.5
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            weight.sub_(step.view_as(weight) * (group["lr"] * size))

    def _ahead(self, weight: torch.Tensor) -> torch.Tensor:
        """The mean of a weight's gradients, with the present one in it a second time."""
        state, gradient = self.state[weight], cast(torch.Tensor, weight.grad)
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        return gradient.lerp(state["momentum"], _MOMENTUM)

    def _change_others(self, weights: Sequence[torch.Tensor], group: dict[str, Any]) -> None:
        states = [self.state[weight] for weight in weights]
        for weight, state in zip(weights, states, strict=True):
            if not state:
                state["step"] = torch.zeros((), device=weight.device if group["capturable"] else None)
                state |= {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
        adamw(
            list(weights),
            [cast(torch.Tensor, weight.grad) for weight in weights],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            **{name: group[name] for name in ("lr", "weight_decay", "fused", "capturable")},
            **_ADAMW,
        )


def forms_matrix(weight: torch.Tensor) -> bool:
    """Whether Muon changes a weight: one of float32 that mixes channels, with enough rows and columns."""
    if weight.dtype != torch.float32 or weight.dim() < 2 or weight.shape[1] == 1:
        return False
    return min(weight.shape[0], weight[0].numel()) >= _SMALLEST_SIDE


def orthogonal(matrices: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Matrices with the same singular vectors, whose singular values are about 1; very small ones are smaller.

    Args:
        matrices: (m, n) each, float32, of any shapes.
    """
    tall = [matrix.shape[0] > matrix.shape[1] for matrix in matrices]
    wide = [matrix.mT if turned else matrix for matrix, turned in zip(matrices, tall, strict=True)]  # (m, n), m <= n
    scaled = [matrix / (matrix.norm() + _EPSILON) for matrix in wide]
    alike = defaultdict[int, list[int]](list)
    for number, matrix in enumerate(scaled):
        alike[matrix.shape[0]].append(number)
    results = dict[int, torch.Tensor]()
    with _whole_float32():
        for numbers in alike.values():
            products = torch.stack([scaled[number] @ scaled[number].mT for number in numbers])  # (G, m, m)
            factors = _factors(products)  # (G, m, m)
            results |= {number: factor @ scaled[number] for number, factor in zip(numbers, factors, strict=True)}
    return [results[number].mT if turned else results[number] for number, turned in enumerate(tall)]


def _factors(products: torch.Tensor) -> torch.Tensor:
    """What to multiply matrices X by, from their products X X', (G, m, m); both are symmetric, and have X's vectors."""
    first, third, fifth = _COEFFICIENTS
    factors = torch.eye(products.shape[-1], device=products.device)
    for _ in range(_TIMES):
        odd = torch.baddbmm(products, products, products, beta=third, alpha=fifth)
        odd.diagonal(dim1=-2, dim2=-1).add_(first)
        factors = odd @ factors
        products = odd @ products @ odd
    return factors


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Context in which products of float32 are computed as such, whatever a program allows torch instead.

    A rounded product of a matrix with itself has negative eigenvalues, and the polynomials would let them grow.
    """
    on_processors = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # added when torch is loaded
    settings = torch.backends.cuda.matmul, on_processors
    before = [setting.fp32_precision for setting in settings]
    try:
        for setting in settings:
            setting.fp32_precision = "ieee"
        yield
    finally:
        for setting, precision in zip(settings, before, strict=True):
            setting.fp32_precision = precision
