"""The reference of `plan.json`, drawn from the code: fields, limits, and the rule behind each value.

`python docs/reference/generate_plan.py > docs/reference/plan.md` writes it; a test checks the file against the code.
"""

import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from autoseg.catalogue import NameIn, Recipe
from autoseg.data.dataset import Case, Dataset
from autoseg.planning import channel_rules, fingerprint, mirror_rules, rules, sizing, view_rules
from autoseg.planning.case_fingerprint import CaseFingerprint, ChannelStatistics, IntensityStatistics
from autoseg.planning.decided import Decision, in_every_view
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.planning.planner import make_plan
from autoseg.planning.recipes import PAPER_LEAVES_OPEN
from autoseg.planning.sections import Inputs

_RECIPES: Final[tuple[Recipe, ...]] = get_args(Recipe)
_RULE_MODULES: Final[tuple[ModuleType, ...]] = (rules, view_rules, mirror_rules, channel_rules, sizing, fingerprint)
_RULES_WITHOUT_FUNCTION: Final[Mapping[str, str]] = {
    "asked_not_finite": "What was asked for with `--not-finite`.",
    "recipe_auto": "A constant of the recipe `auto`: see below.",
    "recipe_paper": "A constant of the recipe `paper`: see below.",
}

_UNITS: Final[Mapping[str, str]] = {"px": "px", "mm": "mm", "deg": "degrees", "gb": "GB"}
"""The suffixes of keys that are units, and how they are written."""

_TYPES: Final[Mapping[Any, str]] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    dict: "an entry for each path",
    Any: "any",
}

_LEAD: Final = """\
# plan.json: every key

*Made from the code by `python docs/reference/generate_plan.py > docs/reference/plan.md`; do not edit.*

`autoseg plan` writes `plan.json` into the workspace: everything the data dictates, and why. It is meant to be read and
edited.

## Editing it

- **A key that is unknown, missing or outside its limits** is an error (exit code 4) that names every such key, what was
  found and what is allowed. Only keys marked *optional* may be left out. Infinite numbers and NaN are not allowed.
- **Keys that do not fit one another** are errors too. `training.class_weights` has one entry per class,
  `preprocessing.normalisation` one per channel. Both sides of a view's `patch_px` are multiples of 2^(n − 1), where n
  is the number of levels in `network.features`. Of `training.epochs` and `training.minutes` exactly one is null. The
  schedule `plateau` needs `lr_patience`, the normalisation `ct` its four constants, a rule of `training.slices` its own
  parameter and no other. Several `views` have a plane each, every plane once, and equal `adjacent_slices` where they share
  one network (`network.shared_by_views`).
- **An edited plan is never overwritten**: `autoseg plan` stops with exit code 5 unless `--force` is given. It knows an edit
  by `planned_digest`, so leave that key as it is. `decisions` may stay as they are too: they say what was planned.
- **What was made from the plan before** carries the digest of its values. Models trained under other values are not used
  for prediction, and training in their place is an error (exit code 5) unless `--restart` is given. Preprocessed arrays
  are made again where `preprocessing` or how a view cuts scans (`plane`, `spacing_mm`) changed. Nothing is made from
  `evaluation`: it may be changed at any time.
- **`inputs` are a record**: editing them decides nothing. Run `autoseg plan` with other options instead.

Below, the columns *auto* and *paper* name the rule that sets a value under each recipe, as stored in `decisions`; a
constant of the recipe is given with it. *Ours* marks what the paper leaves open. What the rules decide
[follows the keys](#rules).
"""


@dataclass(frozen=True)
class _Part:
    """A model of the plan: the plan itself, a section, or an entry of a list.

    Attributes:
        path: of its keys in the document; empty for the plan itself.
        model: its fields.
        depth: 0 for the plan itself.
    """

    path: str
    model: type[BaseModel]
    depth: int

    def key(self, field: str) -> str:
        """The path of one of its fields."""
        return f"{self.path}.{field}" if self.path else field


def plan_reference() -> str:
    """Every key of a plan as Markdown: allowed values, unit, meaning, and the rule that sets it under each recipe.

    Returns:
        the whole document; the same code gives the same text.
    """
    decisions = {recipe: _example_plan(recipe).decisions for recipe in _RECIPES}
    parts = [_described(part, decisions) for part in _parts(Plan)]
    return "\n".join([_LEAD, *parts, _rules(decisions), _constants(decisions)])


def _parts(model: type[BaseModel], path: str = "", depth: int = 0) -> Iterator[_Part]:
    part = _Part(path, model, depth)
    yield part
    for name, field in model.model_fields.items():
        if nested := _nested(field.annotation):
            suffix, inner = nested
            yield from _parts(inner, part.key(name) + suffix, depth + 1)


def _nested(annotation: Any) -> tuple[str, type[BaseModel]] | None:
    """The model inside an annotation, and what its path adds to that of the key."""
    if _is_model(annotation):
        return "", annotation
    suffix = {tuple: "[]", dict: ".<path>"}.get(get_origin(annotation), "")
    for argument in get_args(annotation):
        if found := _nested(argument):
            deeper, model = found
            return suffix + deeper, model
    return None


def _is_model(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def _described(part: _Part, decisions: Mapping[Recipe, Mapping[str, Decision]]) -> str:
    keys = [(part.key(name), field) for name, field in part.model.model_fields.items()]
    recipes = _RECIPES if any(_decided(key) in decisions["auto"] for key, _ in keys) else ()
    rows = [
        [f"`{key}`", _values(key, field), _meaning(field), *(_set_by(key, recipe, decisions[recipe]) for recipe in recipes)]
        for key, field in keys
    ]
    heading = f"{'#' * max(2, part.depth + 1)} {f'`{part.path}`' if part.path else 'Top level'}"
    return f"{heading}\n\n{inspect.getdoc(part.model)}\n\n{_table(['key', 'values', 'meaning', *recipes], rows)}"


def _meaning(field: FieldInfo) -> str:
    if field.description:
        return field.description
    nested = _nested(field.annotation)
    return _first_line(nested[1]) if nested else ""


def _values(key: str, field: FieldInfo) -> str:
    unit = _UNITS.get(key.rpartition("_")[2])
    allowed = _allowed(field.annotation, field.metadata)
    return (f"in {unit}: " if unit else "") + allowed + ("" if field.is_required() else "; optional")


def _allowed(annotation: Any, limits: Sequence[Any]) -> str:
    """In words, what a value of this type and these limits may be."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _allowed(arguments[0], [*limits, *_unpacked(arguments[1:])])
    if origin in {Union, UnionType}:
        return _alternatives(arguments, limits)
    if origin is Literal:
        return _listing([f"`{name}`" for name in arguments])
    if origin is tuple:
        return _entries(arguments, limits)
    if _is_model(annotation):
        return "see below"
    return _named(limits) or _TYPES[origin or annotation] + _limits(limits)


def _named(limits: Sequence[Any]) -> str | None:
    """In words, which names a text may be, where they stand in a table."""
    tables = [limit for limit in limits if isinstance(limit, NameIn)]
    if not tables:
        return None
    names = [f"`{name}`" for name in tables[0].names]
    return _listing(names) if names else f"name of an {tables[0].table.kind} that a package registers"


def _alternatives(members: Sequence[Any], limits: Sequence[Any]) -> str:
    literals = [f"`{name}`" for member in members if get_origin(member) is Literal for name in get_args(member)]
    others = [_allowed(member, limits) for member in members if get_origin(member) is not Literal and member is not NoneType]
    return _listing([*literals, *others]) + (", or null" if NoneType in members else "")


def _entries(members: Sequence[Any], limits: Sequence[Any]) -> str:
    """In words, a list: of any length, as `tuple[T, ...]`, or of as many entries as there are members."""
    if members[1:] == (Ellipsis,):
        fewest = next((limit.min_length for limit in limits if isinstance(limit, MinLen)), 0)
        return f"list{f' of at least {fewest}' if fewest else ''}, each: {_allowed(members[0], ())}"
    each = list(dict.fromkeys(_allowed(member, ()) for member in members))
    return f"{len(members)} values, each: {each[0]}" if len(each) == 1 else f"{len(members)} values: {', '.join(each)}"


def _unpacked(metadata: Sequence[Any]) -> Iterator[Any]:
    for entry in metadata:
        yield from entry.metadata if isinstance(entry, FieldInfo) else [entry]


def _limits(limits: Sequence[Any]) -> str:
    if unknown := [limit for limit in limits if not isinstance(limit, Ge | Gt | Le | MinLen)]:
        msg = f"no words for the limits {unknown}"
        raise TypeError(msg)
    low = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
    high = next((limit.le for limit in limits if isinstance(limit, Le)), None)
    above = next((limit.gt for limit in limits if isinstance(limit, Gt)), None)
    if low is not None and high is not None:
        return f" from {low} to {high}"
    bounds = [f" {sign} {bound}" for sign, bound in ((">", above), ("≥", low), ("≤", high)) if bound is not None]
    filled = any(isinstance(limit, MinLen) for limit in limits)
    return ",".join(bounds) + (", not empty" if filled else "")


def _set_by(key: str, recipe: Recipe, decisions: Mapping[str, Decision]) -> str:
    path = _decided(key)
    if path not in decisions:
        return ""
    decision = decisions[path]
    ours = " (ours)" if recipe == "paper" and in_every_view(path) in PAPER_LEAVES_OPEN else ""
    constant = f": `{json.dumps(decision.value)}`" if decision.rule == f"recipe_{recipe}" else ""
    return f"`{decision.rule}`{constant}{ours}"


def _decided(key: str) -> str:
    """The path of a key in `decisions`, where entries of a list are numbered."""
    return key.replace("[]", ".0")


def _rules(decisions: Mapping[Recipe, Mapping[str, Decision]]) -> str:
    names = sorted({decision.rule for reasons in decisions.values() for decision in reasons.values()})
    rows = [[f"`{name}`", *_rule(name)] for name in names]
    return f"## Rules\n\n{_table(['rule', 'decides', 'where'], rows)}"


def _rule(name: str) -> tuple[str, str]:
    """What a rule decides, and a link to its module."""
    for module in _RULE_MODULES:
        if function := getattr(module, name, None):
            file = Path(inspect.getfile(module)).name
            return _first_line(function), f"[{file}](../../autoseg/planning/{file})"
    return _RULES_WITHOUT_FUNCTION[name], ""


def _constants(decisions: Mapping[Recipe, Mapping[str, Decision]]) -> str:
    rows = [
        [f"`{key}`", *(decisions[recipe][key].reason for recipe in _RECIPES)]
        for key in decisions["auto"]
        if decisions["auto"][key].rule == "recipe_auto"
    ]
    return f"## Constants of the recipes\n\nThe reason for each value given above.\n\n{_table(['key', *_RECIPES], rows)}"


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n\n")[0].replace("\n", " ")


def _listing(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _example_plan(recipe: Recipe) -> Plan:
    """A plan for two made-up scans: which rule sets a value does not depend on the data."""
    cases = tuple(_example_case(name) for name in ("first", "second"))
    dataset = Dataset(
        name="example",
        root=Path("example"),
        layout="example",
        channels=("T1",),
        classes=None,
        cases=tuple(
            Case(id=case.id, images=(Path("image"),), label=Path("label"), subject=case.id, subset="training")
            for case in cases
        ),
    )
    inputs = Inputs(name="example", recipe=recipe, plane="auto", device="cpu", memory_gb=4.0, folds=None)
    return make_plan(dataset, Fingerprint(cases=cases), inputs)


def _example_case(name: str) -> CaseFingerprint:
    everywhere = ((0, 64), (0, 64), (0, 64))
    intensities = IntensityStatistics(
        voxels=64**3,
        mean=100.0,
        std=20.0,
        minimum=1.0,
        percentile_00_5=50.0,
        percentile_25=85.0,
        percentile_50=100.0,
        percentile_75=115.0,
        percentile_99_5=150.0,
        maximum=200.0,
    )
    return CaseFingerprint(
        id=name,
        image_sha256=("",),
        label_sha256="",
        shape=(64, 64, 64),
        spacing_mm=(1.0, 1.0, 1.0),
        dimensions=3,
        axes=("inferior-superior", "posterior-anterior", "left-right"),
        channels=(ChannelStatistics(positive=intensities, labelled=intensities),),
        class_voxels={0: 60**3, 1: 64**3 - 60**3},
        nonzero_voxels=64**3,
        nonzero_box=everywhere,
        label_box=everywhere,
        label_margin_px=0,
        symmetry=(1.0, 1.0, 1.0),
    )


if __name__ == "__main__":
    sys.stdout.write(plan_reference())
