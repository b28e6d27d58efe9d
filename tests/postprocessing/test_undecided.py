"""Voxels that a shift can change: what is counted of them is what a look at every voxel would count."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autoseg.data.labels import encoding_of
from autoseg.inference.shift import shifted
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, mean_probabilities
from autoseg.postprocessing.undecided import LARGEST, NEVER, STEP, UNITS, Undecided, largest_shift, undecided

UNET = Choice(("unet",))
MakeHeldOut = Callable[..., HeldOutCase]


def counts_under(table: Undecided, shift: tuple[float, ...]) -> np.ndarray:
    """Voxels by class that are right, and that are predicted, (2, K), under a shift."""
    units = np.round(np.array(shift) / STEP * UNITS).astype(int)
    scores = np.where(table.levels == NEVER, NEVER, table.levels + units[table.classes])
    winner = np.take_along_axis(table.classes, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    right = winner == table.reference
    found = [np.bincount(winner[mask], table.voxels[mask], len(shift)) for mask in (right, np.ones_like(right))]
    return table.decided[:2] + np.array(found)


def looked_at_every_voxel(case: HeldOutCase, shift: tuple[float, ...]) -> np.ndarray:
    targets = encoding_of(case.classes).targets(case.read_reference().array)
    winner = np.concatenate(
        [shifted(part, shift, exclusive=True).argmax(axis=0) for _, part in mean_probabilities(case, UNET)]
    )
    return np.array([np.bincount(each.ravel(), minlength=len(shift)) for each in (winner[winner == targets], winner)])


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_counts_under_a_shift_are_those_of_all_voxels(make_held_out: MakeHeldOut, tmp_path: Path, classes: int) -> None:
    case = make_held_out(tmp_path, "a", classes=classes, seed=classes)
    table = undecided(case, choice=UNET, most_rows=10**6)
    total = np.prod(case.footprints[0].shape)
    assert table.decided[2].sum() == total
    assert table.decided[1].sum() + table.voxels.sum() == total
    assert 0 < table.voxels.sum() < total
    generator = np.random.default_rng(0)
    limit = largest_shift(classes)
    for _ in range(5):
        shift = (0.0, *np.round(generator.uniform(-limit, limit, classes - 1) / STEP) * STEP)
        # Levels are rounded to half a step: voxels nearer to the border than that may fall on its other side.
        np.testing.assert_allclose(counts_under(table, shift), looked_at_every_voxel(case, shift), atol=0.02 * total, rtol=0)
    np.testing.assert_array_equal(counts_under(table, (0.0,) * classes), looked_at_every_voxel(case, (0.0,) * classes))


def test_few_rows_stand_for_all_voxels(make_held_out: MakeHeldOut, tmp_path: Path) -> None:
    case = make_held_out(tmp_path, "a", seed=1)
    whole, part = (undecided(case, choice=UNET, most_rows=most) for most in (10**6, 50))
    assert len(part.voxels) <= 50 < len(whole.voxels)
    assert part.voxels.sum() == pytest.approx(whole.voxels.sum())


def test_in_parts_it_is_the_same(make_held_out: MakeHeldOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_held_out(tmp_path, "a", seed=2)
    whole = undecided(case, choice=UNET, most_rows=10**6)
    monkeypatch.setattr("autoseg.postprocessing.held_out.cases._NUMBERS_AT_ONCE", 1)
    parts = undecided(case, choice=UNET, most_rows=10**6)
    for name in ("decided", "classes", "levels", "reference", "voxels"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize(("classes", "limit"), [(2, LARGEST), (4, LARGEST), (100, 0.8), (510, 0.0), (5000, 0.0)])
def test_what_is_stored_as_0_can_never_win(classes: int, limit: float) -> None:
    assert largest_shift(classes) == pytest.approx(limit)
    if limit:
        assert 1 / 510 * np.exp(2 * limit) <= 1 / classes
