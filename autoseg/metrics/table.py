"""The metrics: what each is called, how it is written, which end is the good one, and how it is computed.

Tables, plots, comparisons and the report take all they say about a metric from here, so that a metric of one's own is one
module and one line (docs/how-to/bring-your-own-metric.md).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from autoseg.metrics.masks import Masks
from autoseg.metrics.overlap import dice, volume_ml


@dataclass(frozen=True)
class Metric:
    """What is known about a metric.

    Attributes:
        title: its name for people, without unit.
        compute: from the two masks of a class to a number; NaN where it is undefined.
        better: which end is the good one; None: neither is.
        unit: of the numbers; empty for a ratio.
        decimals: digits after the point in tables for people.
        in_tables: whether networks are compared by it in tables; files of scores hold every metric.
        in_plots: whether it is drawn, too.
        short: what it is called where there is little space; empty: as `title`.
        limits: between which all its values lie; an interval of their mean goes no further.
    """

    title: str
    compute: Callable[[Masks], float]
    better: Literal["higher", "lower"] | None
    unit: str = ""
    decimals: int = 4
    in_tables: bool = True
    in_plots: bool = True
    short: str = ""
    limits: tuple[float, float] = (-math.inf, math.inf)

    @property
    def label(self) -> str:
        """Title and unit, for axes and captions."""
        return self._with_unit(self.title)

    @property
    def heading(self) -> str:
        """Short title and unit, for columns of tables."""
        return self._with_unit(self.short or self.title)

    def _with_unit(self, title: str) -> str:
        return f"{title} ({self.unit})" if self.unit else title

    def best(self, values: Sequence[float]) -> float | None:
        """The best of some defined values; None where no end is the good one.

        Example:
            >>> METRICS["dice"].best([0.8, 0.9]), METRICS["hausdorff_mm"].best([3.0, 5.0]), METRICS["volume_ml"].best([1.0])
            (0.9, 3.0, None)
        """
        if self.better is None:
            return None
        return max(values) if self.better == "higher" else min(values)


def _normalised_surface_dice(masks: Masks) -> float:
    """Normalised surface Dice (NSD) at the masks' tolerance: 0 where one is empty, NaN where both are.

    NaN, too, where some voxels have no label.
    """
    if not masks.throughout:
        return math.nan
    if masks.prediction.any() and masks.reference.any():
        return masks.distances.fraction_within(masks.tolerance_mm)
    return dice(masks.prediction, masks.reference)


_RATIO: Final = (0.0, 1.0)
_NOT_NEGATIVE: Final = (0.0, math.inf)

METRICS: Final[Mapping[str, Metric]] = {
    "dice": Metric("Dice", lambda masks: dice(masks.prediction, masks.reference), "higher", limits=_RATIO),
    "nsd": Metric("Normalised surface Dice", _normalised_surface_dice, "higher", short="NSD", limits=_RATIO),
    "hausdorff_mm": Metric(
        "Hausdorff distance",
        lambda masks: masks.distances.hausdorff_mm,
        "lower", "mm", 2, short="HD", limits=_NOT_NEGATIVE,
    ),
    "hausdorff95_mm": Metric(
        "95th percentile of the Hausdorff distance",
        lambda masks: masks.distances.hausdorff95_mm,
        "lower", "mm", 2, in_plots=False, short="HD95", limits=_NOT_NEGATIVE,
    ),
    "assd_mm": Metric(
        "Average symmetric surface distance",
        lambda masks: masks.distances.assd_mm,
        "lower", "mm", 2, in_plots=False, short="ASSD", limits=_NOT_NEGATIVE,
    ),
    "volume_ml": Metric(
        "Volume",
        lambda masks: volume_ml(masks.prediction, spacing_mm=masks.spacing_mm),
        None, "ml", 2, in_tables=False, in_plots=False, limits=_NOT_NEGATIVE,
    ),
    "reference_volume_ml": Metric(
        "Volume in the reference",
        lambda masks: volume_ml(masks.reference, spacing_mm=masks.spacing_mm),
        None, "ml", 2, in_tables=False, in_plots=False, limits=_NOT_NEGATIVE,
    ),
    "nsd_tolerance_mm": Metric(
        "Tolerance of the normalised surface Dice",
        lambda masks: masks.tolerance_mm if masks.throughout else math.nan,
        None, "mm", 2, in_tables=False, in_plots=False, limits=_NOT_NEGATIVE,
    ),
}  # fmt: skip
"""By the name of their column, in the order of the tables' columns. The tolerance stands beside what was scored with it."""


def table_metrics() -> list[str]:
    """Names of the metrics that networks are compared by in tables."""
    return [name for name, metric in METRICS.items() if metric.in_tables]


def plot_metrics() -> list[str]:
    """Names of the metrics that are drawn."""
    return [name for name, metric in METRICS.items() if metric.in_plots]
