"""Extending slices until every level of a network halves evenly, with what training extends them with."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autoseg.planning.memory import padded_side
from autoseg.planning.plan import Plan
from autoseg.wording import counted


@dataclass(frozen=True)
class Padding:
    """How the slices of one scan are extended beyond their last row and column before a network sees them.

    Attributes:
        divisor: sides become multiples of it, and at least twice as long.
        values: of each channel of the scan, what the new pixels get; empty: networks repeat the border, as
            `autoseg.networks.blocks.pad_to_multiple` does.
    """

    divisor: int
    values: tuple[float, ...] = ()

    @classmethod
    def of(cls, plan: Plan, darkest: Sequence[float]) -> "Padding":
        """As a plan asks for it.

        Args:
            plan: of the networks.
            darkest: of each channel, the darkest value of the scan's slices; not looked at where borders are repeated.

        Raises:
            ValueError: there is not one for each channel.
        """
        if plan.prediction.padding == "replicated":
            return cls(plan.network.divisor)
        if len(darkest) != len(plan.data.channels):
            msg = f"{counted(len(plan.data.channels), 'channel')}, but {counted(len(darkest), 'darkest value')}"
            raise ValueError(msg)
        return cls(plan.network.divisor, tuple(darkest))

    def extend(self, images: Tensor) -> Tensor:
        """Extend images as a network sees them.

        Args:
            images: (B, C * (2 N + 1), H, W): of each of the C channels its slice with N adjacent ones on either side.

        Returns:
            (B, C * (2 N + 1), H', W'), the images in their first H rows and W columns; the argument itself where nothing is
            missing or the network extends it.
        """
        rows, columns = images.shape[-2:]
        size = (padded_side(rows, self.divisor), padded_side(columns, self.divisor))
        if not self.values or size == (rows, columns):
            return images
        values = torch.tensor(self.values, dtype=images.dtype, device=images.device)
        repeated = values.repeat_interleave(images.shape[1] // len(self.values))[:, None, None]  # (C * (2 N + 1), 1, 1)
        extended = repeated.expand(*images.shape[:2], *size).contiguous()  # (B, C * (2 N + 1), H', W')
        extended[..., :rows, :columns] = images
        return extended
