"""Batch normalisation whose statistics are those of the whole batch, whichever rank its images are on."""

from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm

from autoseg.errors import ExtensionError
from autoseg.training.ranks import Ranks

_REPLACED: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
"""Exactly these: what is derived from them may compute something else."""

_EVERY_GRADIENT: Final = [True, True, True]
_TRAINING: Final = False
"""torch's operations are those of evaluation, because they are given the statistics."""
_MOMENTUM: Final = 0.0


class GlobalBatchNorm(_BatchNorm):
    """Batch normalisation over the images of all ranks, with the parameters and running statistics of torch's.

    Every rank computes mean and squared deviations of its own images; these are merged, so that nothing large is subtracted
    from something large. In evaluation it is torch's.

    Args:
        replaced: whose settings, parameters and buffers it takes over.
        ranks: who has the other images.

    Source: Ioffe and Szegedy 2015, algorithm 1; merging: Chan, Golub and LeVeque 1979, eq. 2.1.
    """

    def __init__(self, replaced: _BatchNorm, ranks: Ranks) -> None:
        super().__init__(
            replaced.num_features,
            eps=replaced.eps,
            momentum=replaced.momentum,
            affine=replaced.affine,
            track_running_stats=replaced.track_running_stats,
        )
        for name, values in (*replaced.named_parameters(), *replaced.named_buffers()):
            setattr(self, name, values)
        self.train(replaced.training)
        self.ranks = ranks

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (B, F, ...) of this rank, with the statistics of the batch or, in evaluation, those it remembers."""
        if not self.training:
            return super().forward(features)
        mean, variance, count = _merged(features, self.ranks)
        self._update(mean, variance, count)
        weight = features.new_ones(self.num_features, dtype=mean.dtype) if self.weight is None else self.weight
        bias = torch.zeros_like(weight) if self.bias is None else self.bias
        normalised: Tensor = _Normalised.apply(  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            features, weight, bias, mean, variance, count, self.eps, self.ranks
        )
        return normalised

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        """Any number of axes: what it replaces would have checked them."""

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Remember the statistics, (F,), of a batch with so many values per channel; torch's rule."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        fraction = self.num_batches_tracked.reciprocal() if self.momentum is None else mean.new_tensor(self.momentum)
        self.running_mean.lerp_(mean, fraction)
        self.running_var.lerp_(variance * (count / (count - 1)), fraction)  # unbiased


def with_global_statistics(network: nn.Module, ranks: Ranks) -> None:
    """Have every batch normalisation of a network use the statistics of all ranks; the names of its weights stay.

    Normalisations of single images are left as they are.

    Args:
        network: changed in place.
        ranks: who shares the batches.

    Raises:
        ExtensionError: it has others that depend on the batch.
    """
    replacements: dict[nn.Module, GlobalBatchNorm] = {}
    for name, module in list(network.named_modules(remove_duplicate=False)):  # a module may stand in several places
        if type(module) in _REPLACED:
            if module not in replacements:
                replacements[module] = GlobalBatchNorm(cast(_BatchNorm, module), ranks)
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, replacements[module])
        elif isinstance(module, _NormBase) and not _of_single_images(module):
            raise ExtensionError(
                "a network has a layer whose statistics cannot be made those of a batch that several processes share",
                where=name,
                expected=", ".join(f"torch.nn.{each.__name__}" for each in _REPLACED),
                found=f"{type(module).__module__}.{type(module).__qualname__}",
                remedy="Train it with a single process, or use one of those layers.",
            )


def use_ranks(network: nn.Module, ranks: Ranks) -> None:
    """Have the global batch normalisations of a network ask these ranks from now on."""
    for module in network.modules():
        if isinstance(module, GlobalBatchNorm):
            module.ranks = ranks


def _of_single_images(module: _NormBase) -> bool:
    return isinstance(module, _InstanceNorm) and not module.track_running_stats


@torch.no_grad()
def _merged(features: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and (biased) variance of every channel over all ranks, (F,), and how many values these are of, ()."""
    unused = torch.zeros(features.shape[1], dtype=torch.float32, device=features.device)  # asks for results in float32
    mean, variance = torch.batch_norm_update_stats(features, unused, unused.clone(), 1.0)
    count = torch.full((1,), features.numel() // features.shape[1], dtype=mean.dtype, device=mean.device)
    of_ranks = ranks.stacked(torch.cat([mean, variance, count]))  # (ranks, 2 F + 1)
    means, variances, counts = of_ranks[:, : len(mean)], of_ranks[:, len(mean) : -1], of_ranks[:, -1:]
    total = counts.sum()
    merged = (counts * means).sum(dim=0) / total
    deviations = counts * (variances + (means - merged).square())  # (ranks, F)
    return merged, deviations.sum(dim=0) / total, total


class _Normalised(torch.autograd.Function):
    """Features normalised by statistics that all ranks made together; its gradient passes through these on every rank."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        eps: float,
        ranks: Ranks,
    ) -> Tensor:
        """Scale, shift: weight x (features - mean) / sqrt(variance + eps) + bias."""
        ctx.save_for_backward(features, weight, mean, variance, count)
        ctx.eps, ctx.ranks = eps, ranks
        return _normalise(features, weight, bias, mean, variance, eps)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of features, weight and bias; the latter two are those of this rank's images alone.

        The features' is scale x (g - mean(g) - x mean(g x)), with scale = weight / sqrt(variance + eps), x the normalised
        features and means over the whole batch.

        Source: Ioffe and Szegedy 2015, section 3.
        """
        features, weight, mean, variance, count = ctx.saved_tensors
        # As if the statistics were constants: scale x g, sum(g x) and sum(g).
        direct, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, features, weight, mean, variance, None, None, _TRAINING, ctx.eps, _EVERY_GRADIENT
        )
        with_features, alone = (ctx.ranks.sum(torch.stack([of_weight, of_bias])) / count).unbind()  # (F,) each
        scale = weight * torch.rsqrt(variance + ctx.eps)
        through_statistics = _normalise(features, -scale * with_features, -scale * alone, mean, variance, ctx.eps)
        return direct.add_(through_statistics), of_weight, of_bias, None, None, None, None, None


def _normalise(features: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    normalised: Tensor = torch.native_batch_norm(features, weight, bias, mean, variance, _TRAINING, _MOMENTUM, eps)[0]
    return normalised
