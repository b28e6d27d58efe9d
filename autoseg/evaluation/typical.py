"""Which cases to look at first: the best, the one in the middle and the worst."""

import math
from collections.abc import Mapping
from typing import Literal

Word = Literal["only", "best", "median", "worst"]


def typical_cases(values: Mapping[str, float]) -> dict[Word, str]:
    """Cases by what they are, best first; each case once.

    Args:
        values: by case, the higher the better; NaN where undefined, which is never chosen.

    Returns:
        of one case the only one, of two the best and the worst, of more the median too; nothing where no value is defined.

    Example:
        >>> typical_cases({"a": 0.7, "b": 0.9, "c": 0.8})
        {'best': 'b', 'median': 'c', 'worst': 'a'}
    """
    ranking = _ranking(values)
    if len(ranking) < 2:
        return {"only": ranking[0]} if ranking else {}
    ends: dict[Word, str] = {"best": ranking[0], "worst": ranking[-1]}
    return ends if len(ranking) == 2 else {"best": ends["best"], "median": _middle(ranking), "worst": ends["worst"]}


def median_case(values: Mapping[str, float]) -> str | None:
    """The case in the middle, of an even number the worse of two; None where no value is defined.

    Args:
        values: by case, the higher the better; NaN where undefined.
    """
    ranking = _ranking(values)
    return _middle(ranking) if ranking else None


def _ranking(values: Mapping[str, float]) -> list[str]:
    """The cases that have a value, best first; equals in order of their names."""
    return sorted((case for case, value in values.items() if not math.isnan(value)), key=lambda case: (-values[case], case))


def _middle(ranking: list[str]) -> str:
    return ranking[len(ranking) // 2]
