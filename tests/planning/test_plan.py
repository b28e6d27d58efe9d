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
    ],
)
def test_a_bad_edit_is_named(plan, tmp_path, change, named):
    write_plan(plan, tmp_path / "plan.json")
    edited(tmp_path / "plan.json", change)
    with pytest.raises(PlanError, match=named) as raised:
        read_plan(tmp_path / "plan.json")
    assert raised.value.where == str(tmp_path / "plan.json")


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
