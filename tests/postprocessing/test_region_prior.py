"""The shift of regions: counted as a look at every voxel would, each for itself, and judged on the label maps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoseg.data.dataset import LabelClass
from autoseg.data.labels import encoding_of
from autoseg.events import Silent
from autoseg.inference.probabilities import encode
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, label_map, score_choices
from autoseg.postprocessing.prior import find_shift
from autoseg.postprocessing.region_prior import best_region_shift, region_voxels
from autoseg.postprocessing.undecided import LARGEST, STEP

UNET = Choice(("unet",))
NESTED = (
    LabelClass(value=0, name="background"),
    LabelClass(value=2, name="whole", values=(2, 4), order=0),
    LabelClass(value=4, name="core", values=(4,), order=1),
)


@pytest.fixture
def make_nested(make_held_out: Callable[..., HeldOutCase], tmp_path: Path) -> Callable[..., HeldOutCase]:
    """Held-out cases whose two upper bands are a region and one inside it, of probabilities with a bias for each."""

    def make(name: str, *, bias: tuple[float, float] = (0, 0), seed: int = 0, fold: str = "0") -> HeldOutCase:
        case = replace(make_held_out(tmp_path, name, seed=seed, fold=fold), classes=NESTED)
        truth = encoding_of(NESTED).members[encoding_of(NESTED).targets(case.read_reference().array)][..., 1:]
        noise = np.random.default_rng(seed).normal(0, 1.5, size=truth.shape)
        regions = 1 / (1 + np.exp(-(3.0 * truth - 1.5 + noise + np.array(bias))))
        probabilities = np.stack([1 - regions.max(axis=-1), *np.moveaxis(regions, -1, 0)])
        (((path,),),) = case.probabilities.values()
        np.save(path, encode(probabilities.astype(np.float32)))
        return case

    return make


def test_dice_under_a_shift_is_that_of_the_label_map(make_nested: Callable[..., HeldOutCase]) -> None:
    case = make_nested("a")
    voxels = region_voxels(case, choice=UNET)
    reference = case.read_reference().array
    steps = round(LARGEST / STEP)
    for place in (0, 13, steps, steps + 8, 2 * steps):
        shift = round((place - steps) * STEP, 2)
        labels = label_map(case, replace(UNET, log_shift=(0.0, shift, shift)))
        for index, values in enumerate(([2, 4], [4])):
            found, wanted = np.isin(labels, values), np.isin(reference, values)
            dice = 2 * (found & wanted).sum() / (found.sum() + wanted.sum())
            assert voxels.dice[index, place] == pytest.approx(dice, abs=1e-12)


def test_networks_that_find_too_much_of_one_region_are_put_right(make_nested: Callable[..., HeldOutCase]) -> None:
    fair = [make_nested(f"f{n}", seed=n) for n in range(6)]
    cases = [make_nested(f"c{n}", bias=(0.0, 1.2), seed=n, fold=str(n % 3)) for n in range(6)]
    best, (background, whole, core) = (
        best_region_shift([region_voxels(case, choice=UNET) for case in each]) for each in (fair, cases)
    )
    assert background == 0
    assert core == pytest.approx(best[2] - 1.2, abs=0.3)
    assert -LARGEST <= whole <= LARGEST
    before = [score_choices(case, choices=[UNET])[0] for case in cases]
    found = find_shift(cases, choice=UNET, before=before, apply=map, events=Silent())
    assert found.tried is not None
    assert found.tried.kept
    assert found.choice.log_shift == (background, whole, core)
    assert found.scores == tuple(score_choices(case, choices=[found.choice])[0] for case in cases)


def test_where_no_shift_is_better_there_is_none(make_held_out: Callable[..., HeldOutCase], tmp_path: Path) -> None:
    case = replace(make_held_out(tmp_path, "sure", sure=True), classes=NESTED)
    probabilities = np.load(tmp_path / "sure.npy")
    probabilities[1] = np.maximum(probabilities[1], probabilities[2])
    np.save(tmp_path / "sure.npy", probabilities)
    assert best_region_shift([region_voxels(case, choice=UNET)]) == ()
