from pathlib import Path

import pytest
from oracles.brain import BRAIN

from autoseg.data.dataset import Case, Dataset, LabelClass
from autoseg.errors import DatasetError
from autoseg.planning.decided import DECIDED, decided_paths, in_every_view
from autoseg.planning.plan import read_plan, write_plan
from autoseg.planning.planner import make_plan
from autoseg.planning.recipes import CONSTANTS, PAPER_LEAVES_OPEN
from autoseg.planning.sections import Inputs

TISSUES = tuple(LabelClass(value=value, name=name) for value, name in enumerate(["background", "CSF", "GM", "WM"]))


def dataset_for(fingerprint, *, classes=TISSUES, subset="training") -> Dataset:
    cases = tuple(
        Case(id=case.id, images=(Path("image"),), label=Path("label"), subject=case.id, subset=subset)
        for case in fingerprint.cases
    )
    return Dataset(name="demo", root=Path("demo"), layout="table", channels=("T1",), classes=classes, cases=cases)


def inputs(**changes) -> Inputs:
    values = {"name": "demo", "recipe": "auto", "plane": "auto", "device": "cpu", "memory_gb": 4.0, "folds": None}
    return Inputs(**(values | changes))


@pytest.fixture
def brains(make_fingerprint):
    """Ten scans with the shape, spacing and tissue volumes of whole heads cut to the brain."""
    return make_fingerprint(*[BRAIN] * 10)


def test_a_plan_for_brains(brains):
    plan = make_plan(dataset_for(brains), brains, inputs())
    assert plan.planes == ("coronal",)
    assert plan.views[0].spacing_mm is None
    assert (plan.preprocessing.crop, plan.preprocessing.crop_margin_px) == ("nonzero", 5)
    assert plan.network.features == (16, 32, 64, 128, 256)
    assert plan.views[0].patch_px == (160, 160)  # 139 + 10 rows, 145 + 10 columns, to multiples of 16
    assert plan.views[0].batch_size == 8
    # Slices 0 (2 - 5, clipped) to 124 (119 + 5), of four fifths of ten scans, eight at a time.
    assert plan.training.steps_per_epoch == 124
    assert plan.training.class_weights == pytest.approx((1, 10.6, 2.48, 3.15), rel=0.01)
    assert plan.views[0].mirror_axes == plan.views[0].tta_axes == ("columns",)
    assert (plan.training.epochs, plan.training.minutes) == (None, 60)
    assert plan.folds == 5


def test_a_plan_of_all_planes(brains):
    plan = make_plan(dataset_for(brains), brains, inputs(planes="all"))
    assert plan.inputs.asked_planes == "all"
    assert plan.planes == ("coronal", "axial", "sagittal")
    assert [view.spacing_mm for view in plan.views] == [None] * 3
    assert [view.adjacent_slices for view in plan.views] == [1] * 3
    assert plan.network.features == (16, 32, 64, 128, 256)
    # 139 + 10 voxels upwards, 145 + 10 to the side, 2 - 5 (clipped) to 119 + 5 to the front; to multiples of 16.
    assert [view.patch_px for view in plan.views] == [(160, 160), (128, 160), (160, 128)]
    assert [view.batch_size for view in plan.views] == [8, 10, 10]
    assert [view.mirror_axes for view in plan.views] == [("columns",), ("columns",), ()]
    assert [view.tta_axes for view in plan.views] == [("columns",), ("columns",), ()]
    # Of four fifths of ten scans 124, 149 and 155 slices: 124 + 120 + 124 steps, too many for an epoch.
    assert plan.training.steps_per_epoch == 250


def test_views_with_networks_of_their_own_may_show_different_numbers_of_adjacent_slices(brains):
    overrides = {"network.shared_by_views": False, "views.1.adjacent_slices": 2}
    plan = make_plan(dataset_for(brains), brains, inputs(planes="all", overrides=overrides))
    assert [view.adjacent_slices for view in plan.views] == [1, 2, 1]


def test_scans_of_even_resolution_are_seen_from_all_sides(make_fingerprint):
    even = make_fingerprint(*[{}] * 4)
    plan = make_plan(dataset_for(even), even, inputs())
    assert plan.planes == ("axial", "coronal", "sagittal")
    assert plan.digest == make_plan(dataset_for(even), even, inputs(planes="all")).digest
    assert make_plan(dataset_for(even), even, inputs(recipe="paper")).planes == ("axial",)


def test_a_plane_across_much_coarser_slices_is_left_out_unless_it_is_asked_for(make_fingerprint):
    thick = make_fingerprint(*[{"spacing_mm": (4.0, 1.0, 1.0)}] * 4)
    plan = make_plan(dataset_for(thick), thick, inputs())
    assert plan.planes == ("axial",)
    assert "Left out: coronal, because pixels of 4 x 1 mm" in plan.decisions["views.0.plane"].reason
    asked = make_plan(dataset_for(thick), thick, inputs(planes="all"))
    assert [view.spacing_mm for view in asked.views] == [None, (1.0, 1.0), (1.0, 1.0)]
    assert asked.views[1].patch_px == (80, 32)  # 20 slices of the nonzero box, resampled, and 30 columns


def test_the_published_method(brains):
    plan = make_plan(dataset_for(brains), brains, inputs(recipe="paper"))
    training = plan.training
    assert plan.planes == ("axial",)
    assert (plan.preprocessing.normalisation[0].method, plan.preprocessing.normalisation[0].clip) == (
        "quantile_zscore",
        None,
    )
    assert training.class_weights == (1, 10, 3, 3)
    assert (training.loss, training.optimiser, training.learning_rate) == ("cross_entropy", "adam", 5e-4)
    assert (training.schedule, training.lr_patience, training.early_stopping_patience) == ("plateau", 10, 20)
    assert training.best_model == "validation_loss"
    assert plan.views[0].mirror_axes == ("rows", "columns")
    assert plan.augmentation.rotation_deg > 0
    assert plan.augmentation.intensity_probability == 0
    assert plan.views[0].tta_axes == ()
    ours = {in_every_view(path) for path, decision in plan.decisions.items() if decision.reason.startswith("Ours")}
    assert ours == PAPER_LEAVES_OPEN


@pytest.mark.parametrize("recipe", ["auto", "paper"])
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_every_value_has_its_reason(brains, recipe, device):
    plan = make_plan(dataset_for(brains), brains, inputs(recipe=recipe, device=device))
    assert tuple(plan.decisions) == decided_paths(len(plan.views))
    for path, decision in plan.decisions.items():
        found = plan.values
        for key in path.split("."):
            found = found[int(key) if isinstance(found, list) else key]
        assert decision.value == found
        assert decision.rule
        assert decision.reason.endswith(".")


def test_decided_paths_are_all_of_the_plan(brains):
    values = make_plan(dataset_for(brains), brains, inputs()).values
    del values["version"], values["inputs"]
    values["views"] = values["views"][0]
    leaves = {
        f"{name}.{key}" if isinstance(section, dict) else name
        for name, section in values.items()
        for key in (section if isinstance(section, dict) else [""])
    }
    assert leaves == set(DECIDED)


def test_recipes_fix_the_same_paths():
    assert CONSTANTS["auto"].keys() == CONSTANTS["paper"].keys()
    assert CONSTANTS["auto"].keys() | PAPER_LEAVES_OPEN <= set(DECIDED)


def test_the_same_data_give_the_same_bytes(brains, tmp_path):
    dataset = dataset_for(brains)
    shuffled = sorted(dataset.cases, key=lambda case: case.id[::-1], reverse=True)
    write_plan(make_plan(dataset, brains, inputs()), tmp_path / "one.json")
    write_plan(make_plan(dataset.model_copy(update={"cases": tuple(shuffled)}), brains, inputs()), tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert not read_plan(tmp_path / "one.json").edited


def test_what_was_asked_for_is_done(brains):
    plan = make_plan(dataset_for(brains), brains, inputs(plane="sagittal", folds=3))
    assert (plan.views[0].plane, plan.folds) == ("sagittal", 3)
    assert plan.views[0].mirror_axes == ()
    assert plan.inputs.plane == "sagittal"


def test_the_step_of_the_hungriest_view_counts(brains):
    one = make_plan(dataset_for(brains), brains, inputs(planes=("coronal",)))
    both = make_plan(dataset_for(brains), brains, inputs(planes=("sagittal", "coronal")))
    assert both.training_step_gb() == one.training_step_gb()


def test_a_single_plane_makes_the_plan_that_it_made_before_there_were_several(brains):
    one = make_plan(dataset_for(brains), brains, inputs(plane="sagittal"))
    assert make_plan(dataset_for(brains), brains, inputs(planes=("sagittal",))).digest == one.digest
    assert "planes" not in one.inputs.model_dump(exclude_defaults=True)


def test_the_prior_is_put_right_where_the_loss_that_is_asked_for_bends_it(brains):
    def power(**changes):
        return make_plan(dataset_for(brains), brains, inputs(**changes)).prediction.prior_power

    assert power() == 0.5
    assert power(recipe="paper") == 0
    assert power(overrides={"training.loss": "dice"}) == 0
    assert power(overrides={"training.loss": "cross_entropy"}) == 0.5
    assert power(recipe="paper", overrides={"prediction.prior_power": 1}) == 1


def test_an_optimiser_that_is_asked_for_gets_a_rate_that_suits_it(brains):
    def rate(recipe="auto", **overrides):
        asked = {key.replace("_", ".", 1): value for key, value in overrides.items()}
        return make_plan(dataset_for(brains), brains, inputs(recipe=recipe, overrides=asked)).training.learning_rate

    assert rate() == rate(training_optimiser="muon") == 4e-3
    assert rate(training_optimiser="adamw") == 1e-3
    assert rate(training_optimiser="adamw", training_learning_rate=2e-3) == 2e-3
    assert rate(recipe="paper") == rate(recipe="paper", training_optimiser="adam") == 5e-4
    assert rate(recipe="paper", training_optimiser="muon") == 4e-3


def test_folds_count_subjects_not_scans(brains):
    dataset = dataset_for(brains)
    twins = tuple(case.model_copy(update={"subject": f"s{index // 5}"}) for index, case in enumerate(dataset.cases))
    assert make_plan(dataset.model_copy(update={"cases": twins}), brains, inputs()).folds == 2


def test_a_gpu_gets_a_wider_network(brains):
    plan = make_plan(dataset_for(brains), brains, inputs(device="gpu", memory_gb=16))
    assert plan.network.features == (32, 64, 128, 256, 512, 512)
    assert (plan.training.steps_per_epoch, plan.training.epochs) == (500, 10)
    assert plan.views[0].batch_size > 8


def test_tiny_pictures_can_be_planned(make_fingerprint):
    flat = {"dimensions": 2, "shape": (1, 9, 7), "nonzero_box": ((0, 1), (0, 9), (0, 7)), "symmetry": (1.0, 0.2, 0.3)}
    fingerprint = make_fingerprint(flat, flat)
    plan = make_plan(dataset_for(fingerprint, classes=None), fingerprint, inputs())
    assert plan.views[0].plane is None
    assert plan.views[0].patch_px == (10, 8)
    assert plan.views[0].batch_size == 2
    assert [label.name for label in plan.data.classes] == ["background", "class 1"]


def test_validation_cases_alone_cannot_train(brains):
    with pytest.raises(DatasetError, match="no training scan"):
        make_plan(dataset_for(brains, subset="validation"), brains, inputs())


def test_empty_label_maps_cannot_train(make_fingerprint):
    fingerprint = make_fingerprint({"class_voxels": {0: 192_000}, "label_box": None, "symmetry": None})
    with pytest.raises(DatasetError, match="all label maps are empty"):
        make_plan(dataset_for(fingerprint), fingerprint, inputs())
