import json

import pytest
from pydantic import ValidationError

from autoseg.data.dataset import LabelClass
from autoseg.errors import PlanError
from autoseg.planning.plan import Decision, NetworkSection, NormalisationStep, assemble, read_plan, write_plan


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
        "preprocessing": {
            "plane": "axial", "spacing_mm": None, "crop": "none", "crop_margin_px": 0,
            "normalisation": [{"method": "quantile_zscore"}],
        },
        "network": {
            "features": [16, 32, 64], "convolutions": 2, "expansion": 2.0, "skips": "concatenate", "neighbours": 0,
            "deep_supervision": False,
        },
        "training": {
            "slices": {"rule": "all"},
            "patch_px": [64, 48], "batch_size": 8, "steps_per_epoch": 20, "loss": "cross_entropy",
            "class_weights": [1.0, 4.0], "optimiser": "adam", "learning_rate": 5e-4, "weight_decay": 0.0,
            "gradient_limit": None, "schedule": "plateau", "warmup": 0.0, "patience": 10, "stop_after": 20,
            "best_model": "validation_loss", "epochs": 200, "minutes": None,
        },
        "augmentation": {
            "mirror_axes": ["columns"], "spatial_probability": 0.5, "rotation_deg": 15, "scale": [0.9, 1.1],
            "shift": 0.0, "intensity_probability": 0.0, "contrast": [1, 1], "brightness": [1, 1], "gamma": [1, 1],
            "noise": 0.0, "blur_px": [0, 0],
        },
        "prediction": {"mirror_axes": [], "batch_size": 16},
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
    edited(tmp_path / "plan.json", lambda document: document["training"].update(batch_size=4))
    assert read_plan(tmp_path / "plan.json").edited


def test_the_digest_is_of_values_not_of_reasons(plan):
    assert assemble(sections(), {}).digest == plan.digest
    changed = sections()
    changed["training"]["batch_size"] = 9
    assert assemble(changed, {}).digest != plan.digest


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d["training"].update(batchsize=4), "training.batchsize"),
        (lambda d: d["training"].pop("loss"), "training.loss"),
        (lambda d: d["preprocessing"].update(plane="oblique"), "preprocessing.plane"),
        (lambda d: d["training"].update(batch_size="many"), "training.batch_size"),
        (lambda d: d["training"].update(patch_px=[64, 50]), "multiples of 4"),
        (lambda d: d["training"].update(class_weights=[1.0]), "class_weights needs 2"),
        (lambda d: d["data"].update(channels=["T1", "T2"]), "normalisation needs 2"),
        (lambda d: d["training"].update(minutes=3), "exactly one of `epochs` and `minutes`"),
        (lambda d: d.update(version=2), "version"),
        (lambda d: d.update(version=True), "version: Would be read as 1"),
        (lambda d: d["training"].update(batch_size="3"), "training.batch_size: Would be read as 3"),
        (lambda d: d["training"].update(batch_size=True), "training.batch_size: Would be read as 1"),
        (
            lambda d: d["training"].update(learning_rate=2**53 + 1),
            "training.learning_rate: Would be read as 9007199254740992",
        ),
        (lambda d: d["augmentation"].update(scale=[1.2, 0.8]), "scale needs the smallest value first, not 1.2 before 0.8"),
        (
            lambda d: d["augmentation"].update(mirror_axes=["rows", "rows"]),
            r"augmentation\.mirror_axes: .*each axis at most once",
        ),
        (lambda d: d["prediction"].update(mirror_axes=["rows"] * 30), r"prediction\.mirror_axes: .*each axis at most once"),
        (lambda d: d["augmentation"].update(blur_px=[1, 0]), "blur_px needs the smallest value first"),
        (lambda d: d["augmentation"].update(blur_px=[-1, 0]), "augmentation.blur_px.0"),
        (lambda d: d["data"]["classes"][1].update(value=65536), "class values must not be above 65535"),
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
        (lambda d: d["training"].update(patch_px=[10**400, 64]), r"training\.patch_px\.0"),
        (lambda d: d["training"].update(batch_size=10**9), r"training\.batch_size"),
        (lambda d: d["prediction"].update(batch_size=10**9), r"prediction\.batch_size"),
        (lambda d: d["training"].update(steps_per_epoch=10**9), "not be above 10000000 slices"),
        (lambda d: d["training"].update(epochs=10**400), r"training\.epochs"),
        (lambda d: d["training"].update(patience=10**400, stop_after=10**400), r"training\.patience.*training\.stop_after"),
        (lambda d: d["preprocessing"].update(crop_margin_px=10**9), r"preprocessing\.crop_margin_px"),
        (lambda d: d["augmentation"].update(blur_px=[0, 1e9]), r"augmentation\.blur_px\.1"),
        (lambda d: d.update(folds=10**9), "folds"),
        (
            lambda d: d["network"].update(features=[8192] * 5, expansion=64, convolutions=4),
            "a training step would take about .* GB, at most 10000",
        ),
        (lambda d: d["training"].update(patch_px=[65536, 65536]), "a training step would take about"),
        (lambda d: d["training"].update(batch_size=60_000, patch_px=[2048, 2048]), "a training step would take about"),
        (
            lambda d: d["prediction"].update(batch_size=60_000) or d["training"].update(patch_px=[2048, 2048]),
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
        pytest.param(lambda d: d["training"].update(patch_px=[4096, 4096], batch_size=4), id="microscopy"),
        pytest.param(lambda d: d["training"].update(patch_px=[512, 512], batch_size=256), id="many GPUs"),
        pytest.param(lambda d: d["training"].update(steps_per_epoch=10_000, batch_size=64), id="long epochs"),
        pytest.param(lambda d: d["augmentation"].update(blur_px=[0.5, 20], scale=[1, 1]), id="strong augmentation"),
    ],
)
def test_what_somebody_might_want_is_allowed(plan, tmp_path, change):
    write_plan(plan, tmp_path / "plan.json")
    edited(tmp_path / "plan.json", lambda d: (d["training"].update(patch_px=[64, 64]), change(d)))
    assert read_plan(tmp_path / "plan.json").edited


def test_found_values_are_shortened(plan, tmp_path):
    write_plan(plan, tmp_path / "plan.json")
    edited(tmp_path / "plan.json", lambda d: d["training"].update(loss="x" * 1_000_000))
    with pytest.raises(PlanError, match=r"training\.loss.*found 'xxx") as refused:
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
    with pytest.raises(ValidationError, match="lower, upper, mean and deviation"):
        NormalisationStep(method="ct", lower=-100, upper=300, mean=40)
    assert NormalisationStep(method="ct", lower=-100, upper=300, mean=0, deviation=40).mean == 0


@pytest.mark.parametrize(("features", "divisor"), [((8, 16), 2), ((16, 32, 64, 128, 256), 16)])
def test_divisor_halves_once_per_level(features, divisor):
    size = NetworkSection(features=features, convolutions=2, expansion=2, skips="add", neighbours=0, deep_supervision=False)
    assert size.divisor == divisor


def test_classes_edited_until_they_cannot_be_told_apart_are_refused(plan, tmp_path):
    path = tmp_path / "plan.json"
    for key, value in (("value", 0), ("name", "background")):
        write_plan(plan, path)
        edited(path, lambda document, key=key, value=value: document["data"]["classes"][1].update({key: value}))
        with pytest.raises(PlanError, match="data"):
            read_plan(path)
