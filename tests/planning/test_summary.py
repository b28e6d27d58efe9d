"""A plan in a dozen lines: for every recipe and kind of data, without leaving out what was asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from oracles.brain import BRAIN

from autoseg import catalogue
from autoseg.catalogue import LossEntry
from autoseg.cli.layout import laid_out
from autoseg.data.dataset import Case, Dataset, LabelClass
from autoseg.planning.decided import DECIDED
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.planning.planner import make_plan
from autoseg.planning.sections import Inputs
from autoseg.planning.summary import SummaryLine, line_of, summary

TISSUES = ("CSF", "GM", "WM")


def planned(
    fingerprint: Fingerprint, *, classes: Sequence[str] = TISSUES, channels: Sequence[str] = ("T1",), **asked: Any
) -> Plan:
    labels = tuple(LabelClass(value=value, name=name) for value, name in enumerate(["background", *classes]))
    cases = tuple(
        Case(id=case.id, images=(Path("i"),) * len(channels), label=Path("l"), subject=case.id, subset="training")
        for case in fingerprint.cases
    )
    root = Path("demo")
    dataset = Dataset(name="demo", root=root, layout="table", channels=tuple(channels), classes=labels, cases=cases)
    values = {"name": "demo", "recipe": "auto", "plane": "auto", "device": "cpu", "memory_gb": 4.0, "folds": None}
    return make_plan(dataset, fingerprint, Inputs(**{**values, **asked}))


@pytest.fixture
def brains(make_fingerprint: Any) -> Fingerprint:
    made: Fingerprint = make_fingerprint(*[BRAIN] * 10)
    return made


def texts(lines: Sequence[SummaryLine]) -> dict[str, str]:
    return {f"{line.group}: {line.text}": line.reason for line in lines}


def shown(lines: Sequence[SummaryLine], width: int) -> list[str]:
    rows = [(line.group, line.text, line.reason) for line in lines]
    _, body = laid_out(("what", "value", "why"), rows, headings=False, width=width)
    return body


def test_a_plan_for_brains_in_words(brains: Fingerprint) -> None:
    lines = summary(planned(brains), brains)
    assert texts(lines) == {
        "data: 10 labelled scans of T1, cut to what is not 0": "labels reach 5 px beyond it",
        "data: 3 classes: CSF, GM and WM": "as declared by the data set",
        "slices: coronal slices, kept at 0.94 mm": "the finest plane",
        "slices: each with 1 adjacent slice on either side (2.5D)": "1.5 mm apart",
        "slices: patches of 160 x 160 px, 8 in a batch": "a step takes at most 1.6 GB",
        "intensities: scaled by the middle half of each scan": "scans have no common scale",
        "network: 5 levels of 16 to 256 features": "usual width on a CPU, depth by size",
        "training: cross-entropy + Dice, weights 1 to 10.6, muon": "rare classes weigh more",
        "augmentation: turned up to 20 deg, scaled, shifted, mirrored": "few scans are soon learned by heart",
        "augmentation: changed noise, brightness, contrast and gamma": "as between scanners",
        "prediction: mean over mirror images, rare classes held back": "their weights make them too many",
        "length: 5 folds of 60 minutes, epochs of 124 steps": "--minutes of train changes it",
    }
    assert len(shown(lines, 100)) == len(lines)


def test_the_published_method_in_words(brains: Fingerprint) -> None:
    lines = summary(planned(brains, recipe="paper"), brains)
    told = texts(lines)
    assert told["slices: axial slices, kept at 1.5 x 0.94 mm"] == "the paper's plane"
    assert told["intensities: scaled by the middle half of each scan"] == "eq. 1 of the paper"
    assert told["prediction: each slice once"] == "the paper mentions nothing else"
    assert told["length: 5 folds of 200 epochs, epochs of 120 steps"] == "ends after 20 epochs without gain"
    assert 8 <= len(lines) <= 12


def test_several_views_are_told_together(brains: Fingerprint, make_fingerprint: Any) -> None:
    told = texts(summary(planned(brains, planes="all", device="gpu"), brains))
    assert told["slices: coronal, axial and sagittal slices, not resampled"] == "asked for"
    assert any(line.endswith("features, one for all planes") for line in told)
    even = make_fingerprint(*[{**BRAIN, "spacing_mm": (1.0, 1.0, 1.0)}] * 10)
    told = texts(summary(planned(even), even))
    assert told["slices: axial, coronal and sagittal slices, kept at 1 mm"] == "about as fine: their mean errs less"
    assert any(line.startswith("prediction: mean over 3 planes and mirror images") for line in told)


def test_images_without_planes(make_fingerprint: Any) -> None:
    image = {
        "shape": (1, 200, 300),
        "spacing_mm": (1.0, 0.5, 0.5),
        "dimensions": 2,
        "nonzero_box": ((0, 1), (0, 200), (0, 300)),
    }
    images = make_fingerprint(*[{**image, "label_box": ((0, 1), (50, 150), (80, 160))}] * 12)
    lines = summary(planned(images, classes=["cell"]), images)
    told = texts(lines)
    assert told["slices: 2D images, kept at 0.5 mm"] == "each image is one slice"
    assert "data: 12 labelled images of T1, whole" in told
    assert "data: 1 class: cell" in told
    assert not any("adjacent" in line for line in told)
    assert 8 <= len(lines) <= 12


def test_many_channels_and_classes_are_counted(make_fingerprint: Any, make_case: Any) -> None:
    channels = ["CT", "T1w", "FLAIR", "noNorm", "PET"]
    case = {**BRAIN, "channels": make_case().channels * len(channels)}
    classes = [f"structure {number}" for number in range(1, 4)] + [f"s{number}" for number in range(4, 105)]
    many = make_fingerprint(*[{**case, "class_voxels": {value: 1000 + value for value in range(105)}}] * 6)
    lines = summary(planned(many, classes=classes, channels=channels), many)
    told = texts(lines)
    assert any(line.startswith("data: 6 labelled scans of 5 channels") for line in told)
    assert "data: 104 classes: structure 1, structure 2, structure 3 and 101 more" in told
    (intensities,) = [line.text for line in lines if line.group == "intensities"]
    assert intensities == (
        "CT clipped and scaled alike in all scans; T1w, FLAIR and PET scaled by the middle half of each scan; "
        "noNorm left as they are"
    )


def test_what_was_asked_for_is_marked(brains: Fingerprint) -> None:
    overrides = {
        "training.loss": "dice",
        "views.batch_size": 4,
        "training.weight_decay": 0.1,
        "augmentation.gamma": [0.5, 2.0],
    }
    told = texts(summary(planned(brains, folds=3, overrides=overrides), brains))
    assert told["training: soft Dice, muon"] == "asked for: loss, weight_decay"
    assert told["slices: patches of 160 x 160 px, 4 in a batch"] == "asked for: batch_size 4"
    assert told["augmentation: changed noise, brightness, contrast and gamma"] == "asked for: gamma [0.5, 2.0]"
    (length,) = [reason for line, reason in told.items() if line.startswith("length: 3 folds of 60 minutes")]
    assert length == "asked for: folds"
    assert sum(reason.startswith("asked for") for reason in told.values()) == 4


def test_a_loss_of_ones_own_is_called_as_its_entry_says(brains: Fingerprint, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(brains, overrides={"training.loss": "dice"})
    for entry, expected in {
        LossEntry("focal:focal", "focal loss"): "dice, muon",
        LossEntry(
            "focal:focal", "focal loss", short="focal loss", class_weighted=True
        ): "focal loss, weights 1 to 10.6, muon",
    }.items():
        monkeypatch.setattr(catalogue.LOSSES, "built_in", {**catalogue.LOSSES.built_in, "dice": entry})
        assert f"training: {expected}" in texts(summary(plan, brains))


@pytest.mark.parametrize("path", [path for path in DECIDED if path.partition(".")[0] not in {"data", "folds"}])
def test_no_value_that_is_asked_for_is_left_out(brains: Fingerprint, path: str) -> None:
    lines = summary(planned(brains), brains)
    line = line_of(path, lines)
    assert path in line.paths or path.partition(".")[0] in line.paths


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("asked", [{}, {"recipe": "paper"}, {"planes": "all"}, {"minutes": 30.0, "speed_kpx_s": 500.0}])
def test_no_width_breaks_a_word_or_a_number(brains: Fingerprint, width: int, asked: dict[str, Any]) -> None:
    lines = summary(planned(brains, **asked), brains)
    body = shown(lines, width)
    assert 8 <= len(lines) <= 12
    assert max(map(len, body)) <= width
    words = [word.strip("()") for line in body for word in line.split()]
    assert all(word.strip("()") in words for line in lines for word in f"{line.text} {line.reason}".split())
