from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from autoseg.data.dataset import DATASET, Case, Dataset, LabelClass, Subset
from autoseg.errors import DatasetError

BACKGROUND, LESION = LabelClass(value=0, name="background"), LabelClass(value=7, name="lesion")


def case(name: str, subset: Subset, *, labelled: bool) -> Case:
    return Case(id=name, images=(Path("i.nii"),), label=Path("l.nii") if labelled else None, subject=name, subset=subset)


def dataset(**changes: Any) -> Dataset:
    values = {"name": "d", "root": Path("/d"), "layout": "ibsr18", "channels": ("T1",), "classes": None, "cases": ()}
    return Dataset(**{**values, **changes})


def test_labels_and_subsets_decide_what_a_case_is_for() -> None:
    cases = tuple(
        case(f"{subset} {'with' if labelled else 'without'}", subset, labelled=labelled)
        for subset in ("validation", "training", "test")
        for labelled in (False, True)
    )
    data = dataset(cases=cases)
    assert [one.id for one in data.training] == ["training with"]
    assert [one.id for one in data.validation] == ["validation with"]
    assert [one.id for one in data.labelled] == ["training with", "validation with"]


def test_label_values_need_not_be_consecutive() -> None:
    assert dataset(classes=(BACKGROUND, LESION)).classes == (BACKGROUND, LESION)


@pytest.mark.parametrize(
    "classes",
    [(), (LESION,), (LESION, BACKGROUND), (BACKGROUND, LESION, LESION), (BACKGROUND, BACKGROUND)],
    ids=["none", "no background", "falling", "repeated", "two backgrounds"],
)
def test_classes_rise_from_background_without_repetition(classes: tuple[LabelClass, ...]) -> None:
    with pytest.raises(ValidationError, match="must rise from 0"):
        dataset(classes=classes)


@pytest.mark.parametrize(
    "change", [{"channels": ()}, {"name": ""}, {"colour": "blue"}], ids=lambda change: next(iter(change))
)
def test_incomplete_or_unknown_fields_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        dataset(**change)


@pytest.mark.parametrize("value", [-1, "one"])
def test_label_values_are_whole_and_not_negative(value: object) -> None:
    with pytest.raises(ValidationError, match="value"):
        LabelClass.model_validate({"value": value, "name": "lesion"})


def test_a_case_has_an_image_and_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="images"):
        Case(id="a", images=(), subject="a")
    with pytest.raises(ValidationError, match="frozen"):
        case("a", "test", labelled=False).id = "b"


def test_a_data_set_survives_its_own_json() -> None:
    data = dataset(classes=(BACKGROUND, LESION), cases=(case("ä b", "training", labelled=True),))
    assert Dataset.model_validate_json(data.model_dump_json()) == data


def test_no_two_classes_share_a_name() -> None:
    with pytest.raises(ValidationError, match="a name of its own"):
        dataset(classes=(BACKGROUND, LESION, LabelClass(value=8, name="lesion")))


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2J"])
def test_class_names_can_be_shown(name: str) -> None:
    with pytest.raises(ValidationError, match="class names must be printable"):
        dataset(classes=(BACKGROUND, LabelClass(value=8, name=name)))


def test_a_folder_whose_name_is_not_utf8_survives_the_disk(tmp_path: Path) -> None:
    root = tmp_path / "o\udcf6 %41"  # how the byte f6 in a file's name reads
    DATASET.write(tmp_path / "dataset.json", dataset(root=root))
    assert DATASET.read(tmp_path / "dataset.json").root == root


@pytest.mark.parametrize("key", ["id", "subject"])
def test_names_that_are_not_utf8_are_refused(key: str) -> None:
    with pytest.raises(DatasetError, match=r"o\\xf6: the name is not UTF-8"):
        Case.model_validate({"id": "a", "subject": "a", "images": (Path("a.nii"),), key: "o\udcf6"})


def test_a_path_with_a_zero_character_is_refused() -> None:
    with pytest.raises(ValidationError, match="zero character"):
        dataset(root=Path("a\0b"))
