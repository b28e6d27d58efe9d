"""Values that the user asks for when planning: checked against the plan's schema, put in the place of what rules chose."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError

from autoseg.errors import UsageError
from autoseg.planning import format_1
from autoseg.planning.plan import Plan, sealed
from autoseg.planning.sections import DECIDED
from autoseg.storage import files
from autoseg.storage.documents import parse, problems_in

_RULE: Final = "asked"
_NOT_HERE: Final = {
    "data": "The data set itself says what networks read and write.",
    "inputs": "Use the other options of `autoseg plan` instead.",
    "folds": "Use --folds instead.",
}
_REMEDY: Final = "See docs/reference/plan.md for every key, or edit plan.json afterwards."


def parse_overrides(pairs: Iterable[str]) -> dict[str, Any]:
    """What was asked for, by the path of its key in the plan.

    Args:
        pairs: each `path=value`: the path of a value that a rule decides, such as `training.learning_rate` or
            `views.0.patch_px`, where the number may be left out, or its name in 0.1; the value as JSON or a bare word.

    Returns:
        values by path, in the order of the plan.

    Raises:
        UsageError: a pair has no value, its key is unknown (with a suggestion), is not for planning, or is given twice.

    Example:
        >>> parse_overrides(["views.batch_size=4", "training.loss=dice"])
        {'views.0.batch_size': 4, 'training.loss': 'dice'}
    """
    asked: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError("a value is missing", where=f"--set {pair}", expected="KEY=VALUE", remedy=_REMEDY)
        path = _path(name.strip())
        if path in asked:
            raise UsageError(f"{path} is given twice", where=f"--set {pair}", remedy="Give it once.")
        asked[path] = _value(text.strip())
    return {path: asked[path] for path in DECIDED if path in asked}


def overridden(plan: Plan, overrides: Mapping[str, Any]) -> Plan:
    """A plan with other values where they are asked for; each says so, and what its rule would have chosen.

    Raises:
        UsageError: a value is not allowed, or the values do not go together.
    """
    if not overrides:
        return plan
    document = plan.model_dump(mode="json")
    document["inputs"]["overrides"] = dict(overrides)
    for path, value in overrides.items():
        *parents, key = path.split(".")
        place: Any = document
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        place[key] = value
        chosen = plan.decisions[path]
        reason = f"Asked for; the rule `{chosen.rule}` would take {json.dumps(chosen.value)}."
        document["decisions"][path] = {"rule": _RULE, "value": value, "reason": reason}
    try:
        return sealed(parse(document, Plan))
    except ValidationError as invalid:
        raise UsageError(
            f"what is asked for with --set makes no plan: {problems_in(invalid)}",
            remedy="Change or leave out the named values.",
        ) from None


def _path(name: str) -> str:
    """The path of a key, however it was written."""
    path = format_1.MOVED.get(name, name)
    if path.startswith("views.") and path.count(".") == 1:
        path = path.replace("views.", "views.0.")
    if path.split(".")[0] in _NOT_HERE:
        raise UsageError(f"{path} cannot be set", where=f"--set {name}", remedy=_NOT_HERE[path.split(".")[0]])
    if path not in DECIDED:
        raise UsageError(f"a plan has no value {path[:100]!a}{_suggestion(path)}", where=f"--set {name}", remedy=_REMEDY)
    return path


def _suggestion(path: str) -> str:
    whole = [known for known in DECIDED if path.startswith(f"{known}.")]
    by_key = [known for known in DECIDED if known.rpartition(".")[2] == path.rpartition(".")[2]]
    names = {**{known: known for known in DECIDED}, **format_1.MOVED}
    similar = whole or by_key or [names[name] for name in get_close_matches(path, names, n=1)]
    return f": did you mean `{similar[0]}`?" if similar else ""


def _value(text: str) -> Any:
    try:
        return files.parse_json(text.encode("utf-8", "surrogateescape"), error=UsageError, where="--set", remedy=_REMEDY)
    except UsageError:  # a bare word; whether it is a choice, the schema says
        return text
