"""What all ranks have of a batch, joined: for whatever has to see all of its images at once."""

from typing import Any, cast

import torch

from autoseg.training.ranks import Ranks


def joined(part: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """Images of all ranks, in their order; differentiable where all make the same of them.

    Args:
        part: what this rank has, (B, ...); ranks may differ in B, of at least 1, and in nothing else.
        ranks: all of them.

    Returns:
        (sum of all B, ...). What flows back on every rank is summed over ranks, as by `Ranks.total`.
    """
    if ranks.size == 1:
        return part
    return cast(torch.Tensor, _Joined.apply(part, ranks))  # type: ignore[no-untyped-call]  # torch leaves it unannotated


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: torch.Tensor, ranks: Ranks) -> torch.Tensor:
        """All parts, behind one another."""
        images = len(part)
        lengths = ranks.stacked(torch.tensor([images], device=part.device)).flatten().tolist()
        ctx.start, ctx.images, ctx.size = sum(lengths[: ranks.rank]), images, ranks.size
        padded = part.new_zeros((max(lengths), *part.shape[1:]))  # ranks tell one another tensors of one shape
        padded[:images] = part
        parts = zip(ranks.stacked(padded), lengths, strict=True)
        return torch.cat([each[:length] for each, length in parts])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """This rank's images of the sum over ranks, on which all have the same gradient: nothing needs to be told."""
        (gradient,) = gradients
        return ctx.size * gradient[ctx.start : ctx.start + ctx.images], None
