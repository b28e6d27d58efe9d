"""A training step beside a plain eager one in float32, on a GPU where there is one, else on the CPU with small sizes.

Run with `pytest -m benchmark -s tests/benchmarks/test_gpu_speed.py`.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from autoseg.model.compute import Compute, choose_compute
from autoseg.model.encoding import TensorEncoding
from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.preprocessing.footprint import Footprint
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training.batches import TrainingBatch
from autoseg.training.device_batches import DeviceBatches
from autoseg.training.learner import Learner
from autoseg.training.losses import soft_dice

ON_GPU = torch.cuda.is_available()
STEPS = 100 if ON_GPU else 3


@dataclass(frozen=True)
class Sizes:
    """Of a plan for a GPU."""

    features: tuple[int, ...]
    patch_px: tuple[int, int]
    batch: int


SIZES = {
    "brain": Sizes((32, 64, 128, 256, 512, 512), (160, 160), 64) if ON_GPU else Sizes((8, 16, 32), (64, 64), 4),
    "hippocampus": Sizes((32, 64, 128, 256), (56, 40), 48) if ON_GPU else Sizes((4, 8, 16), (56, 40), 8),
}


def plan_of(sizes: Sizes, make_plan: Callable[..., Plan]) -> Plan:
    return make_plan(
        network={"features": list(sizes.features), "convolutions": 2, "skips": "add"},
        view={"patch_px": list(sizes.patch_px), "batch_size": sizes.batch, "adjacent_slices": 1},
        training={"steps_per_epoch": STEPS},
        augmentation={"spatial_probability": 1.0, "blur_sigma_px": [0.0, 0.0]},
    )


def cases(sizes: Sizes) -> list[tuple[str, StoredCase]]:
    generator, found = np.random.default_rng(0), []
    for number in range(4):
        shape = (sizes.batch, *(side - number for side in sizes.patch_px))
        label = (generator.uniform(size=shape) < 0.1).astype(np.uint8)
        image = (label + generator.normal(size=shape)).astype(np.float32)[np.newaxis]
        footprint = Footprint(
            shape=shape,
            axes=(0, 1, 2),
            flipped=(False, False, False),
            start=(0, 0, 0),
            stop=shape,
            size_px=shape[1:],
            spacing_mm=(1.0, 1.0, 1.0),
            pad_value=(float(image.min()),),
        )
        found.append((f"case{number}", StoredCase((SliceStack(image, label, footprint),))))
    return found


def plain_step(plan: Plan, device: torch.device, *, tf32: bool) -> Callable[[], object]:
    """As one would write it first: float32, eager, the loss read after every step; the batch lies on the device."""
    torch.backends.cudnn.allow_tf32 = tf32
    network = build_network("unet", in_channels=plan.input_channels, classes=2, size=plan.network).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    weights = torch.tensor(plan.training.class_weights, device=device)
    dice, view = soft_dice(weights, TensorEncoding.of(plan).of_losses), plan.views[0]
    images = torch.randn((view.batch_size, plan.input_channels, *view.patch_px), device=device)
    target = torch.randint(2, (view.batch_size, *view.patch_px), device=device)

    def step() -> float:
        logits = network(images)
        loss = F.cross_entropy(logits, target, weight=weights) + dice(logits, target)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 12.0)
        optimiser.step()
        return float(loss.detach())

    return step


def our_step(plan: Plan, sizes: Sizes, compute: Compute) -> Callable[[], object]:
    """Making the batch included."""
    batches = DeviceBatches(cases(sizes), plan=plan, seed=0, compute=compute)
    learner = Learner(plan, architecture="unet", compute=compute)

    def endless() -> Iterator[TrainingBatch]:
        epoch = 0
        while True:
            yield from batches.epoch(epoch)
            epoch += 1

    coming = endless()
    return lambda: learner.step(next(coming), rate=1e-3)


def step_ms(step: Callable[[], object]) -> float:
    """Median over five blocks of steps."""
    for _ in range(8):
        step()
    blocks = []
    for _ in range(5):
        wait()
        started = time.perf_counter()
        for _ in range(max(1, STEPS // 5)):
            step()
        wait()
        blocks.append((time.perf_counter() - started) / max(1, STEPS // 5) * 1e3)
    return statistics.median(blocks)


def busy_fraction(step: Callable[[], object]) -> float:
    """Part of the time in which the device computes, while steps follow one another."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        started = time.perf_counter()
        for _ in range(STEPS):
            step()
        wait()
        took_us = (time.perf_counter() - started) * 1e6
    events: Any = profile.key_averages()
    return sum(event.self_device_time_total for event in events) / took_us


def wait() -> None:
    if ON_GPU:
        torch.cuda.synchronize()


@pytest.mark.benchmark
@pytest.mark.parametrize("name", list(SIZES))
def test_a_step_beside_a_plain_one(make_plan: Callable[..., Plan], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    sizes, compute = SIZES[name], choose_compute("auto")
    plan = plan_of(sizes, make_plan)
    with compute.repeatable():
        step = our_step(plan, sizes, compute)
        ours = step_ms(step)
        busy = f", device busy {busy_fraction(step):.0%}" if ON_GPU else ""
    plain = step_ms(plain_step(plan, compute.device, tf32=False))
    default = f", {step_ms(plain_step(plan, compute.device, tf32=True)) / ours:.1f} x one in TF32" if ON_GPU else ""
    what = f"{name} on {compute.device.type}, {sizes.batch} x {sizes.patch_px} in {compute.precision}"
    with capsys.disabled():
        print(f"\n{what}: {ours:.2f} ms a step, {plain / ours:.1f} x a plain one in float32 ({plain:.2f} ms){default}{busy}")
    assert ours > 0
