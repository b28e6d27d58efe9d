import json
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from autoseg.data.dataset import LabelClass
from autoseg.errors import PlanError
from autoseg.planning.decided import Decision
from autoseg.planning.plan import Plan, assemble, read_plan, write_plan
from autoseg.planning.sections import NetworkSection, NormalisationStep


def sections() -> dict:
    return {
        "inputs": {
            "name": "demo", "recipe": "auto", "plane": "auto", "device": "cpu", "memory_gb": 4.0, "folds": None,
        },
        "data": {
            "channels": ["T1"],
            "classes": [LabelClass(value=0, name="background"), LabelClass(value=3, name="lesion")],
        },
        "folds": 5,
        "views": [
            {
                "plane": "axial", "spacing_mm": None, "adjacent_slices": 0, "patch_px": [64, 48],
                "mirror_axes": ["columns"], "tta_axes": [], "batch_size": 8,
            },
        ],
        "preprocessing": {
            "crop": "none", "crop_margin_px": 0,
            "normalisation": [{"method": "quantile_zscore"}],
        },
        "network": {
            "features": [16, 32, 64], "convolutions": 2, "expansion": 2.0, "skips": "concatenate",
            "deep_supervision": False,
        },
        "training": {
            "slices": {"rule": "all"},
            "steps_per_epoch": 20, "loss": "cross_entropy",
            "class_weights": [1.0, 4.0], "optimiser": "adam", "learning_rate": 5e-4, "weight_decay": 0.0,
            "grad_clip_norm": None, "schedule": "plateau", "warmup_fraction": 0.0, "lr_patience": 10,
            "early_stopping_patience": 20, "best_model": "validation_loss", "epochs": 200, "minutes": None,
        },
        "augmentation": {
            "spatial_probability": 0.5, "rotation_deg": 15, "scale": [0.9, 1.1],
            "shift_fraction": 0.0, "intensity_probability": 0.0, "contrast": [1, 1], "brightness": [1, 1], "gamma": [1, 1],
            "noise_variance": 0.0, "blur_sigma_px": [0, 0],
        },
        "prediction": {"batch_size": 16},
    }  # fmt: skip


@pytest.fixture
def plan():
    return assemble(sections(), {"folds": Decision(rule="folds", value=5, reason="Asked for.")})


def edited(path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_written_and_read_again_it_is_the_same(plan, tmp_path):
    write_plan(plan, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json")
    assert again == plan
    assert again.digest == plan.digest
    assert not again.edited


def test_an_edited_value_shows(plan, tmp_path):
    write_plan(plan, tmp_path / "plan.json")
    edited(tmp_path / "plan.json", lambda document: document["views"][0].update(batch_size=4))
    assert read_plan(tmp_path / "plan.json").edited


def test_the_digest_is_of_values_not_of_reasons(plan):
    assert assemble(sections(), {}).digest == plan.digest
    changed = sections()
    changed["views"][0]["batch_size"] = 9
    assert assemble(changed, {}).digest != plan.digest


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d["training"].update(batchsize=4), r"training\.batchsize: is no key.*did you mean `views\.batch_size`\?"),
        (lambda d: d["training"].pop("loss"), "training.loss"),
        (lambda d: d["views"][0].update(plane="oblique"), "views.0.plane"),
        (lambda d: d["views"][0].update(batch_size="many"), "views.0.batch_size"),
        (lambda d: d["views"][0].update(patch_px=[64, 50]), "multiples of 4"),
        (lambda d: d["training"].update(class_weights=[1.0]), "class_weights needs 2"),
        (lambda d: d["data"].update(channels=["T1", "T2"]), "normalisation needs 2"),
        (lambda d: d["training"].update(minutes=3), "exactly one of `epochs` and `minutes`"),
        (lambda d: d.update(version=3), "made by a newer autoseg"),
        (lambda d: d.update(version=True), "version: must be a whole number"),
        (lambda d: d["views"][0].update(batch_size="3"), 'views.0.batch_size: expected 3, found "3"'),
        (lambda d: d["views"][0].update(batch_size=True), "views.0.batch_size: expected 1, found true"),
        (
            lambda d: d["training"].update(learning_rate=2**53 + 1),
            "training.learning_rate: expected 9007199254740992.0, found 9007199254740993",
        ),
        (lambda d: d["augmentation"].update(scale=[1.2, 0.8]), "scale needs the smallest value first, not 1.2 before 0.8"),
        (
            lambda d: d["views"][0].update(mirror_axes=["rows", "rows"]),
            r"views\.0\.mirror_axes: .*each axis at most once",
        ),
        (lambda d: d["views"][0].update(tta_axes=["rows"] * 30), r"views\.0\.tta_axes: .*each axis at most once"),
        (lambda d: d["augmentation"].update(blur_sigma_px=[1, 0]), "blur_sigma_px needs the smallest value first"),
        (
            lambda d: d["augmentation"].update(noise_variance=0.1, noise_std=0.2),
            "noise_variance and noise_std limit the same",
        ),
        (lambda d: d["augmentation"].update(blur_sigma_px=[-1, 0]), "augmentation.blur_sigma_px.0"),
        (lambda d: d["data"]["classes"][1].update(value=65536), "class values must not be above 65535"),
        (
            lambda d: d["training"].update(loss="dice") or d["prediction"].update(prior_power=0.5),
            r"prediction\.prior_power must be 0, because the loss `dice` does not use training\.class_weights",
        ),
        (lambda d: d["prediction"].update(prior_power=1.5), r"prediction\.prior_power"),
        (lambda d: d["evaluation"].update(tolerances_mm=[1.0, 2.0]), r"tolerances_mm needs 1 entries"),
        (lambda d: d["evaluation"].update(tolerances_mm=[0.0]), r"evaluation\.tolerances_mm\.0"),
        (lambda d: d["evaluation"].update(tolerances_mm=[]), r"evaluation\.tolerances_mm"),
    ],
)
def test_a_bad_edit_is_named(plan, tmp_path, change, named):
    write_plan(plan, tmp_path / "plan.json")
    edited(tmp_path / "plan.json", change)
    with pytest.raises(PlanError, match=named) as raised:
        read_plan(tmp_path / "plan.json")
    assert raised.value.where == str(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d["network"].update(features=[10**6, 10**6]), r"network\.features\.0"),
        (lambda d: d["network"].update(features=[10**320, 8]), r"network\.features\.0"),
        (lambda d: d["network"].update(features=[4] * 13), "at most 12 levels.*13"),
        (lambda d: d["network"].update(features=[1] * 100_000), "at most 12 levels"),
        (lambda d: d["network"].update(expansion=1e15), r"network\.expansion"),
        (lambda d: d["views"][0].update(patch_px=[10**400, 64]), r"views\.0\.patch_px\.0"),
        (lambda d: d["views"][0].update(batch_size=10**9), r"views\.0\.batch_size"),
        (lambda d: d["prediction"].update(batch_size=10**9), r"prediction\.batch_size"),
        (lambda d: d["training"].update(steps_per_epoch=10**9), "not be above 10000000 slices"),
        (lambda d: d["training"].update(epochs=10**400), r"training\.epochs"),
        (
            lambda d: d["training"].update(lr_patience=10**400, early_stopping_patience=10**400),
            r"training\.lr_patience.*early_stopping_patience",
        ),
        (lambda d: d["preprocessing"].update(crop_margin_px=10**9), r"preprocessing\.crop_margin_px"),
        (lambda d: d["augmentation"].update(blur_sigma_px=[0, 1e9]), r"augmentation\.blur_sigma_px\.1"),
        (lambda d: d.update(folds=10**9), "folds"),
        (
            lambda d: d["network"].update(features=[8192] * 5, expansion=64, convolutions=4),
            "a training step would take about .* GB, at most 10000",
        ),
        (lambda d: d["views"][0].update(patch_px=[65536, 65536]), "a training step would take about"),
        (lambda d: d["views"][0].update(batch_size=60_000, patch_px=[2048, 2048]), "a training step would take about"),
        (
            lambda d: d["prediction"].update(batch_size=60_000) or d["views"][0].update(patch_px=[2048, 2048]),
            "training step",
        ),
    ],
)
def test_what_would_fill_any_memory_is_refused(plan, tmp_path, change, named):
    write_plan(plan, tmp_path / "plan.json")
    edited(tmp_path / "plan.json", change)
    with pytest.raises(PlanError, match=named) as refused:
        read_plan(tmp_path / "plan.json")
    assert len(refused.value.message) < 5000


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda d: d["network"].update(features=[64, 128, 256, 512, 1024, 1024, 2048]), id="wide and deep"),
        pytest.param(lambda d: d["views"][0].update(patch_px=[4096, 4096], batch_size=4), id="microscopy"),
        pytest.param(lambda d: d["views"][0].update(patch_px=[512, 512], batch_size=256), id="many GPUs"),
        pytest.param(lambda d: d["training"].update(steps_per_epoch=10_000), id="long epochs"),
        pytest.param(lambda d: d["augmentation"].update(blur_sigma_px=[0.5, 20], scale=[1, 1]), id="strong augmentation"),
    ],
)
def test_what_somebody_might_want_is_allowed(plan, tmp_path, change):
    write_plan(plan, tmp_path / "plan.json")
    edited(tmp_path / "plan.json", lambda d: (d["views"][0].update(patch_px=[64, 64]), change(d)))
    assert read_plan(tmp_path / "plan.json").edited


def test_found_values_are_shortened(plan, tmp_path):
    write_plan(plan, tmp_path / "plan.json")
    edited(tmp_path / "plan.json", lambda d: d["training"].update(loss="x" * 1_000_000))
    with pytest.raises(PlanError, match=r'training\.loss.*found "xxx') as refused:
        read_plan(tmp_path / "plan.json")
    assert len(refused.value.message) < 500


def test_all_bad_edits_are_named_at_once(plan, tmp_path):
    write_plan(plan, tmp_path / "plan.json")
    edited(tmp_path / "plan.json", lambda d: (d["training"].pop("loss"), d["network"].update(skips="none")))
    with pytest.raises(PlanError, match=r"network\.skips.*training\.loss"):
        read_plan(tmp_path / "plan.json")


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_file_that_is_no_plan(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(PlanError):
        read_plan(tmp_path / "plan.json")


def test_a_missing_plan_says_how_to_make_one(tmp_path):
    with pytest.raises(PlanError, match="autoseg plan"):
        read_plan(tmp_path / "plan.json")


def test_ct_normalisation_has_to_be_complete():
    with pytest.raises(ValidationError, match="lower, upper, mean and std"):
        NormalisationStep(method="ct", lower=-100, upper=300, mean=40)
    assert NormalisationStep(method="ct", lower=-100, upper=300, mean=0, std=40).mean == 0


@pytest.mark.parametrize(("features", "divisor"), [((8, 16), 2), ((16, 32, 64, 128, 256), 16)])
def test_divisor_halves_once_per_level(features, divisor):
    size = NetworkSection(features=features, convolutions=2, expansion=2, skips="add", deep_supervision=False)
    assert size.divisor == divisor


def test_classes_edited_until_they_cannot_be_told_apart_are_refused(plan, tmp_path):
    path = tmp_path / "plan.json"
    for key, value in (("value", 0), ("name", "background")):
        write_plan(plan, path)
        edited(path, lambda document, key=key, value=value: document["data"]["classes"][1].update({key: value}))
        with pytest.raises(PlanError, match="data"):
            read_plan(path)


def test_tolerances_are_by_class_or_one_for_all(make_plan: Callable[..., Plan]) -> None:
    classes = [{"value": 0, "name": "background"}, {"value": 3, "name": "lesion"}, {"value": 7, "name": "rim"}]
    changed = {"data": {"classes": classes}, "training": {"class_weights": [1.0, 2.0, 3.0]}}
    assert make_plan(**changed).tolerances_mm == {3: 1.0, 7: 1.0}  # plans of before name none
    assert make_plan(**changed, evaluation={"tolerances_mm": [0.5]}).tolerances_mm == {3: 0.5, 7: 0.5}
    assert make_plan(**changed, evaluation={"tolerances_mm": [0.5, 2.0]}).tolerances_mm == {3: 0.5, 7: 2.0}


def test_each_view_may_have_a_network_of_its_own(make_plan: Callable[..., Plan]) -> None:
    views = [{}, {"plane": "coronal", "adjacent_slices": 2}]
    plan = make_plan(views=views, network={"shared_by_views": False})
    assert plan.network_views == ("axial", "coronal")
    assert [plan.channels_of(view) for view in plan.views] == [1, 5]
    alone = plan.of_view("coronal")
    assert (alone.views, alone.input_channels) == (plan.views[1:], 5)
    assert plan.of_view(None) is plan
    with pytest.raises(ValueError, match="not in tuple"):
        plan.of_view("sagittal")


def test_one_network_sees_all_views_where_it_is_shared_or_there_is_but_one(make_plan: Callable[..., Plan]) -> None:
    assert make_plan(views=[{}, {"plane": "coronal"}]).network_views == (None,)
    assert make_plan(network={"shared_by_views": False}).network_views == (None,)
