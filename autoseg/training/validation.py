"""How good the network is now: loss and Dice on whole slices of the held-out cases."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from autoseg.model.compute import Compute, evaluating
from autoseg.model.encoding import TensorEncoding
from autoseg.model.slices import in_tiles, with_adjacent_slices
from autoseg.preprocessing.stored import SliceStack
from autoseg.training.losses import LossFunction, LossOfSums
from autoseg.training.validation_parts import ValidationPart

_COMPARED_CLASSES: Final = 32
"""Classes up to which a GPU compares every pixel with each. Source: ours."""

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
        reference: class indices, (H, W), int16, or -1 for pixels without a label.
    """

    case: int
    index: int
    image: NDArray[np.float32]
    prediction: NDArray[np.int16]
    reference: NDArray[np.int16]


@dataclass(frozen=True)
class PartScores:
    """What was seen of one case in one view.

    Attributes:
        number: of the case, in the order given.
        losses: mean of each batch of its slices.
        sizes: slices of each batch.
        counts: of pixels by class, as `class_counts` gives them, (3, K).
    """

    number: int
    losses: Sequence[float]
    sizes: Sequence[int]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class ValidationResult:
    """Scores of one pass over the validation cases.

    Attributes:
        loss: mean over slices.
        class_dice: for each foreground class, the mean Dice over cases, each pooled over its slices in all views; NaN for
            a class that neither occurs nor is predicted anywhere.
        slices: how many it looked at.
        samples: of each of the first `SAMPLED_CASES` cases the slice with the most foreground in its reference.
        scores: what all this follows from, part by part.
    """

    loss: float
    class_dice: tuple[float, ...]
    slices: int = 0
    samples: tuple[SampleSlice, ...] = ()
    scores: tuple[PartScores, ...] = ()

    @classmethod
    def of(cls, scores: Sequence[PartScores], *, samples: Sequence[SampleSlice] = ()) -> "ValidationResult":
        """The result of all parts, at least one, wherever each was looked at; their order decides the loss's last digit."""
        total = sum(loss * size for part in scores for loss, size in zip(part.losses, part.sizes, strict=True))
        slices = sum(size for part in scores for size in part.sizes)
        of_case: dict[int, NDArray[np.int64]] = {}
        for part in scores:
            of_case[part.number] = of_case.get(part.number, 0) + np.array(part.counts, dtype=np.int64)
        by_class = np.array([dice_of_classes(counts) for counts in of_case.values()]).T  # (K - 1, cases)
        class_dice = tuple(mean_of_defined(row) for row in by_class)
        return cls(total / slices, class_dice, slices=slices, samples=tuple(samples), scores=tuple(scores))

    @property
    def dice(self) -> float:
        """Mean over the classes that have a Dice; NaN where none has."""
        return mean_of_defined(self.class_dice)


def validate(
    network: nn.Module,
    parts: Sequence[ValidationPart],
    *,
    loss: LossFunction,
    encoding: TensorEncoding,
    batch_size: int,
    compute: Compute,
    seen: Callable[[int], None] = lambda _: None,
) -> ValidationResult:
    """Score a network on whole slices, without mirroring and before going back to the scans' own grids.

    Slices that are predicted tile by tile are seen so here, too; where tiles overlap, logits are averaged. They are scored
    a few rows after the other, if the loss is a `LossOfSums`: at once, that takes several times the memory of the logits.

    Args:
        network: on its device.
        parts: what to look at.
        loss: of the run.
        encoding: what the network's logits mean.
        batch_size: slices predicted at once, at most.
        compute: device and number format.
        seen: called with the number of slices after each batch.
    """

    def logits_of(images: torch.Tensor) -> torch.Tensor:
        with compute.autocast():
            logits: torch.Tensor = network(images)
        return logits.float()

    losses, classes = list[torch.Tensor](), encoding.labels.channels
    counts = torch.zeros((len(parts), 3, classes), dtype=torch.int64, device=compute.device)
    unsampled, samples = list(dict.fromkeys(part.number for part in parts))[:SAMPLED_CASES], []
    with evaluating(network):
        for place, part in enumerate(parts):
            case, sampled = part.stack, None
            if part.number in unsampled:
                unsampled.remove(part.number)
                sampled = fullest_slice(case.label, part.slices, classes=classes)
            for chosen in part.batches(batch_size):
                shown = with_adjacent_slices(case.image, chosen.tolist(), adjacent_slices=part.view.adjacent_slices)
                images = compute.tensor(torch.from_numpy(shown))  # (B, C, H, W)
                logits = in_tiles(logits_of, part.padding.extend(images), patch_px=part.view.patch_px)  # (B, K, H', W')
                logits = logits[..., : images.shape[-2], : images.shape[-1]]  # (B, K, H, W)
                score, counted, prediction = _scored(
                    logits, case.label[chosen], loss=loss, encoding=encoding, rows=part.rows_at_once
                )
                losses.append(score)
                counts[place] += counted
                if sampled is not None and sampled in chosen:
                    shown_at = int(np.flatnonzero(chosen == sampled)[0])
                    samples.append(_sample(case, prediction[shown_at], number=part.number, index=sampled, classes=classes))
                seen(len(images))
    values = iter(torch.stack(losses).tolist())
    scores = []
    for part, of_part in zip(parts, counts.tolist(), strict=True):
        sizes = tuple(len(chosen) for chosen in part.batches(batch_size))
        scores.append(PartScores(part.number, tuple(islice(values, len(sizes))), sizes, of_part))
    return ValidationResult.of(scores, samples=samples)


def _scored(
    logits: torch.Tensor, label: NDArray[np.integer[Any]], *, loss: LossFunction, encoding: TensorEncoding, rows: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Score slices, so many rows at a time where the loss can be added up.

    Args:
        logits: (B, K, H, W), float32.
        label: class indices, (B, H, W).
        loss: of the run.
        encoding: what the logits mean.
        rows: at most, >= 1.

    Returns:
        the loss; the counts of pixels by class, (3, K), int64; the predicted class indices, (B, H, W), int16.
    """
    height = label.shape[1]
    of_sums = loss if isinstance(loss, LossOfSums) and rows < height else None
    found, counts, predictions = list[torch.Tensor](), list[torch.Tensor](), list[torch.Tensor]()
    for top in range(0, height, height if of_sums is None else rows):
        band = slice(top, height if of_sums is None else top + rows)
        part = logits[..., band, :]  # (B, K, h, W)
        target = torch.from_numpy(label[:, band].astype(np.int64)).to(logits.device)  # (B, h, W)
        found.append(loss(part, target) if of_sums is None else of_sums.sums(part, target))
        prediction = encoding.prediction(part)  # (B, h, W)
        counts.append(class_counts(prediction, target, encoding=encoding))
        predictions.append(prediction.to(torch.int16))
    value = found[0] if of_sums is None else of_sums.value(torch.stack(found).sum(dim=0))
    return value, torch.stack(counts).sum(dim=0), torch.cat(predictions, dim=1)


def fullest_slice(
    label: NDArray[np.integer[Any]], among: NDArray[np.int64] | None = None, *, classes: int | None = None
) -> int:
    """The slice with the most foreground, the first of equals.

    Args:
        label: class indices, (S, H, W), S >= 1.
        among: numbers of the slices to choose from, (N,), N >= 1; None: all.
        classes: how many there are, so that voxels without a label are told from them; None: there are none of these.
    """
    beyond = math.inf if classes is None else classes
    # Slice by slice, because counting along axes would first copy a scan that is only mapped from disk.
    numbers = range(len(label)) if among is None else among.tolist()
    return max(numbers, key=lambda index: int(np.count_nonzero((label[index] > 0) & (label[index] < beyond))))


def _sample(case: SliceStack, prediction: torch.Tensor, *, number: int, index: int, classes: int) -> SampleSlice:
    reference = np.array(case.label[index], dtype=np.int16)  # (H, W)
    return SampleSlice(
        case=number,
        index=index,
        image=np.array(case.image[0, index], dtype=np.float32),  # (H, W)
        prediction=prediction.cpu().numpy().astype(np.int16),  # (H, W)
        reference=np.where(reference < classes, reference, np.int16(-1)),  # (H, W)
    )


def class_counts(prediction: torch.Tensor, target: torch.Tensor, *, encoding: TensorEncoding) -> torch.Tensor:
    """Count labelled voxels by class: all that Dice needs, without a matrix of all pairs of classes.

    Args:
        prediction: class indices, any shape, int64.
        target: class indices of the same shape, or K for voxels without a label.
        encoding: of K classes or regions; a voxel counts for all regions it lies in.

    Returns:
        per class the voxels that are predicted and right, that are predicted, and that should be: (3, K), int64.
    """
    if not encoding.labels.exclusive:
        return _counts_of_regions(prediction, target, encoding=encoding)
    classes = encoding.labels.channels
    if encoding.labels.ignore is not None:
        prediction = torch.where(target == classes, target, prediction)
    right = torch.where(prediction == target, prediction, classes)  # the last place counts what is wrong
    if target.device.type != "cpu" and classes <= _COMPARED_CLASSES:
        return _compared(torch.stack([right, prediction, target]), classes=classes)
    counts = torch.zeros((3, classes + 1), dtype=torch.int64, device=target.device)
    one = counts.new_ones(()).expand(target.numel())
    for row, found in zip(counts, (right, prediction, target), strict=True):
        row.scatter_add_(0, found.flatten(), one)  # unlike bincount, which asks the device for the largest first
    return counts[:, :classes]


def _counts_of_regions(prediction: torch.Tensor, target: torch.Tensor, *, encoding: TensorEncoding) -> torch.Tensor:
    """The same of regions, which contain one another; voxels that nobody labelled do not count."""
    labelled = torch.where(target == encoding.labels.ignored, target, prediction)
    predicted = encoding.memberships(labelled.flatten()[None, None], dtype=torch.bool)  # (1, K, 1, N)
    wanted = encoding.memberships(target.flatten()[None, None], dtype=torch.bool)  # (1, K, 1, N)
    return torch.stack([found.sum(dim=(0, 2, 3)) for found in (predicted & wanted, predicted, wanted)])  # (3, K)


def _compared(found: torch.Tensor, *, classes: int) -> torch.Tensor:
    """How often each class occurs in three maps (3, ...): (3, K), int64; for a GPU, whose threads would queue to count."""
    return torch.stack([(found == label).flatten(1).sum(dim=1) for label in range(classes)], dim=1)


def dice_of_classes(counts: torch.Tensor | NDArray[np.int64]) -> NDArray[np.float64]:
    """Dice of each foreground class from `class_counts`, (3, K); NaN where a class neither occurs nor is predicted.

    Source: eq. 3 of the paper.
    """
    found = counts.cpu().numpy() if isinstance(counts, torch.Tensor) else counts
    right, predicted, wanted = found.astype(np.float64)[:, 1:]
    with np.errstate(invalid="ignore"):
        dice: NDArray[np.float64] = 2.0 * right / (predicted + wanted)
    return dice


def mean_of_defined(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Mean of the values that are not NaN; NaN where there are none."""
    array = np.asarray(values, dtype=np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else float("nan")
