"""Values that the user asks for when planning: checked against the plan's schema, put in the place of what rules chose."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError, create_model

from autoseg.catalogue import Plane
from autoseg.catalogue.meant import meant
from autoseg.errors import UsageError
from autoseg.planning import format_1
from autoseg.planning.decided import DECIDED, decided_paths, field_of, in_every_view
from autoseg.planning.plan import Plan, sealed
from autoseg.planning.section_types import Section
from autoseg.planning.sections import AskedPlanes
from autoseg.storage import files
from autoseg.storage.documents import parse
from autoseg.storage.problems import problems_in

ASKED: Final = "asked"
"""The rule of values that were asked for with `--set`."""

_NOT_HERE: Final = {
    "data": "The data set itself says what networks read and write.",
    "inputs": "Use the other options of `autoseg plan` instead.",
    "folds": "Use --folds instead.",
}
_REMEDY: Final = "See docs/reference/plan.md for every key, or edit plan.json afterwards."


def parse_overrides(pairs: Iterable[str]) -> dict[str, Any]:
    """What was asked for, by the path of its key in the plan.

    Args:
        pairs: each `path=value`: the path of a value that a rule decides, such as `training.learning_rate`,
            `views.patch_px` for all views or `views.0.patch_px` for one of them, or its name in 0.1; the value as JSON or
            a bare word.

    Returns:
        values by path, in the order of the plan, those for all views before those for one.

    Raises:
        UsageError: a pair has no value, its key is unknown (with a suggestion), is not for planning, or is given twice; or
            values are not allowed, whatever the data.

    Example:
        >>> parse_overrides(["views.batch_size=4", "training.loss=dice"])
        {'views.batch_size': 4, 'training.loss': 'dice'}
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

    _refuse_impossible(asked)
    return in_order(asked)


def in_order(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Values by their path, in the order of the plan, those for all views before those for one."""

    def place(path: str) -> tuple[int, bool, str]:
        general = in_every_view(path)
        return DECIDED.index(general) if general in DECIDED else len(DECIDED), path not in DECIDED, path

    return {path: asked[path] for path in sorted(asked, key=place)}


def parse_planes(asked: str | Sequence[str]) -> AskedPlanes:
    """The planes asked for, in the order of their views.

    Args:
        asked: `auto`, `all`, or names of planes, as a list or between commas.

    Raises:
        UsageError: there is no such plane (with a suggestion), or one is named twice.

    Example:
        >>> parse_planes("coronal,axial")
        ('coronal', 'axial')
    """
    names = tuple(name.strip() for name in (asked.split(",") if isinstance(asked, str) else asked))
    if names == ("auto",):
        return "auto"
    if names == ("all",):
        return "all"
    planes: list[Plane] = []
    for name in names:
        known = [plane for plane in get_args(Plane) if plane == name]
        if not known or known[0] in planes:
            similar = meant(name, get_args(Plane))
            raise UsageError(
                f"{name[:100]} is named twice" if known else f"there is no plane {name[:100]!a}",
                where="--planes",
                expected=f"auto, all, or some of {', '.join(get_args(Plane))}, each once",
                remedy="Name it once." if known else f"Did you mean {similar}?" if similar else "Name a plane.",
            )
        planes += known
    return tuple(planes)


def overridden(plan: Plan, overrides: Mapping[str, Any]) -> Plan:
    """A plan with other values where they are asked for; each says so, and what its rule would have chosen.

    Raises:
        UsageError: a value is not allowed, or the values do not go together.
    """
    if not overrides:
        return plan
    document = plan.model_dump(mode="json")
    document["inputs"]["overrides"] = dict(overrides)
    for path, value in _of_each_view(overrides, decided=decided_paths(len(plan.views))).items():
        *parents, key = path.split(".")
        place: Any = document
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        place[key] = value
        chosen = plan.decisions[path]
        reason = f"Asked for; the rule `{chosen.rule}` would take {json.dumps(chosen.value)}."
        document["decisions"][path] = {"rule": ASKED, "value": value, "reason": reason}
    try:
        return sealed(parse(document, Plan))
    except ValidationError as invalid:
        raise _no_plan(invalid, Plan) from None


def refuse_missing_views(overrides: Mapping[str, Any], planes: AskedPlanes) -> None:
    """Refuse values for views that no plan with these planes has.

    Raises:
        UsageError: there is no view of such a number.
    """
    views = len(planes) if isinstance(planes, tuple) else len(get_args(Plane))
    _of_each_view(overrides, decided=decided_paths(views))


def _refuse_impossible(asked: Mapping[str, Any]) -> None:
    """Refuse values of a wrong type or beyond their limits; whether they go together, the whole plan tells."""
    fields: dict[str, Any] = {path: (field_of(path).annotation, field_of(path)) for path in asked}
    model = create_model("Asked", __base__=Section, **fields)
    try:
        parse(dict(asked), model)
    except ValidationError as invalid:
        raise _no_plan(invalid, model) from None


def _no_plan(invalid: ValidationError, model: type[BaseModel]) -> UsageError:
    return UsageError(
        f"what is asked for with --set makes no plan: {problems_in(invalid, model)}",
        remedy="Change or leave out the named values.",
    )


def edits_without_effect(plan: Plan) -> Iterator[str]:
    """What was changed in a plan though nothing is made from it, each with what works instead, as a sentence."""
    folds = plan.decisions.get("folds")
    if folds is not None and plan.folds != folds.value:
        yield (
            f"`folds` in plan.json was changed to {plan.folds}, which changes no fold: their cases are in splits.json. Put "
            f"{folds.value} back and run `autoseg plan DATASET --folds {plan.folds}`"
        )
    asked = plan.inputs.overrides
    named = {path: path if path in asked else in_every_view(path) for path in plan.decisions}
    recorded = [
        f"overrides.{name}"
        for name in asked
        if not all(plan.decisions[path].value == asked[name] for path in named if named[path] == name)
    ]
    if folds is not None and plan.inputs.folds not in {None, folds.value}:
        recorded.insert(0, "folds")
    if recorded:
        yield (
            f"`inputs` in plan.json was changed ({', '.join(recorded)}): it records what planning was asked for, and "
            "training does not read it. Change the values themselves, or plan again with these options"
        )


def _of_each_view(overrides: Mapping[str, Any], *, decided: Sequence[str]) -> dict[str, Any]:
    """The values by their paths with the number of a view; one for a single view goes before one for all.

    Raises:
        UsageError: there is no view of such a number.
    """
    if unknown := [path for path in overrides if path != in_every_view(path) and path not in decided]:
        views = sum(in_every_view(path) == in_every_view(unknown[0]) for path in decided)
        raise UsageError(
            f"this plan has no value {unknown[0]}",
            expected=f"a number below {views}, one for each view",
            remedy="Leave out the number to set the value for every view.",
        )
    chosen = {path: in_every_view(path) for path in decided}
    return {
        path: overrides[path if path in overrides else general]
        for path, general in chosen.items()
        if path in overrides or general in overrides
    }


def _path(name: str) -> str:
    """The path of a key, however it was written."""
    path = in_every_view(format_1.MOVED[name]) if name in format_1.MOVED else name
    if path.split(".")[0] in _NOT_HERE:
        raise UsageError(f"{path} cannot be set", where=f"--set {name}", remedy=_NOT_HERE[path.split(".")[0]])
    if in_every_view(path) not in DECIDED:
        raise UsageError(f"a plan has no value {path[:100]!a}{_suggestion(path)}", where=f"--set {name}", remedy=_REMEDY)
    return path


def _suggestion(path: str) -> str:
    whole = [known for known in DECIDED if in_every_view(path).startswith(f"{known}.")]
    names = {**{known: known for known in DECIDED}, **{old: in_every_view(new) for old, new in format_1.MOVED.items()}}
    keys = {known.rpartition(".")[2]: known for known in reversed(DECIDED)}
    by_path = [names[name] for name in get_close_matches(path, names, n=1, cutoff=0.8)]
    by_key = [keys[key] for key in get_close_matches(path.rpartition(".")[2], keys, n=1)]
    similar = whole or by_path or by_key
    return f": did you mean `{similar[0]}`?" if similar else ""


def _value(text: str) -> Any:
    try:
        return files.parse_json(text.encode("utf-8", "surrogateescape"), error=UsageError, where="--set", remedy=_REMEDY)
    except UsageError:  # a bare word; whether it is a choice, the schema says
        return text
