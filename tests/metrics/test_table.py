"""What the table says of each metric, and that the numbers are the metric's."""

import math

import numpy as np
import pytest

from autoseg.metrics.masks import Masks
from autoseg.metrics.table import METRICS, shown_metrics


def masks(prediction: list[int], reference: list[int]) -> Masks:
    """Two masks along a row of voxels of 3 x 2 x 0.5 mm."""
    rows = (np.array(row, bool).reshape(1, 1, -1) for row in (prediction, reference))
    return Masks(*rows, spacing_mm=(3.0, 2.0, 0.5))


def test_numbers_by_hand() -> None:
    found = {name: metric.compute(masks([1, 1, 0, 0], [0, 1, 1, 1])) for name, metric in METRICS.items()}
    # One voxel of 2 and 3 is shared. Ends are 1 and 2 voxels of 0.5 mm from the other's nearest end.
    assert found["dice"] == pytest.approx(0.4)
    assert found["hausdorff_mm"] == pytest.approx(1.0)
    assert found["volume_ml"] == pytest.approx(0.006)
    assert found["reference_volume_ml"] == pytest.approx(0.009)


def test_a_class_on_neither_side_has_volumes_only() -> None:
    found = {name: metric.compute(masks([0, 0], [0, 0])) for name, metric in METRICS.items()}
    assert (found.pop("volume_ml"), found.pop("reference_volume_ml")) == (0.0, 0.0)
    assert all(math.isnan(number) for number in found.values())


def test_names_end_in_the_unit() -> None:
    assert all(name.endswith(f"_{metric.unit}") for name, metric in METRICS.items() if metric.unit)


def test_networks_are_compared_by_what_has_a_better_end() -> None:
    assert shown_metrics() == ["dice", "hausdorff_mm"]
    assert METRICS["hausdorff_mm"].label == "Hausdorff distance (mm)"
    assert METRICS["dice"].label == "Dice"
    assert [METRICS[name].best([1.0, 3.0]) for name in ("dice", "assd_mm", "volume_ml")] == [3.0, 1.0, None]
