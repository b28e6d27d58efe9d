"""Which postprocessing is kept, on label maps of a few voxels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.data.dataset import LabelClass
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, score_choices
from autoseg.postprocessing.search import (
    Postprocessing,
    _best_size_ml,
    _best_sizes_without_each,
    _Components,
    find_postprocessing,
)
from autoseg.preprocessing.footprint import Footprint

CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=1, name="A"), LabelClass(value=5, name="B"))
SHAPE = (6, 12, 12)
Volume = np.ndarray[tuple[int, ...], np.dtype[np.uint16]]


def blocks(*boxes: tuple[int, tuple[slice, slice, slice]]) -> Volume:
    volume = np.zeros(SHAPE, np.uint16)
    for value, box in boxes:
        volume[box] = value
    return volume


BODY = np.s_[1:5, 1:6, 1:6]
OTHER = np.s_[1:5, 7:11, 7:11]
SPECK = np.s_[0:1, 10:11, 0:2]


def held_out(folder: Path, name: str, prediction: Volume, reference: Volume) -> HeldOutCase:
    write_labels(folder / f"{name}_seg.nii.gz", reference, Geometry(SHAPE, (1.0, 1.0, 1.0)))
    probabilities = np.stack([(prediction == label.value) * 255 for label in CLASSES]).astype(np.uint8)
    np.save(folder / f"{name}.npy", probabilities)
    footprint = Footprint(
        shape=SHAPE, axes=(0, 1, 2), flipped=(False, False, False), start=(0, 0, 0), stop=SHAPE,
        size_px=SHAPE[1:], spacing_mm=(1.0, 1.0, 1.0), pad_value=(0.0,),
    )  # fmt: skip
    label = folder / f"{name}_seg.nii.gz"
    return HeldOutCase(name, label, (footprint,), {"unet": ((folder / f"{name}.npy",),)}, {}, CLASSES, scan=label, fold="0")


def search(cases: Sequence[HeldOutCase]) -> Postprocessing:
    before = [score_choices(case, choices=[Choice(("unet",))])[0] for case in cases]
    return find_postprocessing(cases, choice=Choice(("unet",)), before=before, apply=map, events=Silent())


def dice(found: Postprocessing) -> list[float]:
    return [label.dice for case in found.scores for label in case.classes]


def test_specks_beside_a_body_go(tmp_path: Path) -> None:
    reference = blocks((1, BODY), (5, OTHER))
    cases = [held_out(tmp_path, f"c{index}", blocks((1, BODY), (5, OTHER), (1, SPECK)), reference) for index in range(2)]
    found = search(cases)
    assert [step.type for step in found.steps] == ["drop_small"]  # of all foreground: it is tried first
    assert dice(found) == [1.0] * 4
    kept = [trial for trial in found.tried if trial.kept]
    assert all(trial.reason.startswith("better: Dice (+0.0") for trial in kept)
    assert kept[0].after.dice.mean is not None
    assert kept[0].before.dice.mean is not None
    assert kept[0].after.dice.mean > kept[0].before.dice.mean


def test_a_class_of_two_bodies_keeps_both_and_loses_its_specks(tmp_path: Path) -> None:
    reference = blocks((1, BODY), (1, OTHER))
    cases = [held_out(tmp_path, f"c{index}", blocks((1, BODY), (1, OTHER), (1, SPECK)), reference) for index in range(3)]
    found = search(cases)
    assert [step.type for step in found.steps] == ["drop_small"]
    size_ml = found.steps[0].min_volume_ml
    assert size_ml is not None
    assert 0.002 < size_ml <= 0.064  # the speck has 2 voxels of 1 mm3, the smaller body 64
    assert all(label.dice == 1.0 for case in found.scores for label in case.classes if label.name == "A")


def test_a_size_is_judged_on_cases_it_was_not_found_on(tmp_path: Path) -> None:
    # Only one case has a speck to lose. Found on the others, no size helps it, and found on it, none helps the others.
    both = blocks((1, BODY), (1, OTHER))
    cases = [
        held_out(tmp_path, "c0", blocks((1, BODY), (1, OTHER), (1, SPECK)), both),
        held_out(tmp_path, "c1", blocks((1, BODY), (1, OTHER)), both),
    ]
    found = search(cases)
    assert not any(step.type == "drop_small" for step in found.steps)


def test_holes_are_filled(tmp_path: Path) -> None:
    holed = blocks((1, BODY), (5, OTHER))
    holed[2, 3, 3] = 0
    cases = [held_out(tmp_path, f"c{index}", holed, blocks((1, BODY), (5, OTHER))) for index in range(2)]
    found = search(cases)
    assert any(step.type == "fill_holes" for step in found.steps)
    assert dice(found) == [1.0] * 4


def test_nothing_is_kept_where_nothing_helps(tmp_path: Path) -> None:
    perfect = blocks((1, BODY), (5, OTHER))
    found = search([held_out(tmp_path, "c0", perfect, perfect)])
    assert found.steps == ()
    assert found.tried
    assert not any(trial.kept for trial in found.tried)


@st.composite
def components(draw: st.DrawFn) -> _Components:
    """What a case's components are, with the voxels that the reference shares added up from the largest down."""
    sizes = sorted(draw(st.sets(st.sampled_from([1, 2, 3, 5, 8, 20]), max_size=4)))
    counts = [draw(st.integers(1, 2)) for _ in sizes]
    voxels = np.array([size * count for size, count in zip(sizes, counts, strict=True)], dtype=np.int64)
    shared = np.array([draw(st.integers(0, int(each))) for each in voxels], dtype=np.int64)
    return _Components(
        np.array(sizes, dtype=np.float64), voxels[::-1].cumsum()[::-1], shared[::-1].cumsum()[::-1],
        reference=int(shared.sum()) + draw(st.integers(0, 3)),
    )  # fmt: skip


@given(st.lists(components(), min_size=1, max_size=8))
def test_the_size_found_without_a_case_is_that_of_all_others(tables: list[_Components]) -> None:
    without = _best_sizes_without_each(tables)
    for index, size_ml in enumerate(without):
        others = [*tables[:index], *tables[index + 1 :]]
        expected = _best_size_ml(others)
        if size_ml != expected:  # sums in another order may tell equals apart
            reached = [
                np.nanmean([table.dice(np.array([each or 0.0]))[0] for table in others]) for each in (size_ml, expected)
            ]
            assert reached[0] == pytest.approx(reached[1], abs=1e-12)


def test_sizes_are_looked_up_a_few_times_for_each_case(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[int] = []
    dice_of = _Components.dice

    def counted(table: _Components, sizes_ml: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> object:
        looked_up.append(len(sizes_ml))
        return dice_of(table, sizes_ml)

    monkeypatch.setattr(_Components, "dice", counted)
    tables = [
        _Components(np.array([1.0 + index, 5_000.0 + index]), np.array([9, 6]), np.array([6, 6]), reference=6)
        for index in range(500)
    ]
    sizes_ml = _best_sizes_without_each(tables)
    assert len(sizes_ml) == 500
    assert all(size_ml is not None for size_ml in sizes_ml)
    assert len(looked_up) < 4 * 500  # once, and again without each of the two cases at the ends
