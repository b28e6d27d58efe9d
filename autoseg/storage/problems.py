"""What is wrong with a document, in our words: which key, what was expected, what was found, and what was probably meant."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from autoseg.catalogue.meant import meant
from autoseg.wording import counted

Place = tuple[int | str, ...]
"""Of a value in a document: keys and indices."""

MOST_NAMED: Final = 20
"""Problems that one error names."""

_LONGEST: Final = 80
"""Characters of a value that are shown."""

INEXACT: Final = "inexact"
"""Type of the error of a value that would be read as another one, which its context has as `written`."""

_BY_A_VALIDATOR: Final = "Value error, "
"""What pydantic puts before the words of a model's own validators."""

_MISSING: Final = "missing"
_UNKNOWN: Final = "extra_forbidden"

_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "a text",
    "path_type": "a path",
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "an object with keys"),
    "none_required": "null",
}
"""What is expected, by pydantic's type of error."""

_LIMITS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "greater_than": lambda limit: f"a number above {_number(limit['gt'])}",
    "greater_than_equal": lambda limit: f"a number of at least {_number(limit['ge'])}",
    "less_than": lambda limit: f"a number below {_number(limit['lt'])}",
    "less_than_equal": lambda limit: f"a number of at most {_number(limit['le'])}",
    "too_short": lambda limit: f"at least {_entries(limit['min_length'])}",
    "too_long": lambda limit: f"at most {_entries(limit['max_length'])}",
    "string_too_short": lambda limit: f"a text of at least {counted(limit['min_length'], 'character')}",
    "string_pattern_mismatch": lambda limit: f"a text of the form {limit['pattern']}",
    "literal_error": lambda limit: str(limit["expected"]).replace("'", ""),
    INEXACT: lambda limit: str(limit["written"]),
}
"""The same, where it depends on the limits of the value."""


def problems_in(invalid: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Everything that is wrong with a document or with what the user chose, each as "key: expected this, found that".

    Args:
        invalid: what validation found.
        model: what was to be made of it, for suggestions; None: without.
    """
    every = invalid.errors(include_url=False)
    found = [problem for problem in every if not _follows(problem, every)]
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return "; ".join(_problem(problem, model) for problem in found[:MOST_NAMED]) + more


def _follows(problem: ErrorDetails, others: Sequence[ErrorDetails]) -> bool:
    """Whether a list is too short only because entries of it are wrong, which pydantic leaves out before it counts."""
    place = problem["loc"]
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in others
    )


def _problem(problem: ErrorDetails, model: type[BaseModel] | None) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    return f"{f'{key:.200}: ' if key else ''}{_words(problem, model)}"


def _words(problem: ErrorDetails, model: type[BaseModel] | None) -> str:
    kind, found = problem["type"], problem["input"]
    if kind == _MISSING:
        return "is missing"
    if kind == _UNKNOWN:
        return f"is no key of this document{_meant(problem['loc'], model)}"
    expected = _expected(problem)
    if expected is None:
        shown = "" if isinstance(found, dict | list | BaseModel) else f" (found {_shown(found)})"
        return f"{problem['msg'].removeprefix(_BY_A_VALIDATOR):.500}{shown}"
    choices = re.findall("'([^']*)'", str(problem.get("ctx", {}).get("expected", "")))
    similar = meant(found, choices)
    return f"expected {expected:.300}, found {_shown(found)}" + (f": did you mean `{similar}`?" if similar else "")


def _expected(problem: ErrorDetails) -> str | None:
    """What is expected in the place of a value; None where the error has words of its own."""
    kind = problem["type"]
    if kind in _LIMITS:
        return _LIMITS[kind](problem.get("ctx", {}))
    return _TYPES.get(kind)


def _shown(found: Any) -> str:
    if isinstance(found, dict | BaseModel):
        return "an object"
    if isinstance(found, list | tuple):
        return f"a list of {_entries(len(found))}"
    text = found[:_LONGEST] if isinstance(found, str) else found
    try:
        return f"{json.dumps(text, ensure_ascii=False):.{_LONGEST}}"
    except (TypeError, ValueError):
        return f"{text!r:.{_LONGEST}}"


def _meant(place: Place, model: type[BaseModel] | None) -> str:
    """A question after the key that was probably meant: one beside the unknown one, else one anywhere in the document."""
    if model is None:
        return ""
    wanted, section = str(place[-1]), [str(part) for part in place[:-1] if isinstance(part, str)]
    paths = [path for path in _paths(model) if path]
    beside = {path[-1]: path for path in paths if list(path[:-1]) == section}
    anywhere = {path[-1]: path for path in reversed(paths)}
    for known in (beside, anywhere):
        if similar := get_close_matches(wanted, known, n=1, cutoff=0.75):
            return f": did you mean `{'.'.join(known[similar[0]])}`?"
    return ""


def _paths(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys of a document, as paths without indices."""
    for name, field in model.model_fields.items():
        yield (*before, name)
        for inner in _models_in(field.annotation):
            if len(before) < 8:  # a document that holds its like
                yield from _paths(inner, (*before, name))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not get_args(annotation):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for part in get_args(annotation):
        yield from _models_in(part)


def _entries(count: int) -> str:
    return f"{count} entr{'y' if count == 1 else 'ies'}"


def _number(limit: Any) -> str:
    return str(limit).removesuffix(".0")
