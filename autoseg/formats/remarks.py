"""What there is to say about a file that is read all the same: doubts about what it means, and mere remarks.

Both travel together, in the order in which they were found: a text is a doubt unless it says that it is a remark.
"""

from collections.abc import Iterable


class Remark(str):
    """What is worth knowing of a file, and makes no result that rests on it doubtful."""

    __slots__ = ()


def doubts(notes: Iterable[str]) -> tuple[str, ...]:
    """Those that make results doubtful."""
    return tuple(note for note in notes if not isinstance(note, Remark))


def remarks(notes: Iterable[str]) -> tuple[str, ...]:
    """Those that do not."""
    return tuple(note for note in notes if isinstance(note, Remark))


def note_about(name: str, note: str) -> str:
    """A note, a remark or none as before, with the name of what it is about."""
    return type(note)(f"{name}: {note}")
