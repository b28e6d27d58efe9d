"""Types of options: how each is called in words, and how what a user gives becomes one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from autoseg.catalogue import DeviceChoice, NameIn
from autoseg.catalogue.devices import AUTO, DEVICES_IN_WORDS, KINDS, parse_devices

_Item = TypeVar("_Item")


def kinds_in(annotation: Any) -> list[Any]:
    """The members of a union, of a `Literal` and of a table of names, which may hold one another.

    Returns:
        types, and texts that stand for themselves.
    """
    origin, members = get_origin(annotation), get_args(annotation)
    if origin in {Union, UnionType}:
        return [kind for member in members for kind in kinds_in(member)]
    if origin is Literal:
        return list(members)
    if origin is Annotated:
        tables = [each for each in members[1:] if isinstance(each, NameIn)]
        return [name for each in tables for name in (*each.table, *each.besides)] or kinds_in(members[0])
    return [annotation]


def words_for(kind: Any) -> str:
    """A kind in words; a text that stands for itself is its own."""
    if isinstance(kind, str):
        return kind
    return _KINDS[kind].words if kind in _KINDS else f"{kind.__module__}.{kind.__name__}"


def converted(value: object, kind: Any) -> Any:
    """The value as one of a kind; None where it is none. Kinds that are not known here take every value."""
    if isinstance(kind, str):
        return value if value == kind else None
    return _KINDS[kind].convert(value) if kind in _KINDS else value


def offered(kind: Any) -> tuple[str, ...]:
    """Texts of a kind that may be named to the user."""
    if isinstance(kind, str):
        return (kind,)
    return _KINDS[kind].offers if kind in _KINDS else ()


def whole_numbers(text: str) -> tuple[int, ...] | None:
    """The whole numbers that a text names, separated by commas; None where it names something else."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        return None


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _switch(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, Integral) and not _is_switch(value) else None


def _number(value: object) -> float | None:
    number = float(value) if isinstance(value, Real) and not _is_switch(value) else math.nan
    return number if math.isfinite(number) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _path(value: object) -> Path | None:
    return Path(value) if isinstance(value, str | Path) else None


def _paths(value: object) -> tuple[Path, ...] | None:
    return _several(value, _path)


def _texts(value: object) -> tuple[str, ...] | None:
    return _several(value, _text)


def _wholes(value: object) -> tuple[int, ...] | None:
    numbers = _several(value, _whole)
    return numbers if numbers and len(set(numbers)) == len(numbers) else None


def _several(value: object, convert: Callable[[object], _Item | None]) -> tuple[_Item, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    items = [convert(each) for each in value]
    return None if None in items else tuple(item for item in items if item is not None)


@dataclass(frozen=True)
class _Kind:
    """A type of option: how it is called, how a value becomes one, and texts among those that it takes."""

    words: str
    convert: Callable[[object], object]
    offers: tuple[str, ...] = ()


_KINDS: Final[Mapping[Any, _Kind]] = {
    bool: _Kind("True or False", _switch),
    int: _Kind("a whole number", _whole),
    float: _Kind("a number", _number),
    str: _Kind("a text that is not empty", _text),
    DeviceChoice: _Kind(DEVICES_IN_WORDS, parse_devices, (AUTO, *KINDS)),
    Path: _Kind("a path", _path),
    Sequence[str | Path]: _Kind("a list of paths", _paths),
    Sequence[int]: _Kind("a list of different ones, such as 1,2,3", _wholes),
    Sequence[str]: _Kind("a list of texts that are not empty", _texts),
}
