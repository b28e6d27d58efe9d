import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from autoseg.planning import sizing
from autoseg.planning.decided import DECIDED
from autoseg.planning.plan import Plan
from autoseg.planning.recipes import CONSTANTS

SCRIPT = Path(__file__).parents[2] / "docs" / "reference" / "generate_plan.py"
DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "plan.md"


SPEC = spec_from_file_location("generate_plan", SCRIPT)
assert SPEC is not None
reference = module_from_spec(SPEC)
sys.modules[SPEC.name] = reference
SPEC.loader.exec_module(reference)
plan_reference = reference.plan_reference


class Tone(BaseModel):
    """One tone."""

    pitch: int


def table_rows(text: str) -> dict[str, list[str]]:
    """The cells of every table row, by the row's first one; each comes once."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert len({row[0] for row in cells}) == len(cells)
    return {row[0]: row for row in cells}


@pytest.fixture(scope="module")
def keys() -> dict[str, list[str]]:
    return table_rows(plan_reference().partition("## Rules")[0])


@pytest.fixture(scope="module")
def rules() -> dict[str, list[str]]:
    return table_rows(plan_reference().partition("## Rules")[2].partition("## Constants")[0])


def schema_keys(schema: dict, path: str = "") -> set[str]:
    """Every key of a JSON schema, by pydantic's own account of the model; entries of lists and mappings likewise."""
    definitions = Plan.model_json_schema()["$defs"]
    keys = set()
    for name, field in schema["properties"].items():
        key = f"{path}{name}"
        keys.add(key)
        for suffix, inner in (
            ("", field),
            ("[]", field.get("items", {})),
            (".<path>", field.get("additionalProperties", {})),
        ):
            if isinstance(inner, dict) and "$ref" in inner:
                keys |= schema_keys(definitions[inner["$ref"].rpartition("/")[2]], f"{key}{suffix}.")
    return keys


def described(annotation, **limits) -> str:
    model = create_model("Model", key=(annotation, Field(**limits)))
    return reference._values("key", model.model_fields["key"])


def test_the_document_is_what_the_code_says():
    remedy = "run: python docs/reference/generate_plan.py > docs/reference/plan.md"
    assert DOCUMENT.read_text(encoding="utf-8") == plan_reference(), remedy


def test_the_module_writes_the_document():
    command = [sys.executable, str(SCRIPT)]
    written = subprocess.run(
        command, capture_output=True, check=True, encoding="utf-8", env=os.environ | {"PYTHONIOENCODING": "utf-8"}
    )
    assert written.stdout == plan_reference()


def test_every_key_of_a_plan_has_its_row(keys):
    expected = schema_keys(Plan.model_json_schema())
    assert {"training.slices.fraction", "preprocessing.normalisation[].clip", "decisions.<path>.rule"} <= expected
    assert {f"`{key}`" for key in expected} == set(keys)


def test_every_decided_value_names_its_rule_under_both_recipes(keys):
    for path in DECIDED:
        auto, paper = keys[f"`{path.replace('views.', 'views[].')}`"][3:]
        assert auto.startswith("`")
        assert paper.startswith("`")
    assert keys["`views[].patch_px`"][3:] == ["`patch`", "`patch` (ours)"]
    assert keys["`training.learning_rate`"][3:] == [
        f"`recipe_{recipe}`: `{CONSTANTS[recipe]['training.learning_rate'].value}`" for recipe in ("auto", "paper")
    ]


def test_every_rule_says_what_it_decides(keys, rules):
    named = {match for row in keys.values() for cell in row[3:] for match in re.findall(r"^`\w+`", cell)}
    assert {"`features`", "`found_classes`", "`declared_channels`", "`recipe_paper`"} <= named
    assert named == set(rules)
    assert all(decides.endswith(".") for _, decides, _ in rules.values())
    assert rules["`patch`"][1:] == [
        sizing.patch.__doc__.partition("\n")[0],
        "[sizing.py](../../autoseg/planning/sizing.py)",
    ]


def test_links_lead_to_files():
    targets = re.findall(r"\]\(([^)#]+)\)", plan_reference())
    assert targets
    assert all((DOCUMENT.parent / target).is_file() for target in targets)


def test_constants_are_given_with_their_reasons():
    text = plan_reference().partition("## Constants of the recipes")[2]
    for path, choice in CONSTANTS["auto"].items():
        assert f"| `{path}` | {choice.reason} |" in text


@pytest.mark.parametrize(
    ("annotation", "limits", "expected"),
    [
        (int, {"ge": 1, "le": 4}, "whole number from 1 to 4"),
        (int | None, {"ge": 2}, "whole number ≥ 2, or null"),
        (float, {"gt": 0, "le": 1}, "number > 0, ≤ 1"),
        (Annotated[float, Field(gt=0)] | None, {}, "number > 0, or null"),
        (str, {"min_length": 1}, "text, not empty"),
        (bool, {}, "`true` or `false`"),
        (Literal["a", "b", "c"], {}, "`a`, `b` or `c`"),
        (Literal["a", "b"] | Literal["auto"] | None, {}, "`a`, `b` or `auto`, or null"),  # noqa: PYI030 - as in the plan
        (tuple[Literal["a", "b"], ...], {}, "list, each: `a` or `b`"),
        (tuple[Annotated[int, Field(ge=1)], ...], {"min_length": 2}, "list of at least 2, each: whole number ≥ 1"),
        (tuple[float, float], {}, "2 values, each: number"),
        (tuple[float, str], {}, "2 values: number, text"),
        (tuple[Tone, ...], {"min_length": 1}, "list of at least 1, each: see below"),
        (float | None, {"default": None}, "number, or null; optional"),
    ],
)
def test_types_and_limits_in_words(annotation, limits, expected):
    assert described(annotation, **limits) == expected


def test_a_limit_without_words_is_not_passed_over():
    with pytest.raises(TypeError, match="multiple_of=2"):
        described(int, multiple_of=2)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("patch_px", "in px: number"),
        ("spacing_mm", "in mm: number"),
        ("rotation_deg", "in degrees: number"),
        ("memory_gb", "in GB: number"),
        ("minutes", "number"),
    ],
)
def test_units_of_keys(key, expected):
    model = create_model("Model", **{key: (float, ...)})
    assert reference._values(key, model.model_fields[key]) == expected
