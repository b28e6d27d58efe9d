"""Every type of stored document, alike: what was stored is read, whatever was added since, and nothing is guessed."""

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError, create_model, field_validator

import autoseg
from autoseg.data.dataset import DATASET
from autoseg.data.splits import SPLITS
from autoseg.errors import AutosegError, BundleError, PlanError
from autoseg.evaluation import judged_files
from autoseg.exporting import archive, contents
from autoseg.model.description import BUNDLE
from autoseg.planning.fingerprint import FINGERPRINT
from autoseg.planning.plan import PLAN
from autoseg.postprocessing.held_out import files as held_out
from autoseg.postprocessing.held_out import shown
from autoseg.postprocessing.selection import SELECTION
from autoseg.preprocessing import stored as cases
from autoseg.runs import revisions, source_checksums
from autoseg.storage.documents import DocumentType, decided
from autoseg.storage.problems import problems_in
from autoseg.training import run_state

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"
WORKSPACE = STORED / "workspace"
MODEL = WORKSPACE / "models" / "unet" / "fold_0"
ARRAYS = next((WORKSPACE / "preprocessed").iterdir())


def exported(name: str) -> Any:
    with zipfile.ZipFile(STORED / "model.autoseg") as members:
        return json.loads(members.read(name))


def stored(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


TYPES: dict[str, tuple[DocumentType[Any], Any]] = {
    "dataset": (DATASET, stored(WORKSPACE / "dataset.json")),
    "fingerprint": (FINGERPRINT, stored(WORKSPACE / "fingerprint.json")),
    "splits": (SPLITS, stored(WORKSPACE / "splits.json")),
    "plan": (PLAN, stored(WORKSPACE / "plan.json")),
    "case": (cases._TYPE, stored(ARRAYS / "IBSR_01.json")),
    "bundle": (BUNDLE, stored(MODEL / "bundle.json")),
    "checkpoint": (run_state.CHECKPOINT, stored(MODEL / "checkpoint.json")),
    "record": (held_out._RECORD, stored(MODEL / "validation" / "record.json")),
    "selection": (SELECTION, stored(WORKSPACE / "selection.json")),
    "manifest": (archive._MANIFEST, exported("manifest.json")),
    "exported model": (contents.MODEL.document, exported("model.json")),
}
"""Each type with a document that version 0.1 stored."""

SINCE_0_2 = (judged_files._JUDGED, shown._SHOWN, source_checksums._TYPE, revisions.REVISIONS, revisions.CHANGE)
"""Types that 0.1 did not have."""

every_type = pytest.mark.parametrize(("kind", "of_0_1"), TYPES.values(), ids=TYPES.keys())


def written(kind: DocumentType[Any], of_0_1: Any) -> Any:
    """The same document as this version stores it."""
    return json.loads(kind.text(kind.parse(of_0_1, where="here")))


def test_no_type_is_missing_here() -> None:
    package = Path(autoseg.__file__).parent
    declared = sum(
        len(re.findall(r"(?<!class )\bDocumentType\(", path.read_text(encoding="utf-8"))) for path in package.rglob("*.py")
    )
    assert declared == len(TYPES) + len(SINCE_0_2)


@every_type
def test_what_0_1_stored_is_stored_in_the_present_format(kind: DocumentType[Any], of_0_1: Any) -> None:
    now = written(kind, of_0_1)
    assert next(iter(now)) == "version"
    assert now["version"] == kind.version
    assert kind.parse(now, where="here") == kind.parse(of_0_1, where="here")
    assert written(kind, now) == now


@every_type
def test_without_a_version_it_is_of_format_1(kind: DocumentType[Any], of_0_1: Any) -> None:
    without = {key: value for key, value in of_0_1.items() if key != "version"}
    assert kind.parse(without, where="here") == kind.parse({**without, "version": 1}, where="here")


@every_type
def test_a_newer_format_is_refused(kind: DocumentType[Any], of_0_1: Any) -> None:
    with pytest.raises(kind.error, match=f"the {kind.name} was made by a newer autoseg") as refused:
        kind.parse({**written(kind, of_0_1), "version": kind.version + 1}, where="here")
    assert refused.value.where == "here"
    assert refused.value.expected == f"format {kind.version} or older"
    assert str(refused.value.found).startswith(f"format {kind.version + 1}")
    assert "Update autoseg" in refused.value.remedy


@every_type
@pytest.mark.parametrize("version", [True, "1", 1.0, 0, -1, None, [1]])
def test_a_format_that_is_none_is_refused(kind: DocumentType[Any], of_0_1: Any, version: Any) -> None:
    with pytest.raises(kind.error, match="version: must be a whole number from 1"):
        kind.parse({**of_0_1, "version": version}, where="here")


@every_type
def test_an_unknown_key_is_named(kind: DocumentType[Any], of_0_1: Any) -> None:
    for known in (of_0_1, written(kind, of_0_1)):
        with pytest.raises(kind.error, match=r"not a usable .*: surprise: "):
            kind.parse({**known, "surprise": 1}, where="here")


@every_type
def test_a_key_added_with_a_default_leaves_what_was_stored_readable(kind: DocumentType[Any], of_0_1: Any) -> None:
    later = replace(kind, model=with_key_of_later(kind.model))
    for known in (of_0_1, written(kind, of_0_1)):
        model = later.parse(known, where="here")
        assert model.of_later == "neutral"
        assert decided(model) == decided(kind.parse(known, where="here"))
    changed = later.parse({**written(kind, of_0_1), "of_later": "other"}, where="here")
    assert decided(changed) == {**decided(kind.parse(of_0_1, where="here")), "of_later": "other"}


def with_key_of_later(model: type[BaseModel]) -> type[Any]:
    """The model as a later version may have it."""
    return create_model(model.__name__, __base__=model, of_later=(str, "neutral"))


class Part(BaseModel, extra="forbid"):
    version: int = 3
    length_mm: float = 1.0


class Whole(BaseModel, extra="forbid"):
    version: int = 3
    count: int
    part: Part = Field(default_factory=Part)


def halved(document: dict[str, Any]) -> dict[str, Any]:
    document["length_mm"] = document.pop("length_cm", 0) * 10
    return document


def renamed(document: dict[str, Any]) -> dict[str, Any]:
    document["count"] = document.pop("number")
    return document


def unchanged(document: dict[str, Any]) -> dict[str, Any]:
    return document


PART = DocumentType(name="part", model=Part, missing="", unusable="Correct it.", migrations={1: unchanged, 2: halved})
WHOLE = DocumentType(
    name="whole",
    model=Whole,
    missing="",
    unusable="Correct it.",
    migrations={1: renamed, 2: unchanged},
    parts={"part": PART},
)


def test_migrations_follow_one_another_and_parts_have_formats_of_their_own() -> None:
    assert WHOLE.parse({"number": 2}, where="").count == 2
    assert WHOLE.parse({"version": 2, "count": 2}, where="").count == 2
    old = {"version": 1, "number": 2, "part": {"version": 2, "length_cm": 3}}
    assert WHOLE.parse(old, where="").part.length_mm == 30
    assert old == {"version": 1, "number": 2, "part": {"version": 2, "length_cm": 3}}
    assert WHOLE.parse({"version": 3, "count": 2, "part": {"version": 3, "length_mm": 4}}, where="").part.length_mm == 4


def test_a_part_made_by_a_newer_version_is_refused_with_the_error_of_the_whole() -> None:
    whole = replace(WHOLE, error=BundleError, parts={"part": replace(PART, error=PlanError)})
    with pytest.raises(BundleError, match="the part was made by a newer autoseg"):
        whole.parse({"version": 3, "count": 2, "part": {"version": 4}}, where="")


def test_what_is_no_object_is_left_to_validation() -> None:
    for content in ([], None, "3", 3):
        with pytest.raises(AutosegError, match="not a usable whole: expected an object"):
            WHOLE.parse(content, where="")
    with pytest.raises(AutosegError, match="not a usable whole: part: expected an object"):
        WHOLE.parse({"version": 3, "count": 2, "part": 5}, where="")


def test_all_problems_are_named_but_not_thousands() -> None:
    with pytest.raises(
        AutosegError, match=r'count: expected a whole number, found "x"; part\.length_mm: expected a number, found "y"'
    ):
        WHOLE.parse({"version": 3, "count": "x", "part": {"version": 3, "length_mm": "y"}}, where="")
    with pytest.raises(AutosegError) as refused:
        WHOLE.parse({"version": 3, "count": 1, **{f"key_{number}": 0 for number in range(5000)}}, where="")
    assert "key_19" in refused.value.message
    assert refused.value.message.endswith("; and 4980 more")
    assert len(refused.value.message) < 5000


def test_a_validator_s_words_are_not_introduced_as_an_error_of_python_s() -> None:
    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def _even(cls, number: int) -> int:
            if number % 2:
                msg = "must be even"
                raise ValueError(msg)
            return number

    with pytest.raises(ValidationError) as invalid:
        Even(number=3)
    assert problems_in(invalid.value) == "number: must be even (found 3)"


def test_problems_say_what_was_found() -> None:
    with pytest.raises(AutosegError) as refused:
        WHOLE.parse({"version": 3, "count": "x" * 10_000}, where="")
    assert "count: " in refused.value.message
    assert 'found "xxx' in refused.value.message
    assert len(refused.value.message) < 500
