"""Folders whose names are no UTF-8, as older systems made them: the whole story within one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from oracles.commands import autoseg
from oracles.dicom_files import write_series

from autoseg.images.image import read_image

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"
ODD = "o\udcf6"
"""How Python reads the bytes 6f f6."""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder of that name, in which lies what version 0.1 stored."""
    try:
        (tmp_path / ODD).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    shutil.copytree(STORED, tmp_path / ODD / "v0_1")
    return tmp_path / ODD


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_every_command_works_in_such_a_folder(odd: Path) -> None:
    data, workspace = f"{odd}/v0_1/data", f"{odd}/v0_1/workspace"
    autoseg("check", data)
    answer = autoseg("plan", data, "-w", f"{odd}/new", "--folds", "2", "--json")
    assert answer.document["workspace"] == f"{odd}/new"
    autoseg("plan", data, "-w", f"{odd}/new", "--folds", "2")  # what it stored is read again
    autoseg("train", "--epochs", "1", "--precision", "float32", "-w", f"{odd}/new", "--track", "tensorboard")
    autoseg("select", "-w", workspace, "--data", data)
    autoseg("report", "-w", workspace, "-o", f"{odd}/report")
    assert "trained under another plan" not in (odd / "report" / "report.html").read_text(encoding="utf-8")
    autoseg("predict", f"{data}/Test_Set", f"{odd}/out", "-w", workspace, "--pictures", "--probabilities", "--uncertainty")
    assert {path.name for path in (odd / "out").rglob("IBSR_05*")} == {"IBSR_05.nii.gz", "IBSR_05.png"}
    autoseg("evaluate", f"{workspace}/selection", f"{data}/Training_Set", "-o", f"{odd}/scores", expect=7)  # two have no map
    assert (odd / "scores" / "metrics.csv").exists()
    autoseg("export", f"{odd}/model.autoseg", "-w", workspace)
    autoseg("info", f"{odd}/model.autoseg")


def test_documents_say_in_escapes_what_was_left_out(odd: Path) -> None:
    workspace = odd / "v0_1" / "workspace"
    shutil.copytree(workspace / "models" / "unet" / "fold_0", workspace / "models" / "unet" / "fold_9")
    path = workspace / "models" / "unet" / "fold_9" / "checkpoint.json"
    document = json.loads(path.read_text())
    document["state"]["finished"] = False
    path.write_text(json.dumps(document))
    autoseg("select", "-w", str(workspace), "--data", f"{odd}/v0_1/data")
    said = json.loads((workspace / "selection.json").read_text(encoding="utf-8"))["missing"]
    assert any(r"o\xf6" in line for line in said)


def test_a_workspace_that_was_moved_into_such_a_folder_is_used(tmp_path: Path, odd: Path) -> None:
    before = tmp_path / "before"
    (odd / "v0_1").rename(before)
    autoseg("preprocess", "-w", f"{before}/workspace", "--data", f"{before}/data")
    before.rename(odd / "after")
    autoseg("select", "-w", f"{odd}/after/workspace")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr", ".png", ".tif"])
def test_every_format_is_read_from_such_a_folder(odd: Path, suffix: str) -> None:
    voxels = np.arange(60, dtype=np.uint8).reshape((6, 10) if suffix in {".png", ".tif"} else (3, 4, 5))
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(odd.parent / f"a{suffix}"))
    for path in odd.parent.glob("a.*"):
        path.rename(odd / path.name)
    np.testing.assert_array_equal(np.squeeze(read_image([odd / f"a{suffix}"], channels=1).array), voxels)


def test_a_dicom_series_is_read_from_such_a_folder(odd: Path) -> None:
    write_series(odd / "series", np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    command = [sys.executable, "-c", _READ, f"{odd}/series".encode(errors="surrogateescape")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "(1, 3, 4, 5)"


_READ = """
import sys
from pathlib import Path
from autoseg.inference.scans import find_scans
[scan] = find_scans(Path(sys.argv[1]), channels=1).scans
print(scan.read(channels=1).array.shape)
"""


def test_names_that_results_would_bear_are_refused_before_any_work(odd: Path) -> None:
    scan = next((odd / "v0_1" / "data" / "Test_Set").rglob("*.nii.gz"))
    shutil.copy(scan, odd / f"{ODD}.nii.gz")
    workspace = f"{odd}/v0_1/workspace"
    answer = autoseg("predict", f"{odd}/{ODD}.nii.gz", f"{odd}/out", "-w", workspace, expect=7)
    assert r"o\xf6.nii.gz: the name is not UTF-8. Rename it." in answer.said
    assert not list((odd / "out").glob("*.nii.gz"))
    answer = autoseg("evaluate", f"{odd}/{ODD}.nii.gz", f"{odd}/{ODD}.nii.gz", expect=3)
    assert "the name is not UTF-8" in answer.said
