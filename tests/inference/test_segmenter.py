from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles.untrained_models import untrained_ensemble
from oracles.whole_scans import expected_dice, restore_probabilities

from autoseg.images.geometry import Geometry
from autoseg.images.image import Image
from autoseg.inference.ensemble import Ensemble
from autoseg.inference.quality import ClassQuality, Quality, calibrate, entropy
from autoseg.inference.segmenter import Segmenter
from autoseg.inference.shift import shifted
from autoseg.inference.steps import Step
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import apply

MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)
GEOMETRY = Geometry(
    shape=(4, 11, 13),
    spacing_mm=(2.0, 1.0, 1.0),
    origin_mm=(3.0, 4.0, 5.0),
    direction=(-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0),
)
IMAGE = Image(np.random.default_rng(0).normal(size=(1, *GEOMETRY.shape)).astype(np.float32), GEOMETRY)


def segmenter(plan: Plan, *, folds: tuple[str, ...] = ("0",), quality: Quality | None = None) -> Segmenter:
    return Segmenter(untrained_ensemble(plan, folds=folds, mirror=False), steps=(), quality=quality, trained_on=())


def quality(*, intercept: float, slope: float, lowest: float) -> Quality:
    disc = ClassQuality(name="disc", intercept=intercept, slope=slope, error=0.01, lowest=lowest)
    return Quality(classes=(disc,), points=())


def test_a_segmentation_has_the_scans_grid_and_the_data_sets_values(tiny_plan: Plan) -> None:
    found = segmenter(tiny_plan).segment(IMAGE, with_probabilities=True)
    assert found.labels.geometry == GEOMETRY
    assert found.labels.array.shape == GEOMETRY.shape
    assert set(np.unique(found.labels.array)) == {0, 2}  # the plan's label values, not class indices
    assert found.probabilities is not None
    np.testing.assert_array_equal(found.labels.array, np.where(found.probabilities.argmax(axis=0) == 1, 2, 0))
    assert (found.entropy, found.predicted_dice, found.warnings) == (None, None, ())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_same_voxels_in_any_order_of_axes_are_segmented_alike(tiny_plan: Plan, axis: int) -> None:
    """At 45 degrees, where two axes are equally near."""
    half = np.sqrt(0.5)
    matrix = np.eye(3)
    first, second = (other for other in range(3) if other != axis)
    matrix[[first, first, second, second], [first, second, first, second]] = half, -half, half, half
    spacing_mm = np.array([1.0, 1.5, 2.0])  # X, Y, Z
    one = segmenter(tiny_plan)
    voxels = np.random.default_rng(0).normal(size=(9, 10, 11)).astype(np.float32)  # X, Y, Z

    def segmented(order: tuple[int, ...], signs: tuple[int, ...]) -> np.ndarray:
        """The label map of the voxels stored like this, back in the order of before."""
        steps = tuple(slice(None, None, sign) for sign in signs)
        stored = voxels.transpose(order)[steps].T  # (Z, Y, X)
        direction = tuple((matrix[:, order] * signs).ravel().tolist())
        geometry = Geometry(stored.shape, tuple(spacing_mm[list(order)][::-1].tolist()), direction=direction)
        found = one.segment(Image(stored[np.newaxis].copy(), geometry)).labels.array
        return found.T[steps].transpose(np.argsort(order))

    expected = segmented((0, 1, 2), (1, 1, 1))
    assert len(np.unique(expected)) == 2
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            np.testing.assert_array_equal(segmented(order, signs), expected)


@pytest.mark.parametrize("crop", ["none", "nonzero"])
def test_a_scan_is_segmented_as_if_it_had_been_held_out(make_plan: MakePlan, crop: str) -> None:
    """Slices of 11 x 13 pixels, extended by the darkest value of the scan, stored or not."""
    plan = make_plan(
        prediction={"padding": "darkest", "prior_power": 0.5},
        preprocessing={"crop": crop, "normalisation": [{"method": "zscore"}]},
        network={"features": [4, 8, 16]},
    )
    one = segmenter(plan)
    prepared = apply(IMAGE, plan.preprocessing, view=plan.views[0])
    whole = one.ensemble.passes[0].probabilities(prepared.array, darkest=prepared.footprint.pad_value)
    expected = restore_probabilities(whole, prepared.footprint, plan.data.encoding)
    found = one.segment(IMAGE, with_probabilities=True).probabilities
    assert found is not None
    np.testing.assert_array_equal(found, expected)
    replicated = plan.model_copy(update={"prediction": plan.prediction.model_copy(update={"padding": "replicated"})})
    members = tuple(replace(member, plan=replicated) for member in one.ensemble.members)
    other = replace(one, ensemble=replace(one.ensemble, members=members)).segment(IMAGE, with_probabilities=True)
    assert not np.allclose(found, other.probabilities)


def test_networks_of_several_folds_are_all_averaged_alike(tiny_plan: Plan) -> None:
    together = segmenter(tiny_plan, folds=("0", "0", "1"))
    alone = [replace(together.ensemble, members=(member,)) for member in together.ensemble.members]
    parts = [replace(together, ensemble=one).segment(IMAGE, with_probabilities=True).probabilities for one in alone]
    found = together.segment(IMAGE, with_probabilities=True).probabilities
    assert found is not None
    np.testing.assert_allclose(found, sum(parts) / 3, atol=1e-6)  # type: ignore[arg-type]


def test_label_maps_are_cleaned_and_probabilities_are_not(tiny_plan: Plan) -> None:
    plain = segmenter(tiny_plan)
    cleaned = replace(plain, steps=(Step(type="drop_small", label=2, min_volume_ml=1000.0),))
    found = cleaned.segment(IMAGE, with_probabilities=True)
    expected = plain.segment(IMAGE, with_probabilities=True)
    assert expected.labels.array.any()
    assert not found.labels.array.any()
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)  # type: ignore[arg-type]
    assert cleaned.digest != plain.digest


def test_entropy_is_that_of_the_probabilities(tiny_plan: Plan) -> None:
    found = segmenter(tiny_plan).segment(IMAGE, with_probabilities=True, with_uncertainty=True)
    assert found.probabilities is not None
    assert found.entropy is not None
    by_hand = -(found.probabilities * np.log2(found.probabilities)).sum(axis=0)  # two classes: log 2 is the largest
    np.testing.assert_allclose(found.entropy, by_hand, atol=1e-5)


def test_dice_is_predicted_from_what_each_fold_expects(tiny_plan: Plan) -> None:
    model = segmenter(tiny_plan, folds=("0", "1"), quality=quality(intercept=0.1, slope=0.5, lowest=0.0))
    expected = []
    for group in model.ensemble.by_fold():
        found = replace(model, ensemble=group).segment(IMAGE, with_probabilities=True).probabilities
        assert found is not None
        # No cropping in this plan: both grids are the same.
        expected.append(expected_dice(found, tiny_plan.data.encoding)[1])
    predicted = model.segment(IMAGE, with_uncertainty=True).predicted_dice
    assert predicted == pytest.approx({"disc": 0.1 + 0.5 * np.mean(expected)}, abs=1e-5)


def lean(model: Segmenter, *, fold: int, to_background: float) -> None:
    """Make the network of a fold lean to the background everywhere, by so much in the logits of both classes."""
    for name, parameter in model.ensemble.members[fold].network.named_parameters():
        if name.startswith("heads") and name.endswith("bias"):
            parameter.data = torch.tensor([to_background, -to_background])


def test_a_fold_that_expects_nothing_where_the_others_do_lowers_the_predicted_dice(tiny_plan: Plan) -> None:
    model = segmenter(tiny_plan, folds=("0", "1", "2", "3", "4"), quality=quality(intercept=0.0, slope=1.0, lowest=0.0))

    def alone(group: Ensemble) -> float:
        predicted = replace(model, ensemble=group).segment(IMAGE, with_uncertainty=True).predicted_dice
        assert predicted is not None
        return predicted.get("disc", 0.0)

    lean(model, fold=4, to_background=50.0)
    each = [alone(group) for group in model.ensemble.by_fold()]
    assert max(each[:4]) > 0.1
    assert each[4] == 0
    assert model.segment(IMAGE, with_uncertainty=True).predicted_dice == pytest.approx({"disc": sum(each) / 5}, abs=1e-5)
    for fold in range(4):
        lean(model, fold=fold, to_background=50.0)
    found = model.segment(IMAGE, with_uncertainty=True)
    assert (found.predicted_dice, found.warnings) == ({}, ())  # nothing is expected by any


def test_nothing_is_said_of_a_class_that_may_be_absent_and_is_not_found(tiny_plan: Plan) -> None:
    """After eight cases with a disc and thirty that are rightly empty; the next one is empty, too."""
    sick = {f"s{number}": 0.85 + 0.01 * number for number in range(8)}
    empty = {f"h{number}": 0.0 for number in range(30)}
    learnt = calibrate({"disc": {**sick, **empty}}, {"disc": {**sick, **dict.fromkeys(empty, float("nan"))}})
    model = segmenter(tiny_plan, quality=learnt)
    for half_logits in range(20):  # until the background just wins everywhere
        lean(model, fold=0, to_background=half_logits / 2)
        found = model.segment(IMAGE, with_uncertainty=True, with_probabilities=True)
        if not found.labels.array.any():
            break
    assert found.probabilities is not None
    assert 0.1 < found.probabilities[1].max() < 0.5  # something is expected, and nothing labelled
    assert (found.predicted_dice, found.estimated_dice, found.warnings) == ({}, None, ())
    without_any_empty = replace(model, quality=calibrate({"disc": sick}, {"disc": sick})).segment(IMAGE)
    assert "Dice of disc is probably 0.00" in without_any_empty.warnings[0]
    assert without_any_empty.estimated_dice == pytest.approx(0, abs=1e-9)
    lean(model, fold=0, to_background=-2.0)
    assert model.segment(IMAGE, with_uncertainty=True).predicted_dice  # where it is found, it is judged


@pytest.mark.parametrize("planes", [("axial",), ("axial", "coronal")])
def test_dice_is_predicted_by_as_many_seeds_as_every_fold_has(make_plan: MakePlan, planes: tuple[str, ...]) -> None:
    plan = make_plan(views=[{"plane": plane} for plane in planes])
    networks = untrained_ensemble(plan, folds=("0", "1", "0"), seeds=(None, 4, 4), mirror=False)
    model = Segmenter(networks, steps=(), quality=quality(intercept=0.0, slope=1.0, lowest=0.0), trained_on=())

    def probabilities(*members: int) -> np.ndarray:
        ensemble = replace(networks, members=tuple(networks.members[number] for number in members))
        found = replace(model, ensemble=ensemble, quality=None).segment(IMAGE, with_probabilities=True).probabilities
        assert found is not None
        return found

    judging = [expected_dice(probabilities(number), plan.data.encoding)[1] for number in (0, 1)]
    found = model.segment(IMAGE, with_probabilities=True, with_uncertainty=True)
    assert found.predicted_dice == pytest.approx({"disc": np.mean(judging)}, abs=1e-5)
    np.testing.assert_allclose(found.probabilities, (probabilities(0, 2) + probabilities(1)) / 2, atol=1e-6)  # type: ignore[arg-type]


def test_everything_is_made_of_the_shifted_probabilities(tiny_plan: Plan) -> None:
    plain = segmenter(tiny_plan, folds=("0", "1"), quality=quality(intercept=0.0, slope=1.0, lowest=0.0))
    model = replace(plain, ensemble=replace(plain.ensemble, log_shift=(0.0, 0.8)))
    before, after = (one.segment(IMAGE, with_probabilities=True, with_uncertainty=True) for one in (plain, model))
    assert before.probabilities is not None
    assert after.probabilities is not None
    assert after.entropy is not None
    expected = shifted(before.probabilities, (0.0, 0.8), exclusive=True)
    np.testing.assert_allclose(after.probabilities, expected, atol=1e-6)
    np.testing.assert_array_equal(after.labels.array, np.where(after.probabilities.argmax(axis=0) == 1, 2, 0))
    np.testing.assert_allclose(after.entropy, entropy(expected, exclusive=True), atol=1e-5)
    folds = [replace(plain, ensemble=group).segment(IMAGE, with_probabilities=True) for group in plain.ensemble.by_fold()]
    each = [shifted(one.probabilities, (0.0, 0.8), exclusive=True) for one in folds if one.probabilities is not None]
    dice = np.mean([expected_dice(one, tiny_plan.data.encoding)[1] for one in each])
    assert after.predicted_dice == pytest.approx({"disc": dice}, abs=1e-5)
    assert before.predicted_dice != after.predicted_dice


def test_a_shift_tells_results_apart(tiny_plan: Plan) -> None:
    plain = segmenter(tiny_plan)
    other = replace(plain, ensemble=replace(plain.ensemble, log_shift=(0.0, 0.1)))
    assert other.digest != plain.digest
    assert not other.is_identified_by(plain.digest)
    assert replace(plain, ensemble=replace(plain.ensemble, log_shift=())).digest == plain.digest


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize(
    ("intercept", "lowest", "doubtful"), [(0.6, 0.99, True), (0.6, 0.0, False), (-1.0, 0.0, True), (-1.0, -1.0, True)]
)
def test_a_low_predicted_dice_is_marked_asked_for_or_not(
    tiny_plan: Plan, asked: bool, intercept: float, lowest: float, doubtful: bool
) -> None:
    model = segmenter(tiny_plan, quality=quality(intercept=intercept, slope=1.0, lowest=lowest))
    found = model.segment(IMAGE, with_uncertainty=asked)
    assert ("Dice of disc is probably" in " ".join(found.warnings)) == doubtful
    assert (found.predicted_dice is not None) == asked


def test_without_a_cross_validation_no_dice_is_predicted(tiny_plan: Plan) -> None:
    assert segmenter(tiny_plan).segment(IMAGE, with_uncertainty=True).predicted_dice == {}


def test_what_was_cropped_away_is_certain(make_plan: MakePlan, tmp_path: Path) -> None:
    array = np.zeros((1, *GEOMETRY.shape), np.float32)
    array[0, 1:3, 3:9, 4:10] = np.random.default_rng(0).uniform(1, 2, size=(2, 6, 6))
    cropping = segmenter(make_plan(preprocessing={"crop": "nonzero", "crop_margin_px": 0}))
    doubt = cropping.segment(Image(array, GEOMETRY), with_uncertainty=True).entropy
    assert doubt is not None
    outside = np.ones(GEOMETRY.shape, bool)
    outside[1:3, 3:9, 4:10] = False
    assert not doubt[outside].any()
    assert (doubt[~outside] > 0).all()
