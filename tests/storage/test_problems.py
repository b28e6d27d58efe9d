"""What is wrong with a document is said in our words, for every kind of mistake that somebody who edits one makes."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoseg.storage.documents import parse
from autoseg.storage.problems import problems_in

UNKNOWN = "is no key of this document"


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 8
    rate: Annotated[float, Field(gt=0, lt=2.5)] = 1.0
    optimiser: Literal["adam", "adamw"] = "adam"
    on: bool = True
    name: Annotated[str, Field(min_length=1)] = "x"
    digest: Annotated[str, Field(pattern="^[0-9a-f]+$")] = "0"
    sides: Annotated[tuple[int, ...], Field(min_length=2, max_length=3)] = (1, 2)


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    views: tuple[Part, ...] = ()
    training: Part
    epochs: int | None = None


def said(**training: object) -> str:
    with pytest.raises(ValidationError) as invalid:
        parse({"training": training}, Whole)
    return problems_in(invalid.value, Whole)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("batch_size", "big", 'expected a whole number, found "big"'),
        ("batch_size", 2.5, "expected a whole number, found 2.5"),
        ("batch_size", 0, "expected a number of at least 1, found 0"),
        ("batch_size", 65_537, "expected a number of at most 65536, found 65537"),
        ("batch_size", None, "expected a whole number, found null"),
        ("batch_size", "3", 'expected 3, found "3"'),
        ("rate", [], "expected a number, found a list of 0 entries"),
        ("rate", 0, "expected a number above 0, found 0"),
        ("rate", 2.5, "expected a number below 2.5, found 2.5"),
        ("optimiser", "adamm", 'expected adam or adamw, found "adamm": did you mean `adam`?'),
        ("optimiser", 3, "expected adam or adamw, found 3"),
        ("on", "maybe", 'expected true or false, found "maybe"'),
        ("on", 1, "expected true, found 1"),
        ("name", 7, "expected a text, found 7"),
        ("name", "", 'expected a text of at least 1 character, found ""'),
        ("digest", "xyz", 'expected a text of the form ^[0-9a-f]+$, found "xyz"'),
        ("sides", 4, "expected a list, found 4"),
        ("sides", [1], "expected at least 2 entries, found a list of 1 entry"),
        ("sides", [1, 2, 3, 4], "expected at most 3 entries, found a list of 4 entries"),
    ],
)
def test_a_value_is_told_by_what_was_expected_and_found(key: str, value: object, words: str) -> None:
    assert said(**{key: value}) == f"training.{key}: {words}"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "training: is missing"),
        ({"training": []}, "training: expected an object with keys, found a list of 0 entries"),
        (
            {"training": {"batchsize": 4}},
            f"training.batchsize: {UNKNOWN}: did you mean `training.batch_size`?",
        ),
        ({"training": {}, "batch_size": 4}, f"batch_size: {UNKNOWN}: did you mean `views.batch_size`?"),
        (
            {"training": {}, "views": [{"optimizer": "adam"}]},
            f"views.0.optimizer: {UNKNOWN}: did you mean `views.optimiser`?",
        ),
        ({"training": {"epochs": 4}}, f"training.epochs: {UNKNOWN}: did you mean `epochs`?"),
        ({"training": {"zzz": 4}}, f"training.zzz: {UNKNOWN}"),
    ],
)
def test_keys_are_told_with_those_that_were_probably_meant(document: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as invalid:
        parse(document, Whole)
    assert problems_in(invalid.value, Whole) == words


def test_without_a_model_there_is_no_suggestion() -> None:
    with pytest.raises(ValidationError) as invalid:
        parse({"training": {"batchsize": 4}}, Whole)
    assert problems_in(invalid.value) == f"training.batchsize: {UNKNOWN}"


def test_no_word_of_pydantic_s_is_left() -> None:
    """For every kind of mistake that can be made of any key of a plan, as far as one value shows it."""
    for value in ("x", -1, 1e99, None, [], {}, True, [1] * 50):
        for key in Part.model_fields:
            try:
                parse({"training": {key: value}}, Whole)
            except ValidationError as invalid:
                told = problems_in(invalid, Whole)
                assert "nput should" not in told
                assert "alid" not in told


def test_a_list_of_wrong_entries_is_not_called_too_short() -> None:
    assert said(sides=["a", "b"]) == (
        'training.sides.0: expected a whole number, found "a"; training.sides.1: expected a whole number, found "b"'
    )
    assert said(sides=[1]) == "training.sides: expected at least 2 entries, found a list of 1 entry"
