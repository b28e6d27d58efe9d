"""Words for sentences: numbers of things, lists, lengths and points of time."""

import time
from collections.abc import Sequence
from typing import Final

_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NAMED: Final = 5
_WEEK_S: Final = 6 * 86_400.0
"""Within this a weekday names a day."""


def counted(number: int, noun: str, *, plural: str = "") -> str:
    """A number of things, in the singular or the plural.

    Example:
        >>> counted(1, "case"), counted(12, "case"), counted(2, "axis", plural="axes")
        ('1 case', '12 cases', '2 axes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def counted_of(number: int, total: int, noun: str) -> str:
    """A number of things, and of how many where that is not all of them.

    Example:
        >>> counted_of(3, 3, "case"), counted_of(2, 3, "case"), counted_of(0, 1, "case")
        ('3 cases', '2 of 3 cases', '0 of 1 case')
    """
    return counted(total, noun) if number == total else f"{number:,} of {counted(total, noun)}"


def from_to(low: float, high: float, digits: str = ".3g") -> str:
    """The range of some numbers; where both ends are the same as they are shown, that number.

    Example:
        >>> from_to(1, 1.2), from_to(12, 12.001), from_to(3.2, 40, ".0f"), from_to(999, 1321)
        ('1 to 1.2', '12', '3 to 40', '999 to 1,321')
    """
    first, last = (f"{end:,.0f}" if "e+" in (text := f"{end:{digits}}") else text for end in (low, high))
    return first if first == last else f"{first} to {last}"


def in_words(number: int) -> str:
    """A whole number as it stands in a sentence: in words up to twelve.

    Example:
        >>> in_words(2), in_words(40)
        ('two', '40')
    """
    return _WORDS[number] if 0 <= number < len(_WORDS) else f"{number:,}"


def listing(items: Sequence[str], *, last: str = "and") -> str:
    """Items as part of a sentence.

    Example:
        >>> listing(["a", "b", "c"]), listing(["a"]), listing(["a", "b"], last="or")
        ('a, b and c', 'a', 'a or b')
    """
    return f" {last} ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def some(items: Sequence[str], *, named: int = _NAMED) -> str:
    """All of a few items, or the first of many and how many more there are.

    Example:
        >>> some(["a", "b"]), some(["a", "b", "c", "d"], named=2)
        ('a, b', 'a, b and 2 more')
    """
    more = f" and {len(items) - named} more" if len(items) > named else ""
    return ", ".join(items[:named]) + more


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
