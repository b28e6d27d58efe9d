"""Work in words, for terminals, logs and notebooks: how much is done, how long it takes, what is measured meanwhile."""

from collections.abc import Mapping

from autoseg.events import LEFT
from autoseg.wording import clock_time


def progress_of(done: float, total: float | None, unit: str) -> str:
    """How much is done: `3/4 cases`, or `3 cases` where nobody knows of how many; of "s" minutes and seconds."""
    return count(done, unit) if total is None else f"{_amount(done, unit)}/{count(total, unit)}"


def count(value: float, unit: str) -> str:
    """An amount with its unit: `4 cases`, `1 case`; of "s" minutes and seconds."""
    if unit == "s":
        return _amount(value, unit)
    return f"{_amount(value, unit)} {unit.removesuffix('s') if value == 1 else unit}"


def clock(seconds: float) -> str:
    """A time as `1:15` or `1:00:15`."""
    minutes, whole = divmod(int(seconds), 60)
    return f"{minutes}:{whole:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{whole:02d}"


def left_until(seconds: float, *, now: float) -> str:
    """How long something still takes, and when it is done: `1:15 left (until 14:35)`.

    Args:
        seconds: that are left.
        now: in seconds since 1970.
    """
    return f"{clock(seconds)} left (until {clock_time(now + seconds, now=now)})"


def described(fields: Mapping[str, float | str]) -> str:
    """Fields in a line, as `loss 0.213  12.3 slices/s`; see `cells_of`."""
    return "  ".join(cells_of(fields))


def cells_of(fields: Mapping[str, float | str]) -> list[str]:
    """Fields in words, each on its own: a rate's name, ending in `_per_s`, follows its value.

    Empty texts are not shown, and the time left stands elsewhere.
    """
    cells = []
    for name, value in fields.items():
        if name == LEFT or value == "":
            continue
        shown = value if isinstance(value, str) else _digits(value)
        rate = name.removesuffix("_per_s")
        words = rate.replace("_", " ")
        cells.append(f"{words} {shown}" if rate == name else f"{shown} {words}/s")
    return cells


def _amount(value: float, unit: str) -> str:
    if unit == "s":
        return clock(value)
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
