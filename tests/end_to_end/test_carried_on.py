"""Whatever a model and its data went through, all that is done with models works: every way of `WAYS` with every use.

What each way decides has tests of its own; here each meets exact resuming, selection, postprocessing, prediction with its
probable quality, export, ONNX and the report.
"""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from oracles.tiny_cases import tiny_scans, write_nifti, write_tiny_cases

import autoseg
from autoseg.images.image import read_labels
from autoseg.model.bundle import load_bundle
from autoseg.model.encoding import TensorEncoding
from autoseg.training.epoch_files import EpochFiles

CASES, SCANS, UNLABELLED = 6, 2, 9
NETWORK = (
    "network.features=[4,8]", "network.convolutions=1", "training.steps_per_epoch=12", "views.batch_size=4",
    "training.learning_rate=0.02",
)  # fmt: skip
TRAINING: dict[str, Any] = {"precision": "float32", "threads": 1, "workers": 0}


@dataclass(frozen=True)
class Way:
    """What a model and its data went through.

    Attributes:
        regions: whether it learns a core within the ball, as regions.
        ignore: whether every other slice is without labels.
        start: whether it began with the weights of a model of other classes.
        adopt: whether corrected label maps joined its data.
        further: whether it was trained further when it was finished.
        says: what the report tells of it.
    """

    regions: bool = False
    ignore: bool = False
    start: bool = False
    adopt: bool = False
    further: bool = False
    says: tuple[str, ...] = ()


STARTED = "started from trained weights"
FURTHER = "trained further"
CORRECTED = "two had been predicted by an earlier model and were corrected or confirmed by a person"
LABELLED = "voxels without a label counted in neither the loss nor the scores"
REGIONS = "a voxel may lie in several, one inside the other"
WAYS = {
    "started": Way(start=True, says=(STARTED,)),
    "continued": Way(further=True, says=(FURTHER,)),
    "corrected": Way(adopt=True, further=True, says=(CORRECTED, FURTHER)),
    "partly-labelled": Way(ignore=True, says=(LABELLED,)),
    "regions": Way(regions=True, says=(REGIONS,)),
    "all-of-it": Way(
        regions=True,
        ignore=True,
        start=True,
        adopt=True,
        further=True,
        says=(STARTED, FURTHER, CORRECTED, LABELLED, REGIONS),
    ),
}


@dataclass(frozen=True)
class Trained:
    """A workspace with a model of each fold.

    Attributes:
        way: how it came about.
        workspace: the folder.
        before: a copy of it before its last training.
        train: trains the last time, in a workspace.
        scans: folder of unlabelled scans.
    """

    way: Way
    workspace: Path
    before: Path
    train: Callable[..., Any]
    scans: Path


def label_map(ball: NDArray[np.uint8], way: Way) -> NDArray[np.uint8]:
    """A label map of a ball as a way has it: the core has the value 2, what is not labelled the value `UNLABELLED`."""
    labels = ball.copy()
    if way.regions:
        inside = np.argwhere(ball)
        distance_px = np.abs(np.indices(ball.shape)[1:] - inside.mean(axis=0)[1:, None, None, None]).max(axis=0)
        labels[(ball > 0) & (distance_px < 2)] = 2
    if way.ignore:
        labels[1::2] = UNLABELLED
    return labels


def write_data(root: Path, way: Way, *, seed: int) -> list[NDArray[np.uint8]]:
    """Write a data set; gives the label maps of its unlabelled scans."""
    write_tiny_cases(root, CASES, unlabelled=SCANS, seed=seed)
    maps = [label_map(ball, way) for _, ball in tiny_scans(CASES + SCANS, seed=seed)]
    for number, labels in enumerate(maps[:CASES]):
        write_nifti(root / "labelsTr" / f"case_{number:05d}.nii", labels)
    description = json.loads((root / "dataset.json").read_text())
    if way.regions:
        description |= {"labels": {"background": 0, "ball": [1, 2], "core": 2}, "regions_class_order": [1, 2]}
    if way.ignore:
        description["labels"]["ignore"] = UNLABELLED
    (root / "dataset.json").write_text(json.dumps(description))
    return maps[CASES:]


IN_THE_GATE = ("all-of-it",)
"""The others run on request: the gate has twenty minutes for everything."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name in IN_THE_GATE else pytest.mark.slow) for name in WAYS],
)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One of the ways, gone to its end."""
    way, root = WAYS[request.param], tmp_path_factory.mktemp(request.param)
    workspace, data = root / "run", root / "data"
    references = write_data(data, way, seed=1)
    autoseg.plan(data, workspace=workspace, folds=2, plane="axial", overrides=NETWORK)
    train = partial(autoseg.train, "unet", fold="all", epochs=2, **TRAINING)
    if way.start:
        write_data(root / "other", Way(), seed=2)
        autoseg.plan(root / "other", workspace=root / "begun", plane="axial", overrides=NETWORK)
        autoseg.train("unet", fold="full", workspace=root / "begun", epochs=1, **TRAINING)
        autoseg.export(root / "begun.autoseg", workspace=root / "begun")
        train = partial(train, init=root / "begun.autoseg")
    if not way.further:
        shutil.copytree(workspace, root / "before")
    train(workspace=workspace)
    if way.adopt:
        autoseg.predict(data / "imagesTs", root / "results", workspace=workspace)
        for path, labels in zip(sorted((root / "results").glob("*.nii.gz")), references, strict=True):
            path.unlink()
            write_nifti(path.with_suffix(""), labels)  # by a program that compresses nothing
        adopted = autoseg.adopt(root / "results", workspace=workspace)
        assert adopted.revision is not None
        assert len(adopted.revision.cases) == SCANS
    if way.further:
        shutil.copytree(workspace, root / "before")
        train = partial(autoseg.train, "unet", fold="all", epochs=2, further=True, **TRAINING)
        train(workspace=workspace)
    return Trained(way, workspace, root / "before", train, data / "imagesTs")


def weights(workspace: Path) -> dict[str, str]:
    """Digests of the weights of a workspace's models."""
    return {
        str(path.parent.relative_to(workspace)): json.loads(path.read_text())["weights_sha256"]
        for path in workspace.glob("models/unet/fold_*/bundle.json")
    }


@pytest.mark.gate
def test_an_interrupted_training_ends_with_the_same_bits(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = Path(shutil.copytree(trained.before, tmp_path / "again"))
    before = weights(again)
    store = EpochFiles.store

    def once(self: EpochFiles, *arguments: Any, **named: Any) -> None:
        store(self, *arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EpochFiles, "store", once)
        with pytest.raises(KeyboardInterrupt):
            trained.train(workspace=again)
    if trained.way.further:
        assert weights(again) == before, "a continuation replaced what is not finished"
    trained.train(workspace=again)
    assert weights(again) == weights(trained.workspace)


@pytest.mark.gate
def test_it_is_selected_predicts_and_is_exported(trained: Trained, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(trained.workspace, tmp_path / "run"))
    result = autoseg.select(workspace)
    assert {model.fold for model in result.selection.models} == {"0", "1"}
    dice = result.selection.candidates[0].score.dice
    assert dice.mean is not None
    assert 0 <= dice.mean <= 1
    assert dice.cases == CASES + (SCANS if trained.way.adopt else 0)

    here = autoseg.predict(trained.scans, tmp_path / "here", workspace=workspace, uncertainty=True)
    file = tmp_path / "ball.autoseg"
    autoseg.export(file, workspace=workspace, onnx=tmp_path / "onnx")
    there = autoseg.predict(trained.scans, tmp_path / "there", model=file, uncertainty=True)
    names = ["ball", "core"] if trained.way.regions else ["ball"]
    for row, other in zip(here.rows, there.rows, strict=True):
        assert row.output_sha256 == other.output_sha256
        assert list(row.predicted_dice) == names
        assert not np.isnan(list(row.predicted_dice.values())).any()
    for path in (tmp_path / "here").glob("*.nii.gz"):
        assert set(np.unique(read_labels(path).array)) <= {0, 1, 2}

    with zipfile.ZipFile(file) as archive:
        told = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".json"))
    assert b"case_0" not in told
    assert str(tmp_path.parent).encode() not in told


@pytest.mark.gate
def test_another_program_gets_the_same_probabilities(trained: Trained, tmp_path: Path) -> None:
    autoseg.export(tmp_path / "ball.autoseg", workspace=trained.workspace, onnx=tmp_path / "onnx")
    bundle = load_bundle(trained.workspace / "models" / "unet" / "fold_0")
    plan = bundle.document.plan
    slices = torch.randn((2, plan.input_channels, 16, 16), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = TensorEncoding.of(plan).probabilities(bundle.network(slices)).numpy()
    session = onnxruntime.InferenceSession(
        min((tmp_path / "onnx").glob("*fold_0*.onnx")), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["probabilities"], {"slices": slices.numpy()})
    assert found.shape[1] == len(plan.data.classes)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.gate
def test_the_report_tells_it(trained: Trained, tmp_path: Path) -> None:
    page = autoseg.report(trained.workspace, output=tmp_path / "report").page.read_text(encoding="utf-8")
    for words in trained.way.says:
        assert words in page
