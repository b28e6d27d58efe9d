"""Which postprocessing is kept, on label maps of a few voxels."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.data.dataset import LabelClass
from autoseg.errors import WorkspaceError
from autoseg.evaluation.cases import score_case
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, score_choices, score_postprocessed
from autoseg.postprocessing.held_out import cases as held_out_cases
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
UNET = Choice(("unet",))
Volume = np.ndarray[tuple[int, ...], np.dtype[np.uint16]]


def blocks(*boxes: tuple[int, tuple[slice, slice, slice]]) -> Volume:
    volume = np.zeros(SHAPE, np.uint16)
    for value, box in boxes:
        volume[box] = value
    return volume


BODY = np.s_[1:5, 1:6, 1:6]
OTHER = np.s_[1:5, 7:11, 7:11]
SPECK = np.s_[0:1, 10:11, 0:2]


def held_out(
    folder: Path, name: str, prediction: Volume, reference: Volume, *, classes: tuple[LabelClass, ...] = CLASSES
) -> HeldOutCase:
    write_labels(folder / f"{name}_seg.nii.gz", reference, Geometry(SHAPE, (1.0, 1.0, 1.0)))
    probabilities = np.stack([(prediction == label.value) * 255 for label in classes]).astype(np.uint8)
    np.save(folder / f"{name}.npy", probabilities)
    footprint = Footprint(
        shape=SHAPE, axes=(0, 1, 2), flipped=(False, False, False), start=(0, 0, 0), stop=SHAPE,
        size_px=SHAPE[1:], spacing_mm=(1.0, 1.0, 1.0), pad_value=(0.0,),
    )  # fmt: skip
    label = folder / f"{name}_seg.nii.gz"
    return HeldOutCase(name, label, (footprint,), {"unet": ((folder / f"{name}.npy",),)}, {}, classes, scan=label, fold="0")


def search(cases: Sequence[HeldOutCase]) -> Postprocessing:
    before = [score_choices(case, choices=[UNET])[0] for case in cases]
    folder = cases[0].reference.parent
    return find_postprocessing(cases, choice=UNET, before=before, folder=folder, apply=map, events=Silent())


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


def flawed(folder: Path, *, classes: int) -> list[HeldOutCase]:
    """Cases in which every class has two bodies, of which one has a hole, and a speck far from both."""
    reference, prediction = np.zeros(SHAPE, np.uint16), np.zeros(SHAPE, np.uint16)
    for value in range(1, classes + 1):
        columns = slice(3 * value - 3, 3 * value)
        for body in (np.s_[0:3, 0:5, columns], np.s_[0:3, 7:12, columns]):
            reference[body] = prediction[body] = value
        prediction[1, 2, 3 * value - 2] = 0
        prediction[5, 3, 3 * value - 2] = value
    labels = tuple(LabelClass(value=value, name=f"class {value}") for value in range(classes + 1))
    return [held_out(folder, f"c{number}", prediction, reference, classes=labels) for number in range(3)]


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_probabilities_and_references_are_read_once_however_many_steps_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: int
) -> None:
    made = flawed(tmp_path, classes=classes)
    before = [score_choices(case, choices=[UNET])[0] for case in made]
    read: Counter[str] = Counter()

    def counted(what: str, function: Callable[..., object]) -> Callable[..., object]:
        def called(case: HeldOutCase, *args: object, **kwargs: object) -> object:
            read[f"{what} of {case.id}"] += 1
            return function(case, *args, **kwargs)

        return called

    monkeypatch.setattr(held_out_cases, "mean_probabilities", counted("probabilities", held_out_cases.mean_probabilities))
    monkeypatch.setattr(HeldOutCase, "read_reference", counted("reference", HeldOutCase.read_reference))
    found = find_postprocessing(made, choice=UNET, before=before, folder=tmp_path, apply=map, events=Silent())
    assert len(found.tried) >= 2 * classes
    assert len(found.steps) == 2
    assert read == {f"{what} of c{number}": 1 for what in ("probabilities", "reference") for number in range(3)}


def test_scores_are_those_after_all_steps(tmp_path: Path) -> None:
    cases = flawed(tmp_path, classes=2)
    found = search(cases)
    assert [step.type for step in found.steps] == ["drop_small", "fill_holes"]
    assert dice(found) == [1.0] * 6
    assert found.scores == tuple(score_postprocessed(case, choice=UNET, steps=found.steps) for case in cases)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_label_maps_go_with_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException] | None
) -> None:
    cases, before = flawed(tmp_path, classes=2), set(tmp_path.iterdir())
    seen: list[int] = []

    def scored(*args: Any, **kwargs: Any) -> object:
        seen.append(len(list(tmp_path.rglob("*.npz"))))
        if error is not None and len(seen) == 4:
            raise error
        return score_case(*args, **kwargs)

    monkeypatch.setattr("autoseg.postprocessing.search.score_case", scored)
    with nullcontext() if error is None else pytest.raises(error):
        search(cases)
    assert set(seen) == {6}, "a label map and a reference of each case, and no more"
    assert set(tmp_path.iterdir()) == before


def test_a_label_map_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judged_without_files(*_: object, **__: object) -> tuple[bool, str]:
        for path in tmp_path.rglob("*.npz"):
            path.unlink()
        return False, ""

    monkeypatch.setattr("autoseg.postprocessing.search.step_helps", judged_without_files)
    with pytest.raises(WorkspaceError, match="a temporary file of this command cannot be read") as raised:
        search(flawed(tmp_path, classes=1))
    assert ".npz" in str(raised.value.where)


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
