"""What the table says of each metric, and that the numbers are the metric's."""

import math
from typing import Any

import numpy as np
import pytest

from autoseg.metrics.masks import Masks
from autoseg.metrics.surface import SurfaceDistances, surface_distances
from autoseg.metrics.table import METRICS, plot_metrics, table_metrics


def masks(prediction: list[int], reference: list[int], *, tolerance_mm: float = 0.75) -> Masks:
    """Two masks along a row of voxels of 3 x 2 x 0.5 mm."""
    rows = (np.array(row, bool).reshape(1, 1, -1) for row in (prediction, reference))
    return Masks(*rows, spacing_mm=(3.0, 2.0, 0.5), tolerance_mm=tolerance_mm)


def test_numbers_by_hand() -> None:
    found = {name: metric.compute(masks([1, 1, 0, 0], [0, 1, 1, 1])) for name, metric in METRICS.items()}
    # One voxel of 2 and 3 is shared. Ends are 1 and 2 voxels of 0.5 mm from the other's nearest end.
    assert found["dice"] == pytest.approx(0.4)
    assert found["hausdorff_mm"] == pytest.approx(1.0)
    assert found["nsd"] == 0.75  # of 2 + 2 ends, which are all the surface there is, one is 1 mm away
    assert found["nsd_tolerance_mm"] == 0.75
    assert found["volume_ml"] == pytest.approx(0.006)
    assert found["reference_volume_ml"] == pytest.approx(0.009)


def test_a_class_on_neither_side_has_volumes_only() -> None:
    found = {name: metric.compute(masks([0, 0], [0, 0])) for name, metric in METRICS.items()}
    assert (found.pop("volume_ml"), found.pop("reference_volume_ml")) == (0.0, 0.0)
    assert found.pop("nsd_tolerance_mm") == 0.75
    assert all(math.isnan(number) for number in found.values())


@pytest.mark.parametrize("pair", [([1, 0], [0, 0]), ([0, 0], [0, 1])])
def test_surfaces_of_which_one_is_missing_agree_nowhere(pair: tuple[list[int], list[int]]) -> None:
    assert METRICS["nsd"].compute(masks(*pair, tolerance_mm=1000.0)) == 0.0


def test_distances_are_computed_once_for_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    compute = surface_distances

    def counted(*args: Any, **choices: Any) -> SurfaceDistances:
        passes.append(args)
        return compute(*args, **choices)

    monkeypatch.setattr("autoseg.metrics.masks.surface_distances", counted)
    one = masks([1, 1, 0, 0], [0, 1, 1, 1])
    assert all(not math.isnan(metric.compute(one)) for metric in METRICS.values())
    assert len(passes) == 1


def test_names_end_in_the_unit() -> None:
    assert all(name.endswith(f"_{metric.unit}") for name, metric in METRICS.items() if metric.unit)


def test_networks_are_compared_by_what_has_a_better_end() -> None:
    assert table_metrics() == ["dice", "nsd", "hausdorff_mm", "hausdorff95_mm", "assd_mm"]
    assert plot_metrics() == ["dice", "nsd", "hausdorff_mm"]
    assert (METRICS["hausdorff_mm"].label, METRICS["hausdorff_mm"].heading) == ("Hausdorff distance (mm)", "HD (mm)")
    assert (METRICS["dice"].label, METRICS["dice"].heading) == ("Dice", "Dice")
    assert [METRICS[name].best([1.0, 3.0]) for name in ("dice", "assd_mm", "volume_ml")] == [3.0, 1.0, None]
