"""How wide networks are where the length of a run is known beforehand: as wide as the work that fits into it allows."""

from typing import Final

from autoseg.catalogue import DeviceKind
from autoseg.planning.recipes import Choice
from autoseg.planning.sizing import FEATURES

REFERENCE_FEATURES: Final = 16
"""Features at full resolution of the U-Net whose pace is the speed of a machine."""

COST_POWER: Final = 1.5
"""The time of a step rises with this power of the features.

Source: chosen between what was measured for twice the features: 2.1 times on small slices in bfloat16, three to four
times on large ones in float32 (docs/explanation/decisions.md)."""

WIDTHS: Final[dict[DeviceKind, tuple[int, ...]]] = {"cpu": (8, 12, 16, 24, 32), "gpu": (16, 24, 32, 48)}
"""Features at full resolution to choose among."""

FEWEST_PASSES: Final = 5.0
"""Passes over the training slices below which a narrower network is taken than without a budget. Source: chosen."""

WIDER_PASSES: Final = 100.0
"""Passes over the training slices from which on a wider network is taken than without a budget.

Source: chosen, beyond what was tried: on IBSR18 an hour of 32 features, in which each slice was seen 55 times, gave
hardly more than 20 minutes of 16 (docs/explanation/results.md). That wider networks give more beyond was not measured."""


def step_cost(features: int) -> float:
    """How long a step takes, in those of a U-Net of `REFERENCE_FEATURES`, by its features at full resolution."""
    cost: float = (features / REFERENCE_FEATURES) ** COST_POWER
    return cost


def base_features(pixels: float, *, minutes: float, speed_kpx_s: float, device: DeviceKind) -> Choice[int]:
    """Features at full resolution for a run of so many minutes: the most with which slices are seen often enough.

    Args:
        pixels: of all slices that a run trains on, in all views.
        minutes: length of a run.
        speed_kpx_s: thousand pixels that a U-Net of 16 features learns from in a second.
        device: kind of machine.
    """
    usual, _ = FEATURES[device]

    def passes(width: int) -> float:
        return minutes * 60 * speed_kpx_s * 1000 / pixels / step_cost(width)

    needed = {width: WIDER_PASSES if width > usual else FEWEST_PASSES for width in WIDTHS[device]}
    chosen = max((width for width in needed if passes(width) >= needed[width]), default=WIDTHS[device][0])
    other = "" if chosen == usual else f" and {passes(chosen):.3g} times to one of {chosen}"
    return Choice(
        chosen,
        f"At {speed_kpx_s:g} thousand pixels a second, {minutes:g} minutes show each slice {passes(usual):.3g} times to a "
        f"network of {usual} features{other}; more than {usual} are taken from "
        f"{WIDER_PASSES:g} times on, fewer below {FEWEST_PASSES:g}, which is chosen and not measured.",
    )
