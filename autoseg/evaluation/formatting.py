"""Numbers in words: the same digits, intervals and signs in tables, on the report's page, on model cards and on consoles."""

import json
import math
from collections.abc import Sequence
from typing import Final, Protocol

from autoseg.wording import counted

UNDEFINED: Final = "n/a"
"""What stands where a number is undefined."""

TOO_FEW: Final = "too few cases for an interval"
"""What stands where a mean is defined and its interval is not."""

_SMALL_ML: Final = 0.01
"""Volumes below it are seen in microscopy and micro-CT. Source: two decimals show it as their last digit."""


class Estimated(Protocol):
    """A mean over cases with its interval; undefined numbers are NaN or None."""

    @property
    def mean(self) -> float | None:
        """Over the cases for which the number is defined."""

    @property
    def low(self) -> float | None:
        """Lower bound."""

    @property
    def high(self) -> float | None:
        """Upper bound."""

    @property
    def cases(self) -> int:
        """For how many the number is defined."""


def number(value: float | None, digits: int) -> str:
    """A number with so many decimals; `UNDEFINED` where there is none.

    Example:
        >>> number(0.91234, 3), number(None, 3)
        ('0.912', 'n/a')
    """
    return UNDEFINED if value is None or math.isnan(value) else f"{value:.{digits}f}"


def volume(ml: float | None) -> str:
    """A volume in ml: two decimals, or three significant digits where those would hide it; n/a where there is none.

    Example:
        >>> volume(12.345), volume(0.0), volume(1.152e-06)
        ('12.35', '0.00', '1.15e-06')
    """
    return f"{ml:.3g}" if ml is not None and 0 < ml < _SMALL_ML else number(ml, 2)


def change(before: float | None, after: float | None, digits: int) -> str:
    """How much a number has risen, with its sign.

    Example:
        >>> change(0.91, 0.92, 2), change(0.91, None, 2)
        ('+0.01', 'n/a')
    """
    if before is None or after is None or math.isnan(after - before):
        return UNDEFINED
    return f"{after - before:+.{digits}f}"


def bounds(estimate: Estimated, digits: int) -> str:
    """An interval; why there is none where there are too few cases; empty where the mean is undefined, too."""
    if estimate.mean is None or math.isnan(estimate.mean):
        return ""
    if estimate.low is None or math.isnan(estimate.low):
        return TOO_FEW
    return f"{number(estimate.low, digits)} to {number(estimate.high, digits)}"


def interval(estimate: Estimated, digits: int, *, unit: str = "") -> str:
    """A mean with its unit and its interval, or why there is none: `0.912 (0.901 to 0.923)`, `4.0 mm (3.9 to 4.1)`."""
    middle, between = number(estimate.mean, digits), bounds(estimate, digits)
    measured = f"{middle} {unit}" if unit and middle != UNDEFINED else middle
    return measured + (f" ({between})" if between else "")


def interval_column(title: str, estimates: Sequence[Estimated], digits: int) -> tuple[str, list[str]]:
    """Heading and cells of a table's column of means with their 95 % intervals.

    Where none has an interval, the heading says why, and the cells are short. What is over fewer cases than others says so.
    """
    if any(bounds(estimate, digits) not in {"", TOO_FEW} for estimate in estimates):
        cells = [interval(estimate, digits) for estimate in estimates]
        return f"{title} (95 % interval)", _over_cases(cells, estimates)
    few = any(bounds(estimate, digits) == TOO_FEW for estimate in estimates)
    return f"{title} ({TOO_FEW})" if few else title, mean_column(estimates, digits)


def mean_column(estimates: Sequence[Estimated], digits: int) -> list[str]:
    """Cells of a table's column of means without intervals; what is over fewer cases than others says so."""
    return _over_cases([number(estimate.mean, digits) for estimate in estimates], estimates)


def _over_cases(cells: Sequence[str], estimates: Sequence[Estimated]) -> list[str]:
    most = max((estimate.cases for estimate in estimates), default=0)
    fewer = [0 < estimate.cases < most for estimate in estimates]
    return [
        f"{cell}; {counted(estimate.cases, 'case')}" if less else cell
        for cell, estimate, less in zip(cells, estimates, fewer, strict=True)
    ]


def spread(mean: float, sd: float, digits: int) -> str:
    """A mean with its standard deviation where there is one: `0.912 +- 0.010`."""
    middle = number(mean, digits)
    return middle if math.isnan(sd) else f"{middle} +- {number(sd, digits)}"


def plan_value(decided: object) -> str:
    """A value of a plan: text as it is, all else as JSON."""
    return decided if isinstance(decided, str) else json.dumps(decided, default=str)
