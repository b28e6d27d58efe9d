"""Several exported models averaged: through the command line, from Python, and what is said of it."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.commands import autoseg as command
from oracles.exported_models import exported_members
from oracles.watched_runs import Recorder

import autoseg
from autoseg.errors import BundleError, MemoryLimitError
from autoseg.exporting.archive import write_archive
from autoseg.exporting.document import read_exported
from autoseg.exporting.segmenter import _what_all_do, exported_segmenter
from autoseg.images.geometry import Geometry
from autoseg.images.image import read_image, read_labels, write_channels
from autoseg.model.compute import choose_compute
from autoseg.planning.plan import Plan
from autoseg.storage import files

SHAPE = (8, 18, 14)


@pytest.fixture
def models(make_plan: Callable[..., Plan], tmp_path: Path) -> list[Path]:
    """One of three planes, and one of one, of another data set and without postprocessing."""
    planes = make_plan(views=({"plane": "axial"}, {"plane": "coronal"}, {"plane": "sagittal"}))
    one = make_plan(view={"plane": "coronal"}, network={"features": [4, 12]}, inputs={"name": "other"})
    paths = []
    for name, plan in {"planes": planes, "one": one}.items():
        members = exported_members(plan, tmp_path / name)
        if name == "one":
            del members["selection.json"]
            document = json.loads(members["model.json"])
            members["model.json"] = files.json_text({**document, "name": "other"}).encode()
        paths.append(tmp_path / f"{name}.autoseg")
        write_archive(paths[-1], members)
    return paths


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(5, 1, size=(1, *SHAPE)).astype(np.float32)
    path = tmp_path / "scans" / "a.nii.gz"
    write_channels(path, values, Geometry(shape=SHAPE, spacing_mm=(2.0, 1.0, 1.0)))
    return path


def test_every_network_counts_alike(models: list[Path], scan: Path, tmp_path: Path) -> None:
    image = read_image([scan], channels=1)
    alone = []
    for model in models:
        loaded = autoseg.load_model(model=model, device="cpu", precision="float32")
        found = loaded.predict(
            image.array, spacing_mm=(2.0, 1.0, 1.0), direction=image.geometry.direction, with_probabilities=True
        )
        assert found.probabilities is not None
        alone.append(found.probabilities)
    flags = [flag for model in models for flag in ("--model", str(model))]
    answer = command(
        "predict",
        str(scan),
        str(tmp_path / "out"),
        *flags,
        "--probabilities",
        "--device",
        "cpu",
        "--precision",
        "float32",
        "--json",
    )
    mean = np.mean(alone, axis=0)
    channels = read_image([tmp_path / "out" / "probabilities" / "a.nii.gz"], channels=2).array
    np.testing.assert_allclose(channels, mean, atol=1e-6)
    expected = np.where(mean.argmax(axis=0) == 1, 2, 0)
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "a.nii.gz").array, expected)  # no postprocessing
    assert json.loads(answer.told)["models"] == ["sepres/fold_0", "sepres/fold_0"]
    assert "averaging: tiny: sepres fold_0; other: sepres fold_0" in answer.said
    assert "no Dice is predicted" in answer.said
    assert "are not marked; what they differ in is left out: postprocessing" in answer.said
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["model"].startswith("tiny: sepres fold_0; other: sepres fold_0 (")
    assert {"tiny", "other"} >= {warning.split(":")[0] for warning in row["warnings"].split("; ") if warning}


def test_what_a_model_does_afterwards_is_done_where_all_do_it(models: list[Path], tmp_path: Path) -> None:
    compute = choose_compute("cpu", "float32")
    again = tmp_path / "again.autoseg"
    again.write_bytes(models[0].read_bytes())
    events = Recorder()
    same = exported_segmenter([models[0], again], compute=compute, mirror=True, memory_gb=4.0, events=events)
    assert [step.type for step in same.steps] == ["largest_component"]
    assert len(same.ensemble.members) == len(same.trained_on) == 1
    assert "in several of the models, and counted once: 1 network" in events.notes
    alone = exported_segmenter(models[0], compute=compute, mirror=True, memory_gb=4.0, events=events)
    assert same.ensemble.digest == alone.ensemble.digest
    assert alone.quality is not None
    assert same.quality is None


def test_shifts_and_views_that_differ_are_left_out_and_said(models: list[Path]) -> None:
    first = read_exported(models[0]).description
    assert first.selection is not None
    shifted = replace(first, selection=first.selection.model_copy(update={"log_shift": (0.0, 0.1), "views": ("axial",)}))
    events = Recorder()
    steps = first.selection.postprocessing
    assert _what_all_do([shifted, shifted], events) == (("axial",), (0.0, 0.1), steps)
    assert _what_all_do([first, shifted], events) == ((), (), steps)
    assert events.notes[0].endswith("not marked")
    assert events.notes[1].endswith("what they differ in is left out: choice of views and shift of the prior")


def test_models_that_do_not_fit_together_are_refused(
    models: list[Path], make_plan: Callable[..., Plan], scan: Path, tmp_path: Path
) -> None:
    other = make_plan(data={"classes": [{"value": 0, "name": "background"}, {"value": 2, "name": "ring"}]})
    members: Any = exported_members(other, tmp_path / "ring")
    write_archive(tmp_path / "ring.autoseg", members)
    answer = command(
        "predict", str(scan), str(tmp_path / "out"), "-m", str(models[0]), "-m", str(tmp_path / "ring.autoseg"), expect=6
    )
    assert "segments other classes" in answer.said
    assert "expected 0 background, 2 disc; found 0 background, 2 ring" in answer.said
    with pytest.raises(BundleError, match="no model"):
        autoseg.load_model(model=[])
    sizes = [
        sum(tensor.nbytes for tensor in bundle.network.state_dict().values())
        for _, bundle in read_exported(models[1]).bundles
    ]
    with pytest.raises(MemoryLimitError, match=r"for 2 network"):
        read_exported(models[0], memory_gb=1.0, beside=[sizes[0] + 10**9])
