"""How good the network is now: loss and Dice on whole slices of the held-out cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from autoseg.model.compute import Compute, evaluating
from autoseg.model.encoding import TensorEncoding
from autoseg.model.slices import slice_batches
from autoseg.planning.sections import View
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.losses import LossFunction

SAMPLED_CASES: Final = 4
"""Cases of which one slice is kept for looking at. Source: ours; as many as fit on a screen side by side."""


@dataclass(frozen=True, eq=False)
class SampleSlice:
    """One slice of a validation case, for looking at.

    Attributes:
        case: number of the case in the order given.
        index: number of the slice.
        image: first channel as the network sees it, normalised, (H, W), float32.
        prediction: class indices, (H, W), int16.
        reference: class indices, (H, W), int16.
    """

    case: int
    index: int
    image: NDArray[np.float32]
    prediction: NDArray[np.int16]
    reference: NDArray[np.int16]


@dataclass(frozen=True)
class ValidationResult:
    """Scores of one pass over the validation cases.

    Attributes:
        loss: mean over slices.
        class_dice: for each foreground class, the mean Dice over cases, each pooled over its slices; NaN for a class
            that neither occurs nor is predicted anywhere.
        samples: of each of the first `SAMPLED_CASES` cases the slice with the most foreground in its reference.
    """

    loss: float
    class_dice: tuple[float, ...]
    samples: tuple[SampleSlice, ...] = ()

    @property
    def dice(self) -> float:
        """Mean over the classes that have a Dice; NaN where none has."""
        return mean_of_defined(self.class_dice)


def validate(
    network: nn.Module,
    cases: Sequence[StoredCase],
    *,
    loss: LossFunction,
    encoding: TensorEncoding,
    view: View,
    batch_size: int,
    compute: Compute,
) -> ValidationResult:
    """Score a network on whole slices, without mirroring and before going back to the scans' own grids."""
    losses, slices, classes = 0.0, 0, encoding.labels.channels
    dice_by_case, samples = [], []
    with evaluating(network):
        for number, case in enumerate(cases):
            sampled = fullest_slice(case.label) if number < SAMPLED_CASES else None
            confusion = torch.zeros((classes, classes), dtype=torch.int64, device=compute.device)
            batches = slice_batches(case.image, view=view, batch_size=batch_size, compute=compute)
            for window, images in batches:
                target = torch.from_numpy(case.label[window].astype(np.int64)).to(compute.device)  # (B, H, W)
                with compute.autocast():
                    logits = network(images)
                logits = logits.float()  # (B, K, H, W)
                losses += float(loss(logits, target)) * len(images)
                slices += len(images)
                prediction = encoding.prediction(logits)  # (B, H, W)
                confusion += confusion_matrix(prediction, target, classes=classes)
                if sampled is not None and window.start <= sampled < window.stop:
                    samples.append(_sample(case, prediction[sampled - window.start], number=number, index=sampled))
            dice_by_case.append(dice_of_classes(confusion))
    by_class = np.array(dice_by_case).T  # (K - 1, cases)
    return ValidationResult(losses / max(slices, 1), tuple(mean_of_defined(row) for row in by_class), samples=tuple(samples))


def fullest_slice(label: NDArray[np.integer[Any]]) -> int:
    """The slice with the most foreground, the first of equals.

    Args:
        label: class indices, (S, H, W), S >= 1.
    """
    # Slice by slice, because counting along axes would first copy a scan that is only mapped from disk.
    return max(range(len(label)), key=lambda index: int(np.count_nonzero(label[index])))


def _sample(case: StoredCase, prediction: torch.Tensor, *, number: int, index: int) -> SampleSlice:
    return SampleSlice(
        case=number,
        index=index,
        image=np.array(case.image[0, index], dtype=np.float32),  # (H, W)
        prediction=prediction.cpu().numpy().astype(np.int16),  # (H, W)
        reference=np.array(case.label[index], dtype=np.int16),  # (H, W)
    )


def confusion_matrix(prediction: torch.Tensor, target: torch.Tensor, *, classes: int) -> torch.Tensor:
    """Count voxels by (target, prediction).

    Args:
        prediction: class indices, any shape, integer.
        target: class indices of the same shape.
        classes: number of classes K.

    Returns:
        counts, (K, K), int64.
    """
    pairs = target.flatten() * classes + prediction.flatten()
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)  # (K, K)


def dice_of_classes(confusion: torch.Tensor) -> NDArray[np.float64]:
    """Dice of each foreground class from a confusion matrix (K, K); NaN where a class neither occurs nor is predicted.

    Source: eq. 3 of the paper.
    """
    counts = confusion.cpu().numpy().astype(np.float64)
    sizes = (counts.sum(axis=0) + counts.sum(axis=1))[1:]
    with np.errstate(invalid="ignore"):
        dice: NDArray[np.float64] = 2.0 * np.diag(counts)[1:] / sizes
    return dice


def mean_of_defined(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Mean of the values that are not NaN; NaN where there are none."""
    array = np.asarray(values, dtype=np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else float("nan")
