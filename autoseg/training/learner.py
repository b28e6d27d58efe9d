"""A network that learns, one batch at a time. It knows nothing of epochs, clocks or files: those are the loop's.

Where several ranks train it, each has its own part of every batch, and all have the same network: what they learn is what
one process learns from the whole batch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from autoseg import catalogue
from autoseg.catalogue import MemoryFormat
from autoseg.model.compute import MEMORY_FORMATS, Compute
from autoseg.model.encoding import TensorEncoding
from autoseg.model.recording import Recorded
from autoseg.networks import network_of
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.training.batches import TrainingBatch
from autoseg.training.losses import LevelsLoss, build_loss, over_levels
from autoseg.training.optimiser import build_optimiser, set_rate
from autoseg.training.parallel import ParallelNetwork
from autoseg.training.ranks import ALONE, Ranks
from autoseg.training.validation import ValidationResult, class_counts, validate
from autoseg.training.validation_parts import ValidationPart

_MOMENTS: Final = 2
"""Numbers that an optimiser keeps for each weight. Source: Adam's two."""

_HALVED: Final = 2
"""Pixels per side that become one at half resolution."""

Forward = Callable[[torch.Tensor], list[torch.Tensor]]
"""Makes logits of every supervised level, from full resolution downwards, of images (B, C, H, W)."""

_IN_ORDER: Final = 4
"""Dimensions of a tensor that has a memory format: (B, C, H, W), or the weights of a convolution."""


@dataclass(frozen=True, eq=False)
class StepResult:
    """What one optimiser step saw.

    Attributes:
        loss: of the whole batch before the step, a scalar on the device; whether it is finite is seen by whoever reads it.
        counts: of the whole batch's pixels by class, as `class_counts` gives them, (3, K), int64, on the device.
    """

    loss: torch.Tensor
    counts: torch.Tensor


class Learner:
    """Network, loss and optimiser of one run.

    Args:
        plan: what to build and how it learns.
        architecture: key of `autoseg.catalogue.NETWORKS`; the weights are drawn from torch's current generator.
        compute: device and number format.
        not_recorded: told why steps are asked for operation by operation, on a device that could replay them.
        ranks: who trains this network together; the weights are those that rank 0 has drawn.
        weights: everything that the network holds to begin with, in place of what was drawn.

    Raises:
        ExtensionError: it has layers that several ranks cannot train as one.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        architecture: catalogue.Architecture,
        compute: Compute,
        not_recorded: Callable[[str], None] = lambda _: None,
        ranks: Ranks = ALONE,
        weights: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self._plan = plan
        self._compute = compute
        self._ranks = ranks
        network = network_of(plan, architecture)
        if weights is not None:
            network.load_state_dict(weights)
        self.network = compute.place(network)
        self._parallel = ParallelNetwork(self.network, ranks) if ranks.size > 1 else None
        self.optimiser = build_optimiser(self.network, plan.training, device=compute.device)
        self._encoding = TensorEncoding.of(plan)
        self._loss = build_loss(
            plan.training.loss,
            class_weights=plan.training.class_weights,
            encoding=self._encoding.of_losses,
            device=compute.device,
        )
        self._levels_loss = over_levels(self._loss, ranks)
        recorder = compute.recorder()
        if recorder is not None and ranks.size > 1:
            not_recorded("several processes train together")
            recorder = None
        self._learn = Recorded(self._learn_from, recorder=recorder, failed=not_recorded)

    @property
    def all_finite(self) -> bool:
        """Whether every weight and running statistic is finite, on every rank."""
        floats = (tensor for tensor in self.network.state_dict().values() if tensor.is_floating_point())
        return self._all_say(bool(torch.stack([tensor.isfinite().all() for tensor in floats]).all()))

    def use_memory_format(self, chosen: MemoryFormat) -> None:
        """Have batches, weights and their moments lie in memory in this order from now on; no value changes.

        All ranks choose the same.
        """
        changed = self._compute.memory_format != chosen
        self._compute = replace(self._compute, layout=chosen)
        for weights in self.network.parameters():
            weights.data = _in_order(weights.data, chosen)
        for moments in self.optimiser.state.values():
            moments.update({name: _in_order(value, chosen) for name, value in moments.items() if torch.is_tensor(value)})
        if changed and self._parallel is not None:
            self._parallel.weights_moved()

    def no_counts(self) -> torch.Tensor:
        """Counts to begin with: zeros, where those of the steps are."""
        classes = len(self._plan.data.classes)
        return torch.zeros((3, classes), dtype=torch.int64, device=self._compute.device)

    def step(self, batch: TrainingBatch, *, rate: float, half_resolution: bool = False) -> StepResult:
        """Learn from one batch, without waiting for the device.

        Args:
            batch: images and labels; of several ranks each has its own part, all of the same size but for the number.
            rate: learning rate.
            half_resolution: whether the network sees means of 2x2 pixels; each of its logits then answers for all four.
        """
        set_rate(self.optimiser, rate)
        self.network.train()
        target = batch.labels.to(self._compute.device, non_blocking=True)  # (B, H, W)
        images = self._compute.tensor(batch.images)
        loss, counts = self._learn(F.avg_pool2d(images, _HALVED) if half_resolution else images, target)
        return StepResult(loss, counts)

    def agree(self) -> None:
        """Have the same weights on all ranks, to the last bit, whatever their processors made of products of matrices."""
        if self._parallel is not None:
            self._parallel.agree()

    def fits_into_memory(self, view: View) -> bool:
        """Whether the device's memory holds a step on a whole batch of a view; tried, and nothing of the network changes.

        Several ranks try the largest part of the batch, each without the others; it fits where it does on all.
        """
        images = math.ceil(view.batch_size / self._ranks.size)
        if self._parallel is None:
            return self._holds(images, view, loss=self._levels_loss)
        with self._parallel.imagined() as ranks:
            fits = self._holds(images, view, loss=over_levels(self._loss, ranks))
        return self._all_say(fits)

    def _holds(self, images: int, view: View, *, loss: LevelsLoss) -> bool:
        """Whether memory holds a step on so many images."""
        device, buffers = self._compute.device, {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        self.network.train()
        try:
            batch = torch.zeros((images, self._plan.input_channels, *view.patch_px), device=device)
            target = torch.zeros((images, *view.patch_px), dtype=torch.int64, device=device)
            levels = self._levels_of(self._compute.tensor(batch), target, forward=self.network.forward_levels)
            loss(levels, target).backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            moments = [torch.empty_like(weight) for weight in self.network.parameters() for _ in range(_MOMENTS)]
            del moments
        except torch.OutOfMemoryError:
            return False
        finally:
            self.optimiser.zero_grad(set_to_none=True)
            for name, buffer in self.network.named_buffers():
                buffer.copy_(buffers[name])
        return True

    def _all_say(self, said: bool) -> bool:  # noqa: FBT001 - the one thing to say
        """Whether every rank says so."""
        return int(self._ranks.sum(torch.tensor(int(said)))) == self._ranks.size

    def _learn_from(self, images: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What a step does there: loss and counts of images (B, C, H, W), or of half the size, and targets (B, H, W)."""
        forward = self.network.forward_levels if self._parallel is None else self._parallel.forward_levels
        levels = self._levels_of(images, target, forward=forward)
        loss = self._levels_loss(levels, target)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        if self._plan.training.grad_clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._plan.training.grad_clip_norm)
        self.optimiser.step()
        prediction = self._encoding.prediction(levels[0].detach())  # (B, H, W)
        counts = class_counts(prediction, target, encoding=self._encoding)
        return loss.detach(), self._ranks.sum(counts)

    def _levels_of(self, images: torch.Tensor, target: torch.Tensor, *, forward: Forward) -> list[torch.Tensor]:
        """Logits of every supervised level, from the targets' resolution (B, L, H, W) downwards."""
        with self._compute.autocast():
            outputs = forward(images)
        levels = [logits.float() for logits in outputs]  # (B, L, ceil(H / 2^l), ceil(W / 2^l))
        if images.shape[-2:] != target.shape[-2:]:
            levels = [_doubled(logits) for logits in levels]  # (B, L, ceil(H / 2^l), ceil(W / 2^l)) of the target
        return levels

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


def _doubled(logits: torch.Tensor) -> torch.Tensor:
    """Every value of (B, K, h, w) for 2x2 pixels: (B, K, 2 h, 2 w); its gradient sums in a fixed order on any device."""
    batch, classes, rows, columns = logits.shape
    spread = logits[:, :, :, None, :, None].expand(-1, -1, -1, _HALVED, -1, _HALVED)  # (B, K, h, 2, w, 2)
    return spread.reshape(batch, classes, _HALVED * rows, _HALVED * columns)


def _in_order(values: torch.Tensor, chosen: MemoryFormat) -> torch.Tensor:
    """Weights of a convolution in a memory format; themselves where they are in it already, and anything else, too.

    Weights of one input channel pass for either format, but convolutions take twice as long with the strides of the other:
    so strides are compared.
    """
    if values.dim() != _IN_ORDER:
        return values
    wanted = MEMORY_FORMATS[chosen]
    strides = torch.empty(values.shape, device="meta", memory_format=wanted).stride()
    return values if values.stride() == strides else values.clone(memory_format=wanted)
