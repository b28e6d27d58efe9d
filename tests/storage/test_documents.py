"""From documents to models: exactly as written, or not at all."""

import json
import math
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import autoseg
from autoseg.storage.documents import parse


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = "none"
    on: bool = False


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    version: Literal[1] = 1
    count: int = 0
    length_mm: float = 0.0
    voxels: dict[int, int] = Field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    place: Path | None = None
    anything: Any = None


EXACT: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a whole number as a number": {"length_mm": 1},
    "a number as a whole number": {"count": 2.0},
    "the last whole number that a float holds": {"length_mm": 2**53},
    "a large whole number": {"count": 10**30},
    "keys that are numbers": {"voxels": {"0": 700, "12": 68, "-3": 1}},
    "parts": {"parts": [{"name": "a", "on": True}, {}]},
    "a path": {"place": "/data/IBSR18/a b.nii.gz"},
    "anything": {"anything": [{"1": True, "01": [None, 1e-300, 10**40]}]},
    "a tiny number": {"length_mm": 5e-324},
}


@pytest.mark.parametrize("document", EXACT.values(), ids=EXACT.keys())
def test_what_is_written_is_read(document: dict[str, Any]) -> None:
    model = parse(document, Whole)
    assert model == Whole.model_validate_json(json.dumps(document))
    assert model.model_fields_set == document.keys()


def test_numbers_that_json_has_not_come_back_from_their_names() -> None:
    model = parse({"length_mm": "NaN"}, Whole)
    assert math.isnan(model.length_mm)
    assert parse(json.loads(model.model_dump_json()), Whole).length_mm != 0
    assert parse({"length_mm": "-Infinity"}, Whole).length_mm == -math.inf


INEXACT: dict[str, tuple[dict[str, Any], tuple[str | int, ...], str]] = {
    "true for 1": ({"version": True}, ("version",), "1"),
    "true for a count": ({"count": True}, ("count",), "1"),
    "true for a number": ({"length_mm": True}, ("length_mm",), "1.0"),
    "1 for true": ({"parts": [{}, {"on": 1}]}, ("parts", 1, "on"), "true"),
    "a word for true": ({"parts": [{"on": "yes"}]}, ("parts", 0, "on"), "true"),
    "a text for a count": ({"count": "3"}, ("count",), "3"),
    "a text for a number": ({"length_mm": " 1e3"}, ("length_mm",), "1000.0"),
    "another name of no number": ({"length_mm": "nan"}, ("length_mm",), '"NaN"'),
    "one more than a float holds": ({"length_mm": 2**53 + 1}, ("length_mm",), "9007199254740992.0"),
    "a key that is no plain number": ({"voxels": {"01": 5}}, ("voxels",), '{"1": 5}'),
    "two keys that are one number": ({"voxels": {"1": 5, "+1": 7}}, ("voxels",), '{"1": 7}'),
    "a path with a detour": ({"place": "/data//a.nii"}, ("place",), '"/data/a.nii"'),
}


@pytest.mark.parametrize(("document", "place", "read"), INEXACT.values(), ids=INEXACT.keys())
def test_what_would_be_read_as_something_else_is_refused(
    document: dict[str, Any], place: tuple[str | int, ...], read: str
) -> None:
    Whole.model_validate_json(json.dumps(document))  # validation alone accepts it
    with pytest.raises(ValidationError) as refused:
        parse(document, Whole)
    (problem,) = refused.value.errors()
    assert problem["loc"] == place
    assert problem["msg"] == f"Would be read as {read}"


def test_what_is_not_allowed_is_refused_by_validation() -> None:
    for document in ({"more": 1}, {"count": 1.5}, {"version": 2}, [], None):
        with pytest.raises(ValidationError):
            parse(document, Whole)


def test_all_differences_are_named_but_not_thousands() -> None:
    with pytest.raises(ValidationError) as refused:
        parse({"count": "1", "version": True}, Whole)
    assert [problem["loc"] for problem in refused.value.errors()] == [("count",), ("version",)]
    with pytest.raises(ValidationError) as refused:
        parse({"parts": [{"on": 1}] * 10_000}, Whole)
    assert len(refused.value.errors()) == 20


def test_no_reader_parses_documents_in_a_way_of_its_own() -> None:
    package = Path(autoseg.__file__).parent
    found = {
        (path.relative_to(package).as_posix(), call)
        for path in package.rglob("*.py")
        for call in re.findall(r"model_validate\w*", path.read_text(encoding="utf-8"))
    }
    assert found == {("storage/documents.py", "model_validate_json"), ("planning/plan.py", "model_validate")}
