"""Lengths and points of time in words."""

import time
from typing import Final

_WEEK_S: Final = 6 * 86_400.0
"""Within this a weekday names a day."""


def duration(seconds: float) -> str:
    """A length of time for a sentence: `40 s`, `2.5 min`, `3.2 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.3g} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


def clock_time(at: float, *, now: float) -> str:
    """A point of time for somebody who reads it now: `14:35`, `Fri 14:35` on another day, `24 Dec 14:35` after a week.

    Args:
        at: in seconds since 1970.
        now: likewise.
    """
    there, here = time.localtime(at), time.localtime(now)
    if there[:3] == here[:3]:
        return time.strftime("%H:%M", there)
    return time.strftime("%a %H:%M" if abs(at - now) < _WEEK_S else "%d %b %H:%M", there)
