"""How large the networks and their batches are: one small pure function per decision."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

from autoseg.catalogue import DeviceKind, Recipe
from autoseg.planning.memory import SMALLEST_BOTTLENECK_PX
from autoseg.planning.recipes import Choice
from autoseg.planning.slicing import Stack, typical_side
from autoseg.wording import counted

SMALLEST_SIDE_PX: Final = 4
"""What the shorter side of a typical slice may shrink to at the bottleneck.

Source: chosen; nnU-Net stops at the same size, and on hippocampus scans (about 35 pixels) it gives four levels, with
which 40 of them reached a test Dice of .881 after five minutes on one core."""

LEVELS: Final[dict[DeviceKind, tuple[int, int]]] = {"cpu": (2, 5), "gpu": (2, 6)}
FEATURES: Final[dict[DeviceKind, tuple[int, int]]] = {"cpu": (16, 256), "gpu": (32, 512)}
"""Features at full resolution, and at most.

Source: chosen; with 16 a network reached a mean Dice of .921 on IBSR18 within 35 minutes on one core."""

CPU_PATCH_LIMIT: Final = 512 * 512
"""Pixels per patch beyond which a step on a CPU takes too long. Source: chosen."""

CPU_PIXELS_PER_STEP: Final = 200_000
CPU_BATCHES: Final = (8, 16)
"""Smallest and largest batch on a CPU.

Source: after five minutes of training on 40 hippocampus scans a batch of 12 had reached a test Dice of .816, one of 58
only .574: small batches make more steps."""

GPU_BATCHES: Final = (2, 64)
SMALLEST_BATCH: Final = 2
"""Batch normalisation needs more than one image."""

MAX_BATCH_FRACTION: Final = 0.05
"""A batch holds at most this fraction of the training slices, so that batches differ. Source: nnU-Net's rule."""

STEPS_PER_EPOCH: Final = (20, 250)
"""Fewest and most.

Source: chosen: fewer would validate most of the time, more would report too rarely; 250 is nnU-Net's number."""

GPU_STEPS_PER_EPOCH: Final = 500
"""Source: chosen: on a GPU one pass takes a moment, and storing a model as long; so many steps take seconds."""

EPOCHS: Final = 200
GPU_STEPS: Final = (4000, 50_000)
"""Steps of a run on a GPU, fewest and most.

Source: chosen: 4000 on large batches are four times what hippocampus models needed to settle on small ones; 50,000 take a
quarter of an hour where a step takes twenty milliseconds."""

CPU_MINUTES: Final = 60.0
"""Source: chosen; hippocampus models settled within 10, IBSR18 models within 35 minutes on one core."""

MOSTLY_SHOWN: Final = 0.5
"""Patches that show less than this fraction of a typical slice are in part laid around classes. Source: chosen."""

FOREGROUND_PATCHES: Final = 0.33
"""Fraction of patches that are then laid around a pixel of a class.

Source: nnU-Net's; what it brings is in docs/explanation/decisions.md."""

PREDICTION_BATCH: Final[dict[DeviceKind, int]] = {"cpu": 16, "gpu": 64}


def features(
    stacks: Sequence[Stack], *, others: Sequence[Sequence[Stack]] = (), device: DeviceKind, base: Choice[int] | None = None
) -> Choice[tuple[int, ...]]:
    """Features per level: as many levels as a typical slice allows, each twice as wide as the one before.

    Args:
        stacks: the cases' slices in the first view.
        others: the same in further views, whose slices may shrink to what networks pad them to.
        device: kind of machine.
        base: features at full resolution, where a budget decides; None: those that suit the device.
    """
    side = typical_side(stacks)
    fewest, most = LEVELS[device]
    fitting = _fitting(side, smallest=SMALLEST_SIDE_PX)
    found = f"The shorter side of a typical slice has {side:g} pixels, so {fitting} levels leave at least "
    found += f"{SMALLEST_SIDE_PX} at the bottleneck"
    least = min((typical_side(other) for other in others), default=side)
    if (shared := _fitting(least, smallest=SMALLEST_BOTTLENECK_PX)) < min(fitting, most):
        found += f"; those of another view have {least:g}, so {shared} leave at least {SMALLEST_BOTTLENECK_PX}"
        fitting = shared
    levels = min(max(fitting, fewest), most)
    usual, limit = FEATURES[device]
    width, budget = (usual, "") if base is None else (base.value, f" {base.reason}")
    return Choice(
        tuple(min(width * 2**level, limit) for level in range(levels)),
        f"{found}; on a {device} networks have {fewest} to {most} levels and start from {width} features.{budget}",
    )


def levels(stacks: Sequence[Stack], *, device: DeviceKind) -> int:
    """How many levels a network has whose first view has these slices."""
    fewest, most = LEVELS[device]
    return min(max(_fitting(typical_side(stacks), smallest=SMALLEST_SIDE_PX), fewest), most)


def patch(
    stacks: Sequence[Stack],
    *,
    recipe: Recipe,
    divisor: int,
    device: DeviceKind,
    step_px: int,
) -> Choice[tuple[int, int]]:
    """Rows and columns of training patches: as large as slices are where that fits, the longer side cut first where not.

    Args:
        stacks: the labelled cases' slices.
        recipe: `auto` takes the typical slice, and larger ones are cut at random places; `paper` the largest, whole.
        divisor: sides must be multiples of it.
        device: kind of machine.
        step_px: pixels that memory allows a batch.

    Source: the typical instead of the largest slice: chosen; on IBSR18 it makes 1.5
    times as many steps in the same time (docs/explanation/decisions.md).
    """
    typical = recipe == "auto"
    sides = [stack.rows_px for stack in stacks], [stack.columns_px for stack in stacks]
    rows, columns = (math.ceil(median(side)) if typical else max(side) for side in sides)
    whole = (_up(rows, divisor), _up(columns, divisor))
    limit = max(step_px // SMALLEST_BATCH, divisor**2)
    if device == "cpu":
        limit = min(limit, CPU_PATCH_LIMIT)
    found = f"The {'typical' if typical else 'largest'} slices have {rows} rows and {columns} columns"
    if math.prod(whole) <= limit:
        larger = "; larger slices are cut at random places" if typical else ""
        return Choice(whole, f"{found}; rounded up to multiples of {divisor}, they fit whole{larger}.")
    short = _down(min(*whole, math.isqrt(limit)), divisor)
    long = _down(min(max(whole), limit // short), divisor)
    return Choice(
        (short, long) if whole[0] <= whole[1] else (long, short),
        f"{found}, more than the {limit} pixels that a step on this {device} can take; the longer side is cut "
        f"first, to multiples of {divisor}.",
    )


def batch_size(patch_px: tuple[int, int], *, device: DeviceKind, step_px: int, training_patches: int) -> Choice[int]:
    """Patches per step: few on a CPU, where steps are dear; as many as fit on a GPU.

    Args:
        patch_px: rows and columns of a patch.
        device: kind of machine.
        step_px: pixels that memory allows a batch.
        training_patches: with which a run sees its slices once.
    """
    pixels = math.prod(patch_px)
    fitting = max(SMALLEST_BATCH, step_px // pixels)
    few = max(SMALLEST_BATCH, int(MAX_BATCH_FRACTION * training_patches))
    fewest, most = CPU_BATCHES if device == "cpu" else GPU_BATCHES
    wanted = round(CPU_PIXELS_PER_STEP / pixels) if device == "cpu" else fitting
    size = min(max(wanted, fewest), most, fitting, few)
    aim = f"{CPU_PIXELS_PER_STEP} pixels per step would be {wanted}" if device == "cpu" else "As many as fit"
    return Choice(
        size,
        f"{aim}, kept between {fewest} and {most}; the memory of a step holds {fitting}, and {MAX_BATCH_FRACTION:.0%} of "
        f"the {training_patches} training patches are {few}.",
    )


def foreground_patches(shown: Sequence[tuple[Sequence[Stack], tuple[int, int]]], *, recipe: Recipe) -> Choice[float]:
    """Which fraction of the patches is laid around a pixel of a class: none where they show most of a slice anyway.

    Args:
        shown: for each view the cases' slices, and rows and columns of its patches.
        recipe: the paper's networks see whole slices.
    """
    least = min(_part_shown(stacks, patch_px) for stacks, patch_px in shown)
    found = f"Patches show {least:.0%} of a typical slice"
    if recipe == "paper":
        return Choice(0.0, "The paper's networks see slices whole.")
    if least >= MOSTLY_SHOWN:
        return Choice(0.0, f"{found}, and with it most of what is drawn there.")
    return Choice(FOREGROUND_PATCHES, f"{found}: cut anywhere, few of them would show what is small.")


def training_slices(stacks: Sequence[Stack], *, folds: int) -> int:
    """Labelled slices that a run of the cross-validation trains on: all but one fold's; all where there is one fold."""
    slices = sum(stack.labelled for stack in stacks)
    return slices if folds == 1 else round(slices * (folds - 1) / folds)


def patches_per_slice(stacks: Sequence[Stack], patch_px: tuple[int, int]) -> int:
    """Patches that have about as many pixels as a typical slice, >= 1: what counts as seeing it once."""
    return max(1, round(1 / _part_shown(stacks, patch_px)))


def training_pixels(stacks: Sequence[Stack], *, folds: int) -> float:
    """Pixels of the slices that a run of the cross-validation trains on."""
    pixels = sum(stack.labelled * stack.rows_px * stack.columns_px for stack in stacks)
    return pixels if folds == 1 else pixels * (folds - 1) / folds


def steps_per_epoch(views: Sequence[tuple[int, int]], *, recipe: Recipe = "auto", device: DeviceKind = "cpu") -> Choice[int]:
    """Steps between two validations: one pass over the training slices of a fold, within limits; on a GPU more.

    Args:
        views: for each view, with how many patches a run sees its slices once, and its batch size.
        recipe: the paper's schedule counts passes, on whatever machine.
        device: kind of machine.
    """
    fewest, most = STEPS_PER_EPOCH
    once = _pass(views)
    listing = ", ".join(str(patches) for patches, _ in views)
    what = f"{listing} training patches" if len(views) == 1 else f"the training patches of all views ({listing})"
    if recipe == "auto" and device == "gpu":
        return Choice(
            GPU_STEPS_PER_EPOCH,
            f"One pass over {what} takes {counted(once, 'step')}, on a GPU a moment: validated and stored after more.",
        )
    return Choice(
        min(max(once, fewest), most),
        f"One pass over {what} takes {counted(once, 'step')}; kept between {fewest} and {most}.",
    )


def run_epochs(
    *,
    recipe: Recipe,
    device: DeviceKind,
    views: Sequence[tuple[int, int]],
    steps_per_epoch: int,
    minutes: float | None = None,
) -> Choice[int | None]:
    """Length of a run in epochs, where it is not measured in time.

    Args:
        recipe: the paper's counts passes.
        device: kind of machine.
        views: for each view, with how many patches a run sees its slices once, and its batch size.
        steps_per_epoch: as chosen.
        minutes: length asked for; None: by rule.
    """
    if minutes is not None:
        return Choice(None, "Minutes were asked for.")
    if recipe == "paper":
        return Choice(EPOCHS, "The paper stops early and names no limit; this one is out of the way.")
    if device == "cpu":
        return Choice(None, "On a CPU a run is measured in minutes.")
    fewest, most = GPU_STEPS
    once = _pass(views)
    steps = min(max(EPOCHS * once, fewest), most)
    found = f"{EPOCHS} passes over the training slices are {EPOCHS * once} steps; kept between {fewest} and {most}"
    return Choice(
        math.ceil(steps / steps_per_epoch),
        f"{found}." if steps == EPOCHS * once else f"{found}, which are {steps / once:.3g} passes.",
    )


def run_minutes(*, recipe: Recipe, device: DeviceKind, asked: float | None = None) -> Choice[float | None]:
    """Length of a run in minutes, where it is not measured in epochs."""
    if asked is not None:
        return Choice(asked, "Asked for.")
    if recipe == "auto" and device == "cpu":
        return Choice(
            CPU_MINUTES, "Chosen: an hour is affordable on a CPU, and the learning rate anneals to whatever is given."
        )
    return Choice(None, "The run is measured in epochs.")


def prediction_batch(*, device: DeviceKind) -> Choice[int]:
    """Slices predicted at once."""
    return Choice(PREDICTION_BATCH[device], f"Chosen for a {device}: predicting keeps nothing for a backward pass.")


def _part_shown(stacks: Sequence[Stack], patch_px: tuple[int, int]) -> float:
    """Which fraction of a typical slice lies in a patch."""
    rows, columns = patch_px
    return median(
        min(rows, stack.rows_px) * min(columns, stack.columns_px) / (stack.rows_px * stack.columns_px) for stack in stacks
    )


def _pass(views: Sequence[tuple[int, int]]) -> int:
    """Steps that show every training slice of every view once."""
    return sum(math.ceil(patches / batch) for patches, batch in views)


def _fitting(side: float, *, smallest: int) -> int:
    """How many levels leave so many pixels of a side at the bottleneck."""
    return 1 + math.floor(math.log2(max(side, smallest) / smallest))


def _up(size: int, divisor: int) -> int:
    return -(-size // divisor) * divisor


def _down(size: int, divisor: int) -> int:
    return max(size // divisor, 1) * divisor
