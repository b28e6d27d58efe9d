"""What transforms of whole batches have in common: torch tensors on any device, and parameters drawn beforehand.

Each is a transform as batchgenerators knows them, for its `Compose`: called with the batch as keywords, it returns the
batch. `data` is (B, C, H, W), float32, `seg` (B, 1, H, W), integers; beside them lie the parameters, under names of their
own, a row for each image. A row may be neutral: then that image keeps its values, bit by bit.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from batchgenerators.transforms.abstract_transforms import AbstractTransform
from numpy.typing import NDArray

Drawn = dict[str, NDArray[np.float64]]
"""Parameters by name, each (B, n)."""

DATA, SEG = "data", "seg"


class BatchedTransform(AbstractTransform):  # type: ignore[misc]  # batchgenerators is not typed
    """A change of whole batches in torch.

    Attributes:
        numbers: uniform random numbers that it needs for each image.
        parameters: names of what it makes of them, and how many values of each an image has.
    """

    numbers: int
    parameters: Mapping[str, int]

    def draw(self, numbers: NDArray[np.float64]) -> Drawn:
        """Turn random numbers into parameters.

        Args:
            numbers: (B, `numbers`), float64, uniform in [0, 1).

        Returns:
            parameters by name, each (B, n), n as `parameters` has it.
        """
        raise NotImplementedError

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change a batch of `data`, `seg` and parameters, all on one device."""
        raise NotImplementedError


def per_image(parameters: torch.Tensor) -> torch.Tensor:
    """Parameters (B, n), shaped so that they meet images (B, C, H, W): n is 1 or C."""
    return parameters[:, :, None, None]


def where_changed(changed: torch.Tensor, images: torch.Tensor, *, parameters: torch.Tensor, neutral: float) -> torch.Tensor:
    """The changed images where parameters (B, n) are not neutral, the images themselves elsewhere, bit by bit."""
    return torch.where(per_image(parameters != neutral), changed, images)
