"""A plan under the recipe `paper`, made of a cohort like the paper's: what it holds, and what it does to scans."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.whole_scans import normalise

from autoseg.commands.plan import PlanOptions, run
from autoseg.events import Silent
from autoseg.images.image import read_image
from autoseg.layouts import find_dataset
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import apply
from autoseg.preprocessing.footprint import Footprint
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training.batches import SliceBatches

SETTLED_BY_THE_PAPER: dict[str, Any] = {
    "views.0.plane": "axial",
    "preprocessing.normalisation": [
        {
            "method": "quantile_zscore",
            "lower": None,
            "upper": None,
            "mean": None,
            "std": None,
            "clip": None,
            "background": None,
        }
    ],
    "views.0.adjacent_slices": 0,
    "training.slices": {"rule": "all", "label": None, "fraction": None},
    "training.loss": "cross_entropy",
    "training.class_weights": [1.0, 10.0, 3.0, 3.0],
    "training.learning_rate": 5e-4,
    "training.schedule": "plateau",
    "training.early_stopping_patience": 20,
    "training.best_model": "validation_loss",
}
SETTLED_IN_PART: dict[str, Any] = {
    "training.lr_patience": 10,
    "views.0.mirror_axes": ["rows", "columns"],
    "augmentation.spatial_probability": 0.5,
    "augmentation.rotation_deg": 20.0,
}
NOT_IN_THE_PAPER: dict[str, Any] = {
    "network.stem": "plain",
    "training.foreground_patches": 0.0,
    "training.half_resolution_fraction": 0.0,
    "training.weight_decay": 0.0,
    "training.grad_clip_norm": None,
    "training.warmup_fraction": 0.0,
    "augmentation.scale": [1.0, 1.0],
    "augmentation.shift_fraction": 0.0,
    "augmentation.intensity_probability": 0.0,
    "augmentation.contrast": [1.0, 1.0],
    "augmentation.brightness": [1.0, 1.0],
    "augmentation.gamma": [1.0, 1.0],
    "augmentation.contrast_about": "slice",
    "augmentation.brightness_shift": 0.0,
    "augmentation.noise_variance": 0.0,
    "augmentation.noise_std": 0.0,
    "augmentation.blur_sigma_px": [0.0, 0.0],
    "augmentation.additional": [],
    "prediction.prior_power": 0.0,
}
OURS: dict[str, Any] = {
    "training.optimiser": "adam",
    "network.deep_supervision": False,
    "augmentation.rotation_unit": "px",
    "training.seeding": "batch",
    "views.0.tta_axes": [],
    "prediction.padding": "replicated",
}
WITHOUT_INFLUENCE = {
    "data.channels",
    "data.classes",
    "training.minutes",
    "prediction.batch_size",
    "preprocessing.not_finite",
    "data.ignore",
    "network.shared_by_views",
}
"""The data's own names, voxels without a label, the budget that is not used, slices predicted at once, NaN, which nobody
asked about, and views beside the only one."""


@pytest.fixture(scope="module")
def paper(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    workspace = tmp_path_factory.mktemp("paper") / "run"
    return run(PlanOptions(cohort, workspace=workspace, recipe="paper", device="cpu"), Silent()).plan


@pytest.mark.parametrize(
    ("path", "value"), [*{**SETTLED_BY_THE_PAPER, **SETTLED_IN_PART, **NOT_IN_THE_PAPER, **OURS}.items()]
)
def test_values(paper: Plan, path: str, value: Any) -> None:
    found: Any = paper.model_dump(mode="json")
    for key in path.split("."):
        found = found[int(key)] if isinstance(found, list) else found[key]
    assert found == value


def test_the_weights_stand_in_the_order_of_the_classes(paper: Plan) -> None:
    assert [label.name for label in paper.data.classes] == ["background", "CSF", "GM", "WM"]


def test_all_that_the_paper_leaves_open_is_marked_as_ours(paper: Plan) -> None:
    reasons = {path: decision.reason for path, decision in paper.decisions.items()}
    others = {*SETTLED_BY_THE_PAPER, *SETTLED_IN_PART, *NOT_IN_THE_PAPER, *WITHOUT_INFLUENCE}
    assert others < set(reasons)
    ours = {path for path, reason in reasons.items() if reason.startswith("Ours, as the paper leaves it open")}
    assert ours == set(reasons) - others
    assert all(reasons[path].endswith(" ours.") for path in SETTLED_IN_PART)
    assert all("paper" in reasons[path] for path in (*SETTLED_BY_THE_PAPER, *NOT_IN_THE_PAPER))


def test_eq_1_by_hand(paper: Plan) -> None:
    # The quartiles of 1 ... 8 and 1000 are 3 and 7; 3 ... 7 have mean 5 and variance 2. What is not positive goes through
    # the same map and does not shape it; nothing is clipped.
    (step,) = paper.preprocessing.normalisation
    values = [0, 0, 0, -4, 1, 2, 3, 4, 5, 6, 7, 8, 1000]
    found = normalise(np.array(values, np.float32).reshape(1, 1, -1), step)
    assert found.ravel().tolist() == pytest.approx([(value - 5) / math.sqrt(2) for value in values])


def test_a_scan_becomes_all_its_axial_slices_with_eq_1_applied(paper: Plan, cohort: Path) -> None:
    image = read_image(find_dataset(cohort).cases[0].images, channels=1)
    (volume,) = image.array.astype(np.float64)  # (Z, Y, X), with slices across the first axis
    brain = volume[volume > 0]
    low, high = np.percentile(brain, [25, 75])
    middle = brain[(brain >= low) & (brain <= high)]
    prepared = apply(image, paper.preprocessing, view=paper.views[0]).array
    tissue = prepared > (0.5 - middle.mean()) / middle.std()  # the scan's intensities are whole numbers
    np.testing.assert_allclose(
        np.sort(prepared[tissue]), np.sort((brain - middle.mean()) / middle.std()), rtol=1e-4, atol=1e-4
    )
    voxels_per_slice = (volume > 0).sum(axis=(1, 2))
    found = tissue[0].sum(axis=(1, 2))
    filled = voxels_per_slice[voxels_per_slice > 0].tolist()
    assert found[found > 0].tolist() in (filled, filled[::-1])


# Flips and rotations. The two channels of the images below hold each pixel's own row and column, so that a batch tells
# where every pixel came from.


def _class_at(rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.int64]:
    """An irregular pattern of four classes."""
    return ((rows // 2 + 3 * (columns // 3) + rows * columns // 5) % 4).astype(np.int64)


@pytest.fixture(scope="module")
def epoch(paper: Plan) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images (B, 2, H, W) and labels (B, H, W) of one epoch under the plan."""
    height, width = paper.views[0].patch_px
    count = paper.training.steps_per_epoch * paper.views[0].batch_size
    rows, columns = np.indices((height, width))
    image = np.broadcast_to(np.stack([rows, columns])[:, np.newaxis], (2, count, height, width)).astype(np.float32)
    label = np.broadcast_to(_class_at(rows, columns), (count, height, width)).astype(np.uint8)
    footprint = Footprint(
        shape=label.shape,
        axes=(0, 1, 2),
        flipped=(False, False, False),
        start=(0, 0, 0),
        stop=label.shape,
        size_px=(height, width),
        spacing_mm=(1.0, 1.0, 1.0),
        pad_value=(0.0, 0.0),
    )
    batches = SliceBatches([("grid", StoredCase((SliceStack(image, label, footprint),)))], plan=paper, seed=0)
    made = [batches[0, number] for number in range(paper.training.steps_per_epoch)]
    return (
        np.concatenate([batch.images.numpy() for batch in made]),
        np.concatenate([batch.labels.numpy() for batch in made]),
    )


@pytest.fixture(scope="module")
def turns(epoch: tuple[NDArray[np.float32], NDArray[np.int64]]) -> NDArray[np.float64]:
    """How each image's rows and columns (2) follow from those of its source (2): (B, 2, 2), from the middle of it."""
    pictures, _ = epoch
    height, width = pictures.shape[-2:]
    middle = np.s_[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4]
    places = np.stack([*(axis[middle].ravel() for axis in np.indices((height, width))), np.ones(64)], axis=1)
    matrices = []
    for picture in pictures:
        sources = np.stack([channel[middle].ravel() for channel in picture], axis=1).astype(np.float64)
        fitted, *_ = np.linalg.lstsq(places, sources, rcond=None)
        # Nothing but a motion of the whole image: no other change of intensity would leave the grid straight.
        np.testing.assert_allclose(places @ fitted, sources, atol=1e-3)
        matrices.append(fitted[:2].T)
    return np.array(matrices)


def test_pictures_are_flipped_and_turned_and_keep_their_size(turns: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(2), turns.shape), atol=1e-3)
    rows_flipped, columns_flipped = turns[:, 0, 0] < 0, turns[:, 1, 1] < 0
    for flipped in (rows_flipped, columns_flipped, rows_flipped ^ columns_flipped):
        assert 0.3 < flipped.mean() < 0.7
    angles_deg = np.degrees(np.arcsin(turns[:, 0, 1] * np.sign(turns[:, 1, 1])))
    turned = np.abs(angles_deg) > 0.01
    assert 0.3 < turned.mean() < 0.7
    assert -20.01 < angles_deg.min() < -12
    assert 12 < angles_deg.max() < 20.01


def test_pictures_that_are_not_turned_keep_their_very_values(
    epoch: tuple[NDArray[np.float32], NDArray[np.int64]], turns: NDArray[np.float64]
) -> None:
    pictures, _ = epoch
    grid = np.indices(pictures.shape[-2:]).astype(np.float32)
    flips = [grid, grid[:, ::-1], grid[:, :, ::-1], grid[:, ::-1, ::-1]]
    found = [[np.array_equal(picture, flip) for flip in flips] for picture in pictures]
    assert np.array_equal(np.any(found, axis=1), np.abs(turns[:, 0, 1]) < 1e-4)
    assert np.any(found, axis=0).all()


def test_labels_move_with_their_picture(epoch: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    pictures, labels = epoch
    middle = np.s_[..., 6:-6, 10:-10]  # inside every turned image
    sources = pictures[middle].astype(np.float64)  # (B, 2, h, w)
    clear = np.all(np.abs(sources % 1 - 0.5) > 0.01, axis=1)  # not halfway between two pixels
    nearest = np.rint(sources).astype(np.int64)
    assert clear.mean() > 0.9
    assert np.array_equal(labels[middle][clear], _class_at(nearest[:, 0], nearest[:, 1])[clear])
