"""A plan under the recipe `paper`, made of a cohort like the paper's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autoseg.data.image import read_image
from autoseg.data.layouts import find_dataset
from autoseg.events import Silent
from autoseg.pipeline.plan import PlanConfig, run
from autoseg.planning.plan import Plan
from autoseg.planning.recipes import PAPER_LEAVES_OPEN
from autoseg.preprocessing.case import apply
from autoseg.training.augmentation import Augmentation


@pytest.fixture(scope="module")
def paper(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    workspace = tmp_path_factory.mktemp("paper") / "run"
    return run(PlanConfig(dataset=cohort, workspace=workspace, recipe="paper", device="cpu"), Silent()).plan


def test_slices_are_axial_and_all_of_them(paper: Plan) -> None:
    assert paper.preprocessing.plane == "axial"
    assert paper.training.slices.rule == "all"
    assert paper.network.neighbours == 0


def test_the_loss_and_its_weights(paper: Plan) -> None:
    assert [label.name for label in paper.data.classes] == ["background", "CSF", "GM", "WM"]
    assert paper.training.loss == "cross_entropy"
    assert paper.training.class_weights == (1.0, 10.0, 3.0, 3.0)


def test_flips_and_rotations_and_nothing_else(paper: Plan) -> None:
    section = paper.augmentation
    assert section.mirror_axes == ("rows", "columns")
    assert section.spatial_probability > 0
    assert section.rotation_deg > 0
    assert (section.scale, section.shift) == ((1.0, 1.0), 0.0)
    assert section.intensity_probability == 0
    assert paper.prediction.mirror_axes == ()


def test_what_the_paper_leaves_open_is_marked_as_ours_and_nothing_else(paper: Plan) -> None:
    ours = {path for path, decision in paper.decisions.items() if decision.reason.startswith("Ours")}
    assert ours == PAPER_LEAVES_OPEN


def test_eq_1_in_numbers(paper: Plan, cohort: Path) -> None:
    """Mean and deviation over the voxels between the quartiles of X > 0, computed here a second time."""
    case = find_dataset(cohort).cases[0]
    image = read_image(case.images, channels=1)
    (volume,) = image.array.astype(np.float64)
    positive = np.sort(volume[volume > 0])
    low, high = np.percentile(positive, [25, 75])
    middle = positive[(positive >= low) & (positive <= high)]
    expected = (volume - middle.mean()) / middle.std()
    prepared = apply(image, paper.preprocessing).array
    assert prepared.max() == pytest.approx(expected.max(), rel=1e-5)  # not clipped
    assert prepared.min() == pytest.approx(expected.min(), rel=1e-5)
    seen, voxels = (np.sort(values.ravel())[-1000:] for values in (prepared, expected))
    np.testing.assert_allclose(seen, voxels, rtol=1e-4)


def _augmented(paper: Plan, make: Callable[[], np.ndarray], times: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    augmentation = Augmentation(paper.augmentation)
    generator = np.random.default_rng(0)
    pictures, labels = [], []
    for _ in range(times):
        picture = make()
        batch = augmentation(
            {"data": picture[np.newaxis, np.newaxis].copy(), "seg": (picture > 1)[np.newaxis, np.newaxis].astype(np.int16)},
            generator=generator,
        )
        pictures.append(batch["data"][0, 0])
        labels.append(batch["seg"][0, 0])
    return pictures, labels


def test_batches_are_flipped_along_both_axes_and_turned_and_labels_go_along(paper: Plan) -> None:
    corner = np.zeros((32, 32), np.float32)
    corner[3:11, 3:7] = 2.0  # an upright bar in one corner
    pictures, labels = _augmented(paper, lambda: corner, 80)
    exact = [
        tuple(map(int, np.argwhere(picture == 2.0).min(axis=0))) for picture in pictures if (picture == 2.0).sum() == 32
    ]
    assert set(exact) == {(3, 3), (21, 3), (3, 25), (21, 25)}  # untouched, and flipped along rows, columns and both
    turned = [picture for picture in pictures if len(np.unique(picture)) > 2]
    assert 20 <= len(turned) <= 60  # about half, interpolated
    for picture, label in zip(pictures, labels, strict=True):
        inside = np.abs(label - picture / 2.0)
        assert np.median(inside[label > 0]) < 0.5
        assert inside.sum() < 24  # only edges disagree, by interpolation


def test_intensities_are_not_changed(paper: Plan) -> None:
    flat = np.full((32, 32), 2.0, np.float32)
    flat[16:] = 0.5
    pictures, _ = _augmented(paper, lambda: flat, 40)
    centres = np.array([np.sort(picture[8:24, 8:24].ravel())[[5, -5]] for picture in pictures])
    np.testing.assert_allclose(centres, np.broadcast_to([0.5, 2.0], centres.shape), atol=1e-3)
