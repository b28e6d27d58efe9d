"""Which channels images in single files have: found in the files, the same for all."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pictures

from autoseg.errors import AutosegError, ProblemsError
from autoseg.events import Silent
from autoseg.layouts import find_dataset
from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.planning.channels import GREY, common_pixels, found_channels
from autoseg.planning.fingerprint import Fingerprint, fingerprint_dataset

RNG = np.random.default_rng(0)
Picture = NDArray[np.uint8]


def colours() -> Picture:
    return RNG.integers(0, 255, (10, 12, 3)).astype(np.uint8)


def grey() -> Picture:
    return colours()[..., 0]


def grey_as_colours() -> Picture:
    return np.stack([grey()] * 3, axis=-1)


def one_colour() -> Picture:
    """As images of stained cells: nothing in green and blue."""
    return colours() * np.array([1, 0, 0], dtype=np.uint8)


def data_set(root: Path, *pictures: Callable[[], Picture], channels: tuple[str, ...] = ("R", "G", "B")) -> Path:
    """As nnU-Net has photographs: one file per case, whatever it holds."""
    (root / "imagesTr").mkdir(parents=True)
    (root / "labelsTr").mkdir()
    for index, picture in enumerate(pictures):
        Pictures.fromarray(picture()).save(root / "imagesTr" / f"c{index}_0000.png")
        Pictures.fromarray(np.eye(10, 12, dtype=np.uint8)).save(root / "labelsTr" / f"c{index}.png")
    description = {
        "channel_names": {str(index): name for index, name in enumerate(channels)},
        "labels": {"background": 0, "line": 1},
        "file_ending": ".png",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
    }
    (root / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return root


def planned(root: Path) -> tuple[tuple[str, ...], Fingerprint]:
    dataset = find_dataset(root)
    fingerprint = fingerprint_dataset(dataset, jobs=1, events=Silent())
    return found_channels(dataset, fingerprint.cases).channels, fingerprint


@pytest.mark.parametrize("others", [(colours, colours), (grey_as_colours, colours), (one_colour, colours)])
@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (("R", "G", "B"), ("R", "G", "B")),
        (("red", "green", "blue"), ("red", "green", "blue")),
        (("RGB",), ("R", "G", "B")),
        (("fundus",), ("fundus R", "fundus G", "fundus B")),
    ],
)
def test_colours_are_three_channels(
    tmp_path: Path, others: tuple[Callable[[], Picture], ...], declared: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    channels, fingerprint = planned(data_set(tmp_path / "a", colours, *others, channels=declared))
    assert channels == expected
    assert all(len(case.channels) == 3 and case.colours for case in fingerprint.cases)


@pytest.mark.parametrize("others", [(grey_as_colours,), (grey,)])
@pytest.mark.parametrize(("declared", "expected"), [(("R", "G", "B"), (GREY,)), (("ultrasound",), ("ultrasound",))])
def test_grey_throughout_is_one_channel(
    tmp_path: Path, others: tuple[Callable[[], Picture], ...], declared: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    channels, fingerprint = planned(data_set(tmp_path / "a", grey_as_colours, *others, channels=declared))
    assert channels == expected
    assert all(len(case.channels) == 1 and not case.colours for case in fingerprint.cases)


def problems(root: Path) -> dict[str, str]:
    with pytest.raises(AutosegError) as caught:
        planned(root)
    error = caught.value
    return {case: str(problem) for case, problem in error.problems} if isinstance(error, ProblemsError) else {"": str(error)}


def test_the_fewer_are_named_where_grey_and_colours_are_mixed(tmp_path: Path) -> None:
    (said,) = problems(data_set(tmp_path / "a", grey, grey, grey_as_colours, colours, channels=("x",))).values()
    assert "c3_0000.png: colours, where one grey value per pixel is expected" in said
    (said,) = problems(data_set(tmp_path / "b", grey, colours, grey_as_colours, colours, channels=("x",))).values()
    assert "c0_0000.png: grey values, where red, green and blue are expected" in said


def test_files_of_grey_values_are_no_declared_colours(tmp_path: Path) -> None:
    found = problems(data_set(tmp_path / "a", grey, grey))
    assert list(found) == ["c0", "c1"]
    assert all("grey values, where red, green and blue are expected" in said for said in found.values())


def test_an_image_without_any_contrast_teaches_nothing(tmp_path: Path) -> None:
    (said,) = problems(data_set(tmp_path / "a", colours, lambda: np.full((10, 12, 3), (9, 8, 7), np.uint8))).values()
    assert "every voxel has the same value" in said


def test_channels_in_other_files_are_what_is_declared(make_case: Callable[..., CaseFingerprint], tmp_path: Path) -> None:
    dataset = find_dataset(data_set(tmp_path / "a", colours, channels=("T1",)))
    assert found_channels(dataset, [make_case()]) is dataset
    assert common_pixels([]) is None
