"""What DICOM scans are called: after the folder they lie in, and where several lie there, by what tells them apart.

Names are the same whatever order files are found in. The patient's name is never part of one, nor an identifier that looks
like a name; where the header tells nothing, a few digits made of the series' own identifier do.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from autoseg.formats.dicom_fields import Field

T = TypeVar("T")
_MOST_CHARACTERS: Final = 40
"""Of one part of a name. Source: chosen; descriptions of series have at most 64."""

_MOST_BYTES: Final = 200
"""File systems allow 255, and endings are added."""

_LEAST_LETTERS: Final = 2
"""Shorter parts of the patient's name are initials, which stand in many words."""


def cleaned(text: str) -> str:
    """The part of a name that a text from a header makes: letters, digits, dots and dashes, other signs as `_`."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text)[:_MOST_CHARACTERS].strip("._-")


def digest(text: str) -> str:
    """Eight hexadecimal digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def shortened(name: str) -> str:
    """A name that file systems take: a longer one keeps its beginning, and ends in digits made of the whole."""
    if len(name.encode()) <= _MOST_BYTES:
        return name
    return f"{name.encode()[: _MOST_BYTES - 9].decode(errors='ignore')}_{digest(name)}"


def distinctions(items: Sequence[T], features: Iterable[Callable[[T], str]]) -> list[str]:
    """For each item the features that tell it from the others, joined by `_`; empty where there is one item.

    Args:
        items: what is to be told apart.
        features: give a text for an item, the most telling first; one that tells nothing new is left out.
    """
    told: list[tuple[str, ...]] = [()] * len(items)
    for feature in features:
        if len(set(told)) == len(items):
            break
        more = [(*before, feature(item)) for before, item in zip(told, items, strict=True)]
        if len(set(more)) > len(set(told)):
            told = more
    return ["_".join(filter(None, parts)) for parts in told]


def patient(fields: Mapping[Field, str]) -> str:
    """What stands for the patient in a name: the identifier, or digits made of it where it may be a name.

    An identifier may be a name where it has no digit, or has a part of the patient's name in it.
    """
    identifier = fields.get(Field.PATIENT_ID, "")
    if not identifier or (any(sign.isdigit() for sign in identifier) and _is_nameless(identifier, fields)):
        return cleaned(identifier)
    return f"patient-{digest(identifier)}"


def description(fields: Mapping[Field, str]) -> str:
    """The description of the series, unless the patient's name is in it."""
    text = fields.get(Field.SERIES_DESCRIPTION, "")
    return cleaned(text) if _is_nameless(text, fields) else ""


def _is_nameless(text: str, fields: Mapping[Field, str]) -> bool:
    """Whether no part of the patient's name stands in a text."""
    parts = re.findall(r"[^\W\d_]+", fields.get(Field.PATIENT_NAME, "").casefold())
    return not any(part in text.casefold() for part in parts if len(part) > _LEAST_LETTERS)


def unique(names: Sequence[str], identities: Sequence[str]) -> list[str]:
    """Names, each that occurs more than once with digits made of what identifies the scan, or else with its place."""
    counts = Counter(names)
    told = [
        name if counts[name] == 1 else f"{name}_{digest(identity)}" for name, identity in zip(names, identities, strict=True)
    ]
    again = Counter(told)
    return [name if again[name] == 1 else f"{name}_{index + 1}" for index, name in enumerate(told)]
