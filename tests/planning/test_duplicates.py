from pathlib import Path

import numpy as np
import pytest
from oracles.heard import Heard

from autoseg.data.dataset import Case, Subset
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, LabelMap
from autoseg.planning.duplicates import Likeness, likeness_of, warn_of_duplicates

GREY = np.random.default_rng(0).integers(0, 255, size=(1, 1, 5, 6)).astype(np.float32)
FLAT = Geometry((1, 5, 6), (1.0, 1.0, 1.0), dimensions=2)


def case(name: str, *, subset: Subset = "training", labelled: bool = True, subject: str = "") -> Case:
    label = Path(f"{name}_seg.nii") if labelled else None
    return Case(id=name, images=(Path(f"{name}.nii"),), label=label, subject=subject or name, subset=subset)


def likeness(image: str, labels: str | None = "labels", *, spacing_mm: float = 1.0) -> Likeness:
    return Likeness(image, labels, (1.0, 1.0, spacing_mm))


def said(*cases: tuple[Case, Likeness]) -> list[str]:
    listener = Heard()
    warn_of_duplicates([one for one, _ in cases], {one.id: of for one, of in cases}, listener)
    return listener.warnings


def test_a_grey_picture_is_the_same_stored_as_colours() -> None:
    three = Image(np.repeat(GREY, 3, axis=0), FLAT)
    coloured = Image(np.concatenate([GREY, GREY + 1, GREY]), FLAT)
    labels = LabelMap(np.zeros((1, 5, 6), np.uint16), FLAT)
    assert likeness_of(three, labels) == likeness_of(Image(GREY, FLAT), None)
    assert likeness_of(coloured, None) != likeness_of(Image(GREY, FLAT), None)


FOLDS = "They stay on one side of every fold. "
OFFICIAL = "The official split has it on both sides, so that its scores are of a scan that was learnt from. "
TEST = "It is among the test scans, too. "


@pytest.mark.parametrize(
    ("other", "of", "what"),
    [
        (case("b"), likeness("x"), f". {FOLDS}"),
        (case("b"), likeness("x", spacing_mm=1.0001), f". {FOLDS}"),
        (
            case("b"),
            likeness("x", "more", spacing_mm=2),
            f", though with other spacings, with different label maps. {FOLDS}",
        ),
        (case("b", subset="validation"), likeness("x"), f". {OFFICIAL}"),
        (case("b", subset="test", labelled=False), likeness("x", None), f". {TEST}"),
    ],
)
def test_the_same_scan_under_two_ids(other: Case, of: Likeness, what: str) -> None:
    assert said((case("a"), likeness("x")), (other, of)) == [
        f"a, b: the same scan under several ids, voxel by voxel{what}Remove all but one of them"
    ]


def test_different_scans_of_different_patients_with_one_label_map() -> None:
    [warning] = said((case("a"), likeness("x")), (case("b"), likeness("y")), (case("c"), likeness("z", None)))
    assert warning.startswith("a, b: different scans with exactly the same label map")
    assert not said((case("a", subject="p"), likeness("x")), (case("b", subject="p"), likeness("y")))
    assert not said((case("a"), likeness("x", None)), (case("b"), likeness("y", None)))
