"""Stacks that lie on top of each other in one series: echoes, b-values, time points, reconstructions.

Each has one slice at every place; what its slices have in common tells it from the others.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats.dicom_fields import Field
from autoseg.formats.remarks import Remark
from autoseg.images.dicom.naming import cleaned, distinctions
from autoseg.images.dicom.slice import Slice
from autoseg.wording import listing

_MOST_KEYS: Final = 3
"""So many elements together may tell stacks apart. Source: chosen; echo, image type and time do in practice."""


@dataclass(frozen=True)
class _Key:
    """An element that may tell stacks apart, and what a name calls its values."""

    field: Field
    prefix: str
    noun: str


_KEYS: Final = (
    _Key(Field.TEMPORAL_POSITION, "time", "time points"),
    _Key(Field.ECHO_NUMBER, "echo", "echoes"),
    _Key(Field.ECHO_TIME, "TE", "echoes"),
    _Key(Field.B_VALUE, "b", "b-values"),
    _Key(Field.GRADIENT, "direction", "diffusion directions"),
    _Key(Field.INVERSION_TIME, "TI", "inversion times"),
    _Key(Field.FLIP_ANGLE, "flip", "flip angles"),
    _Key(Field.IMAGE_TYPE, "", "types of image"),
    _Key(Field.KERNEL, "", "reconstruction kernels"),
    _Key(Field.ACQUISITION_NUMBER, "acquisition", "acquisitions"),
)
_TIMES: Final = (
    Field.TRIGGER_TIME,
    Field.ACQUISITION_DATE_TIME,
    Field.ACQUISITION_TIME,
    Field.CONTENT_TIME,
    Field.INSTANCE_NUMBER,
)
"""What may order the slices at one place, so that the first of each place belong together."""


@dataclass(frozen=True)
class Part:
    """A stack of slices.

    Attributes:
        slices: in their order.
        name: what tells it from the other stacks of its series; empty where it is the only one.
        warnings: what the user should know of how it came about.
        error: why it is no volume; None: reading it will tell.
    """

    slices: tuple[Slice, ...]
    name: str = ""
    warnings: tuple[str, ...] = ()
    error: ImageError | None = None


def by_elements(levels: Sequence[Sequence[Slice]]) -> list[Part]:
    """Stacks that elements tell apart, the fewest that do: no two slices of a stack at one place, and one stack whole."""
    slices = [one for level in levels for one in level]
    varying = [key for key in _KEYS if len({one.fields.get(key.field) for one in slices}) > 1]
    for count in range(1, _MOST_KEYS + 1):
        for keys in combinations(varying, count):
            stacks: defaultdict[tuple[str, ...], list[Slice]] = defaultdict(list)
            for one in slices:
                stacks[tuple(one.fields.get(key.field, "") for key in keys)].append(one)
            values = [[tuple(one.fields.get(key.field, "") for key in keys) for one in level] for level in levels]
            told = all(len(set(level)) == len(level) for level in values)
            if told and max(map(len, stacks.values())) == len(levels):
                ordered = sorted(stacks.values(), key=_acquired)
                names = distinctions(ordered, [_feature(key, ordered) for key in keys])
                return _named(ordered, names, noun=listing(list(dict.fromkeys(key.noun for key in keys))), whole=len(levels))
    return []


def by_order(levels: Sequence[Sequence[Slice]]) -> list[Part]:
    """Stacks that only the order of their slices tells apart: the first slice of each place, the second, and so on."""
    count = len(levels[0])
    if any(len(level) != count for level in levels):
        return []
    for field in _TIMES:
        times = [[_time(one, field) for one in level] for level in levels]
        if all(None not in level and len(set(level)) == count for level in times):
            ranked = [
                [one for _, one in sorted(zip(known, level, strict=True), key=itemgetter(0))]
                for known, level in zip(times, levels, strict=True)
            ]
            stacks = [list(stack) for stack in zip(*ranked, strict=True)]
            prefix, noun = ("volume", "volumes") if field == Field.INSTANCE_NUMBER else ("time", "time points")
            return _named(stacks, [f"{prefix}{index + 1}" for index in range(count)], noun=noun, whole=len(levels))
    return []


def _named(stacks: Sequence[Sequence[Slice]], names: Sequence[str], *, noun: str, whole: int) -> list[Part]:
    """Parts of a series; those that are not whole cannot be used."""
    what = f"its series holds {len(stacks)} {noun}: this is"
    return [
        Part(tuple(stack), name, (Remark(f"{what} {name}"),), None if len(stack) == whole else _incomplete(stack, whole))
        for stack, name in zip(stacks, names, strict=True)
    ]


def _incomplete(stack: Sequence[Slice], whole: int) -> ImageError:
    return stack[0].mismatch("slices are missing that the rest of the series has", whole, len(stack))


def _acquired(stack: Sequence[Slice]) -> tuple[float, str]:
    return min(map(_acquired_one, stack))


def _acquired_one(one: Slice) -> tuple[float, str]:
    """Rank in the series: by instance number, then by path."""
    return _number(one.fields.get(Field.INSTANCE_NUMBER, "")) or 0.0, str(one.path)


def _time(one: Slice, field: Field) -> tuple[str, float] | None:
    """What orders slices by a field; None where it says nothing."""
    text = one.fields.get(field, "")
    if field in {Field.TRIGGER_TIME, Field.INSTANCE_NUMBER}:
        number = _number(text)
        return None if number is None else ("", number)
    return (text, 0.0) if text else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _feature(key: _Key, stacks: Sequence[Sequence[Slice]]) -> Callable[[Sequence[Slice]], str]:
    """What a name calls the value of an element: numbers with what they are, of lists the entries that differ."""
    values = list(dict.fromkeys(stack[0].fields.get(key.field, "") for stack in stacks))

    def feature(stack: Sequence[Slice]) -> str:
        value = stack[0].fields.get(key.field, "")
        if key.field == Field.GRADIENT:
            return f"{key.prefix}{values.index(value) + 1}"
        if not key.prefix:
            rest = [set(other.split("\\")) for other in values]
            return cleaned("_".join(word for word in value.split("\\") if not all(word in words for words in rest)))
        number = _number(value)
        return "" if not value else cleaned(f"{key.prefix}{value if number is None else f'{number:g}'}")

    return feature
