"""Numbers in words: the same digits, intervals and signs in tables, on the report's page, on model cards and on consoles."""

import json
import math
from collections.abc import Sequence
from typing import Final, Protocol

UNDEFINED: Final = "n/a"
"""What stands where a number is undefined."""


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


def number(value: float | None, digits: int, *, undefined: str = UNDEFINED) -> str:
    """A number with so many decimals; `undefined` where there is none.

    Example:
        >>> number(0.91234, 3), number(None, 3)
        ('0.912', 'n/a')
    """
    return undefined if value is None or math.isnan(value) else f"{value:.{digits}f}"


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
    """An interval; empty where there is none, as with fewer than two cases."""
    if estimate.low is None or math.isnan(estimate.low):
        return ""
    return f"{number(estimate.low, digits)} to {number(estimate.high, digits)}"


def interval(estimate: Estimated, digits: int) -> str:
    """A mean with its interval where there is one: `0.912 (0.901 to 0.923)`."""
    between = bounds(estimate, digits)
    return number(estimate.mean, digits) + (f" ({between})" if between else "")


def spread(mean: float, sd: float, digits: int, *, undefined: str = UNDEFINED) -> str:
    """A mean with its standard deviation where there is one: `0.912 +- 0.010`."""
    middle = number(mean, digits, undefined=undefined)
    return middle if math.isnan(sd) else f"{middle} +- {number(sd, digits)}"


def listing(items: Sequence[str], *, last: str = "and") -> str:
    """Items as part of a sentence.

    Example:
        >>> listing(["a", "b", "c"]), listing(["a"]), listing(["a", "b"], last="or")
        ('a, b and c', 'a', 'a or b')
    """
    return f" {last} ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def plan_value(decided: object) -> str:
    """A value of a plan: text as it is, all else as JSON."""
    return decided if isinstance(decided, str) else json.dumps(decided, default=str)
