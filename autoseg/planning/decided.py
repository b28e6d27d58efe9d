"""What a plan decides: the path of every value that it gives a reason for, and how people read the reasons.

A value that every view has stands at `views.<number>.<key>`; the number is left out where all views are meant.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.evaluation_section import EvaluationSection
from autoseg.planning.section_types import Section
from autoseg.planning.sections import (
    DataSection,
    NetworkSection,
    PredictionSection,
    PreprocessingSection,
    TrainingSection,
    View,
)

_VIEWS: Final = "views"
_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "data": DataSection,
    _VIEWS: View,
    "preprocessing": PreprocessingSection,
    "network": NetworkSection,
    "training": TrainingSection,
    "augmentation": AugmentationSection,
    "prediction": PredictionSection,
    "evaluation": EvaluationSection,
}
_NUMBERED: Final = re.compile(rf"{_VIEWS}\.(0|[1-9][0-9]?)\.(.+)")

DECIDED: Final = (
    "folds",
    *(f"{name}.{field}" for name, section in _SECTIONS.items() for field in section.model_fields),
)
"""The path of every value that a plan gives a reason for, those of views without a number."""


class Decision(Section):
    """Why one value is what it is."""

    rule: str = Field(description="name of the rule that chose the value")
    value: Any = Field(description="the value as chosen, for comparison with an edited one")
    reason: str = Field(description="the evidence, in words")


@dataclass(frozen=True)
class Explained:
    """A value, or one that all views have in common, as people read it.

    Attributes:
        what: its path, with the plane of the view where several views differ.
        value: as planned.
        reason: the evidence, in words.
    """

    what: str
    value: Any
    reason: str


def decided_paths(views: int) -> tuple[str, ...]:
    """The path of every value that a plan of so many views gives a reason for, in the order of the plan."""
    own = [f"{_VIEWS}.{field}" for field in View.model_fields]
    first = DECIDED.index(own[0])
    numbered = [path.replace(_VIEWS, f"{_VIEWS}.{number}", 1) for number in range(views) for path in own]
    return (*DECIDED[:first], *numbered, *DECIDED[first + len(own) :])


def in_every_view(path: str) -> str:
    """The path of the same value in every view: without the number of one; other paths are left as they are."""
    numbered = _NUMBERED.fullmatch(path)
    return f"{_VIEWS}.{numbered[2]}" if numbered else path


def field_of(path: str) -> FieldInfo:
    """Type and limits of a value that a section holds, by its path."""
    section, _, field = in_every_view(path).rpartition(".")
    return _SECTIONS[section].model_fields[field]


def explained(decisions: Mapping[str, Decision]) -> Iterator[Explained]:
    """Decisions in the order of the plan; what several views have in common comes once, where the first view has it."""
    of_views: defaultdict[str, dict[str, Decision]] = defaultdict(dict)
    for path, why in decisions.items():
        if numbered := _NUMBERED.fullmatch(path):
            of_views[numbered[2]][numbered[1]] = why
    planes = {number: str(why.value) for number, why in of_views["plane"].items()}
    told: set[str] = set()
    for path, why in decisions.items():
        numbered = _NUMBERED.fullmatch(path)
        if numbered is None or len(of_views[numbered[2]]) == 1:
            yield Explained(path, why.value, why.reason)
        elif any(other.value != why.value for other in of_views[numbered[2]].values()):
            yield Explained(f"{path} ({planes.get(numbered[1], '?')})", why.value, why.reason)
        elif numbered[2] not in told:
            told.add(numbered[2])
            reasons = {planes.get(number, "?"): each.reason for number, each in of_views[numbered[2]].items()}
            yield Explained(f"{_VIEWS}.{numbered[2]}", why.value, _together(reasons))


def _together(reasons: Mapping[str, str]) -> str:
    """The reasons for a value that several planes have, each once."""
    planes: defaultdict[str, list[str]] = defaultdict(list)
    for plane, reason in reasons.items():
        planes[reason].append(plane)
    if len(planes) == 1:
        return next(iter(planes))
    return " ".join(f"{', '.join(names).capitalize()}: {reason}" for reason, names in planes.items())
