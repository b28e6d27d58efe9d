"""A network that learns, one batch at a time. It knows nothing of epochs, clocks or files: those are the loop's."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from autoseg import catalogue
from autoseg.model.compute import Compute
from autoseg.model.encoding import TensorEncoding
from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.planning.sections import TrainingSection
from autoseg.training.batches import TrainingBatch
from autoseg.training.losses import build_loss, over_levels
from autoseg.training.validation import ValidationPart, ValidationResult, class_counts, validate


@dataclass(frozen=True, eq=False)
class StepResult:
    """What one optimiser step saw.

    Attributes:
        loss: before the step, a scalar on the device; whether it is finite is seen by whoever reads it.
        counts: of pixels by class, as `class_counts` gives them, (3, K), int64, on the device.
    """

    loss: torch.Tensor
    counts: torch.Tensor


class Learner:
    """Network, loss and optimiser of one run.

    Args:
        plan: what to build and how it learns.
        architecture: key of `autoseg.catalogue.NETWORKS`; the weights are drawn from torch's current generator.
        compute: device and number format.
    """

    def __init__(self, plan: Plan, *, architecture: catalogue.Architecture, compute: Compute) -> None:
        self._plan = plan
        self._compute = compute
        classes = len(plan.data.classes)
        network = build_network(architecture, in_channels=plan.input_channels, classes=classes, size=plan.network)
        self.network = compute.place(network)
        self.optimiser = _build_optimiser(self.network, plan.training)
        self._encoding = TensorEncoding.of(plan)
        self._loss = build_loss(
            plan.training.loss,
            class_weights=plan.training.class_weights,
            encoding=self._encoding.of_losses,
            device=compute.device,
        )
        self._levels_loss = over_levels(self._loss)

    @property
    def all_finite(self) -> bool:
        """Whether every weight and running statistic is finite."""
        floats = (tensor for tensor in self.network.state_dict().values() if tensor.is_floating_point())
        return bool(torch.stack([tensor.isfinite().all() for tensor in floats]).all())

    def no_counts(self) -> torch.Tensor:
        """Counts to begin with: zeros, where those of the steps are."""
        classes = len(self._plan.data.classes)
        return torch.zeros((3, classes), dtype=torch.int64, device=self._compute.device)

    def step(self, batch: TrainingBatch, *, rate: float) -> StepResult:
        """Learn from one batch, without waiting for the device.

        Args:
            batch: images and labels.
            rate: learning rate.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        target = batch.labels.to(self._compute.device, non_blocking=True)  # (B, H, W)
        with self._compute.autocast():
            outputs = self.network.forward_levels(self._compute.tensor(batch.images))
        levels = [logits.float() for logits in outputs]  # (B, K, ceil(H / 2^l), ceil(W / 2^l))
        loss = self._levels_loss(levels, target)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        if self._plan.training.grad_clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._plan.training.grad_clip_norm)
        self.optimiser.step()
        prediction = self._encoding.prediction(levels[0].detach())  # (B, H, W)
        return StepResult(loss.detach(), class_counts(prediction, target, classes=levels[0].shape[1]))

    def validate(self, parts: Sequence[ValidationPart], *, seen: Callable[[int], None] = lambda _: None) -> ValidationResult:
        """Scores on some slices of some cases; all NaN where there are none.

        Args:
            parts: what to look at.
            seen: called with the number of slices after each batch.
        """
        classes = len(self._plan.data.classes)
        if not parts:
            return ValidationResult(math.nan, (math.nan,) * (classes - 1))
        return validate(
            self.network,
            parts,
            loss=self._loss,
            encoding=self._encoding,
            batch_size=self._plan.prediction.batch_size,
            compute=self._compute,
            seen=seen,
        )


def _build_optimiser(network: nn.Module, section: TrainingSection) -> torch.optim.Optimizer:
    decay = {"weight_decay": section.weight_decay} if catalogue.OPTIMISERS[section.optimiser].decays else {}
    optimiser: torch.optim.Optimizer = catalogue.OPTIMISERS.build(
        section.optimiser, params=network.parameters(), lr=section.learning_rate, **decay
    )
    return optimiser
