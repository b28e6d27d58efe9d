"""Pictures through the commands: photographs, grey values stored as colours, palettes as label maps; and stated units."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import nrrd
import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.commands import autoseg
from PIL import Image as Pictures

from autoseg.images.image import read_labels

SIDE = 32
PALETTE = (0, 0, 0, 255, 0, 0, 0, 255, 0)


def photographs(count: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Grey discs of two colours that are equally bright in red: colour alone tells them apart."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for _ in range(count):
        picture = np.full((SIDE, SIDE, 3), (200, 180, 190), dtype=float)
        labels = np.zeros((SIDE, SIDE), dtype=np.uint8)
        for value, colour in ((1, (90, 40, 40)), (2, (90, 60, 170))):
            row, column = generator.uniform(8, SIDE - 8, 2)
            disc = (rows - row) ** 2 + (columns - column) ** 2 < generator.uniform(4, 6) ** 2
            picture[disc], labels[disc] = colour, value
        yield np.clip(picture + generator.normal(0, 8, picture.shape), 0, 255).astype(np.uint8), labels


def write_data(root: Path, *, grey: bool = False) -> Path:
    """nnU-Net's way: one file per case, R, G and B declared; opaque transparency, and label maps in palettes."""
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (root / folder).mkdir(parents=True)
    for index, (picture, labels) in enumerate(photographs(5)):
        shown = np.stack([picture[..., 2]] * 3, axis=-1) if grey else picture
        opaque = np.full((SIDE, SIDE, 1), 255, dtype=np.uint8)
        place = root / ("imagesTs" if index == 4 else "imagesTr")
        Pictures.fromarray(np.dstack([shown, opaque])).save(place / f"c{index}_0000.png", dpi=(72 + 100 * index,) * 2)
        if index < 4:
            label_map = Pictures.fromarray(labels)
            label_map.putpalette(PALETTE)
            label_map.save(root / "labelsTr" / f"c{index}.png")
    description = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "red": 1, "blue": 2},
        "numTraining": 4,
        "file_ending": ".png",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    }
    (root / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of colours, planned and trained, and one of grey values stored as colours."""
    home = tmp_path_factory.mktemp("pictures")
    write_data(home / "colours")
    write_data(home / "grey", grey=True)
    autoseg("plan", "colours", "-w", "run", "--folds", "2", "--jobs", "1", cwd=home)
    autoseg("train", "-w", "run", "--fold", "all", "--epochs", "3", "--precision", "float32", cwd=home)
    autoseg("select", "-w", "run", "--jobs", "1", cwd=home)
    return home


def test_check_says_what_the_pictures_hold(home: Path) -> None:
    answer = autoseg("check", "colours", "--json", cwd=home)
    assert answer.document["channels"] == ["R", "G", "B"]
    assert answer.document["classes"] == {"0": "background", "1": "red", "2": "blue"}
    assert "its transparency is left out: every pixel is opaque" in answer.told + answer.said
    assert "are a hint for printing, and not used" in answer.told + answer.said
    assert autoseg("check", "grey", "--json", cwd=home).document["channels"] == ["grey"]


def test_colours_are_planned_with_a_normalisation_for_each(home: Path) -> None:
    plan = json.loads((home / "run" / "plan.json").read_text(encoding="utf-8"))
    assert plan["data"]["channels"] == ["R", "G", "B"]
    assert [step["method"] for step in plan["preprocessing"]["normalisation"]] == ["zscore"] * 3
    assert plan["views"][0]["spacing_mm"] is None  # whatever resolutions for printing say
    assert "a colour" in plan["decisions"]["preprocessing.normalisation"]["reason"]
    dataset = json.loads((home / "run" / "dataset.json").read_text(encoding="utf-8"))
    assert dataset["channels"] == ["R", "G", "B"]


def test_photographs_are_predicted_evaluated_reported_and_exported(home: Path) -> None:
    autoseg("predict", "colours/imagesTr", "out", "-w", "run", "--uncertainty", cwd=home)
    assert sorted(path.name for path in (home / "out").glob("*.nii.gz")) == [f"c{index}.nii.gz" for index in range(4)]
    autoseg("evaluate", "out", "colours/labelsTr", "-o", "scores", "--jobs", "1", cwd=home)
    with (home / "scores" / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        scores = [float(row["dice"]) for row in csv.DictReader(stream)]
    assert np.mean(scores) > 0.3
    autoseg("report", "-w", "run", cwd=home)
    autoseg("export", "model.autoseg", "-w", "run", cwd=home)
    assert "2D images, 3 channels: R, G, B" in autoseg("info", "model.autoseg", cwd=home).told
    autoseg("predict", "colours/imagesTs", "again", "--model", "model.autoseg", cwd=home)
    autoseg("predict", "colours/imagesTs", "once", "-w", "run", cwd=home)
    np.testing.assert_array_equal(read_labels(home / "again/c4.nii.gz").array, read_labels(home / "once/c4.nii.gz").array)


def test_a_grey_picture_is_no_picture_in_colour(home: Path) -> None:
    (home / "scans").mkdir()
    for name in ("a", "b"):
        Pictures.fromarray(np.arange(SIDE**2, dtype=np.uint16).reshape(SIDE, SIDE)).save(home / "scans" / f"{name}.png")
    answer = autoseg("predict", "scans", "refused", "-w", "run", cwd=home, expect=7)
    assert "expected 3 channels; found 1 in 1 file" in answer.told + answer.said


def test_numbered_pictures_in_colour_are_scans_of_their_own(home: Path) -> None:
    (home / "frames").mkdir()
    for index, (picture, _) in enumerate(photographs(4)):
        Pictures.fromarray(picture).save(home / "frames" / f"frame_{index:04d}.png")
    autoseg("predict", "frames", "film", "-w", "run", cwd=home)
    names = ["frame.nii.gz", *(f"frame_{index:04d}.nii.gz" for index in range(1, 4))]  # 0000 is the first channel's number
    assert sorted(path.name for path in (home / "film").glob("*.nii.gz")) == names
    autoseg("predict", "frames/frame_0002.png", "single", "-w", "run", cwd=home)
    assert [path.name for path in (home / "single").glob("*.nii.gz")] == ["frame_0002.nii.gz"]


def test_grey_throughout_is_one_channel_and_colours_then_are_an_error(home: Path) -> None:
    autoseg("plan", "grey", "-w", "one", "--folds", "2", "--jobs", "1", cwd=home)
    plan = json.loads((home / "one" / "plan.json").read_text(encoding="utf-8"))
    assert plan["data"]["channels"] == ["grey"]
    assert "equal in all training images" in plan["decisions"]["data.channels"]["reason"]
    autoseg("train", "-w", "one", "--fold", "0", "--epochs", "1", "--precision", "float32", cwd=home)
    autoseg("predict", "grey/imagesTs", "fits", "-w", "one", cwd=home)
    answer = autoseg("predict", "colours/imagesTs", "fits-not", "-w", "one", cwd=home, expect=7)
    assert "colours, where one grey value per pixel is expected" in answer.told + answer.said


def test_masks_of_0_and_255_and_a_table(tmp_path: Path) -> None:
    lines = ["id,image,label"]
    for index, (picture, labels) in enumerate(photographs(4)):
        Pictures.fromarray(picture).save(tmp_path / f"{index}.jpg", quality=95, dpi=(300, 300))
        Pictures.fromarray(np.where(labels > 0, 255, 0).astype(np.uint8)).save(tmp_path / f"{index}_mask.png")
        lines.append(f"c{index},{index}.jpg,{index}_mask.png")
    (tmp_path / "cases.csv").write_text("\n".join(lines), encoding="utf-8")
    document = autoseg("check", ".", "--json", cwd=tmp_path).document
    assert document["channels"] == ["R", "G", "B"]
    assert document["classes"] == {"0": "background", "255": "class 255"}


@pytest.mark.parametrize(("unit", "expect"), [("um", 0), ("furlongs", 3)])
def test_units_are_used_or_refused(tmp_path: Path, unit: str, expect: int) -> None:
    generator = np.random.default_rng(0)
    lines = ["id,image,label"]
    header = {"space": "LPS", "space directions": np.diag([800.0, 800.0, 2000.0]), "space units": [unit] * 3}
    for index in range(3):
        labels = np.zeros((12, 12, 6), dtype=np.uint8)
        labels[3:6, 3:6, 2:4] = 1
        nrrd.write(str(tmp_path / f"{index}.nrrd"), generator.integers(1, 99, labels.shape).astype(np.int16), header)
        nrrd.write(str(tmp_path / f"{index}_labels.nrrd"), labels, header)
        lines.append(f"c{index},{index}.nrrd,{index}_labels.nrrd")
    (tmp_path / "cases.csv").write_text("\n".join(lines), encoding="utf-8")
    answer = autoseg("check", ".", cwd=tmp_path, expect=expect)
    assert ("2 x 0.8 x 0.8" if expect == 0 else "unknown unit of length; expected mm") in answer.told + answer.said
