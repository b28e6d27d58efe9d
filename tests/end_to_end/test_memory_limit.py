"""Exported models and scans that would fill the memory, met by the command."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.commands import autoseg
from oracles.exported_models import exported_members
from oracles.processes import Answer

from autoseg.exporting.archive import write_archive
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_channels
from autoseg.planning.plan import Plan

Export = Callable[..., Path]
SCAN = Geometry(shape=(6, 24, 20), spacing_mm=(2.0, 1.0, 1.0))


@pytest.fixture
def export(make_plan: Callable[..., Plan], tmp_path: Path) -> Export:
    """Writes an untrained exported model, under a plan changed key by key."""

    def write(*, classes: int = 2, **changes: dict[str, Any]) -> Path:
        named = [{"value": value, "name": f"class {value}"} for value in (0, *range(2, classes + 1))]
        plan = make_plan(data={"classes": named}, training={"class_weights": [1.0] * classes}, **changes)
        write_archive(tmp_path / "model.autoseg", exported_members(plan, tmp_path / "model"))
        return tmp_path / "model.autoseg"

    return write


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b")):
        values = np.random.default_rng(seed).normal(5, 1, size=(1, *SCAN.shape)).astype(np.float32)
        write_channels(tmp_path / "scans" / f"{name}.nii.gz", values, SCAN)
    return tmp_path / "scans"


def test_a_model_of_twelve_levels_is_refused(export: Export, scans: Path, tmp_path: Path) -> None:
    model = export(network={"features": [1] * 12}, view={"patch_px": [2048, 2048]})
    answer = autoseg("predict", str(scans), str(tmp_path / "out"), "-m", str(model), "--device", "cpu", expect=6)
    assert "segmenting takes more memory than it may; found 4.6 GB" in answer.said
    assert "networks of 12 levels, to which a slice or a tile of it has 4096 x 4096 pixels" in answer.said
    assert "At most 4 GB may be taken. Where the machine has it, allow more (--memory 4.6)" in answer.said
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_a_scan_that_is_too_large_does_not_keep_others_from_being_segmented(
    export: Export, scans: Path, tmp_path: Path
) -> None:
    shape = (1, 2000, 3000)
    write_channels(scans / "c.nii.gz", np.ones((1, *shape), np.float32), Geometry(shape=shape, spacing_mm=(2.0, 1.0, 1.0)))
    model = export(classes=200, view={"patch_px": [3000, 3000]})
    answer = autoseg("predict", str(scans), str(tmp_path / "out"), "-m", str(model), "--json", "--device", "cpu", expect=7)
    failures = json.loads(answer.told)["failures"]
    assert list(failures) == ["c"]
    assert failures["c"]["exit_code"] == 6
    assert "1 x 2000 x 3000 voxels" in failures["c"]["found"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == ["a.nii.gz", "b.nii.gz"]


def test_less_memory_gives_the_same_label_maps(export: Export, scans: Path, tmp_path: Path) -> None:
    model = export(classes=2000, prediction={"batch_size": 2})

    def predicted(out: str, *, memory: str, expect: int = 0) -> Answer:
        common = ["-m", str(model), "--memory", memory, "--device", "cpu"]
        return autoseg("predict", str(scans), str(tmp_path / out), *common, expect=expect)

    refusal = predicted("whole", memory="0.5", expect=6)
    advised = re.findall(r"--memory ([0-9.]+)", refusal.said)[0]
    for out, memory in (("whole", "4"), ("parts", advised)):
        predicted(out, memory=memory)
    for name in ("a.nii.gz", "b.nii.gz", "predictions.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_probabilities_that_do_not_fit_are_written_over_a_temporary_file(
    export: Export, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, common = export(classes=5), ["--probabilities", "--device", "cpu"]
    answer = autoseg("predict", str(scans), str(tmp_path / "whole"), "-m", str(model), *common)
    assert "a: the probabilities of 5 classes take 0.00 GB, uncompressed" in answer.said
    monkeypatch.setattr("autoseg.inference.memory.Demand.blocks", _without_probabilities())
    answer = autoseg("predict", str(scans), str(tmp_path / "parts"), "-m", str(model), *common)
    assert "a temporary file of 0.0 GB" in answer.said
    for name in ("a.nii.gz", "b.nii.gz"):
        whole, parts = (tmp_path / out / "probabilities" / name for out in ("whole", "parts"))
        assert whole.read_bytes() == parts.read_bytes()
    assert not [
        path
        for path in (tmp_path / "parts").iterdir()
        if path.name.startswith(".") and path.name not in {".lock", ".checksums.json"}
    ]


def test_weights_that_do_not_fit_are_refused_before_they_are_read(export: Export, scans: Path, tmp_path: Path) -> None:
    answer = autoseg("predict", str(scans), str(tmp_path / "out"), "-m", str(export()), "--memory", "0.3", expect=6)
    assert "the weights of the networks take more memory than they may; expected at most 0.3 GB" in answer.said


def _without_probabilities() -> Callable[..., Any]:
    """`Demand.blocks` of a machine whose memory never holds the probabilities of all classes."""
    from autoseg.errors import MemoryLimitError
    from autoseg.inference.memory import Demand

    blocks = Demand.blocks

    def refuse(self: Demand, *arguments: Any, **limits: Any) -> Any:
        if self.probabilities:
            raise MemoryLimitError("too much", remedy="")
        return blocks(self, *arguments, **limits)

    return refuse
