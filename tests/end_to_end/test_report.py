"""`autoseg report` on whatever was trained: nothing, some networks, the official split."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.commands import autoseg

from autoseg.images.image import read_labels, write_labels
from autoseg.runs.workspace import Workspace


def result(*arguments: str, cwd: Path) -> dict[str, Any]:
    """What a command tells as JSON."""
    return autoseg(*arguments, "--json", cwd=cwd).document


def names(report: dict[str, Any]) -> set[str]:
    return {str(Path(path).relative_to(report["folder"])) for path in report["written"]}


@pytest.fixture(scope="module")
def home(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned workspace without models."""
    folder = tmp_path_factory.mktemp("home")
    result("plan", str(cohort), cwd=folder)
    return folder


@pytest.fixture(scope="module")
def before(home: Path) -> dict[str, Any]:
    """The report on nothing but data."""
    return result("report", cwd=home)


@pytest.fixture(scope="module")
def after(home: Path, before: dict[str, Any]) -> dict[str, Any]:
    """The report on two networks of one fold and one of the official split, written over the first one."""
    figures = home / before["folder"] / "figures"
    stale = b"of a model that is no more"
    (figures / "attention_fold_3.png").write_bytes(stale)
    with (home / before["folder"] / "report.sha256").open("a") as stream:
        stream.write(f"{sha256(stale).hexdigest()}  figures/attention_fold_3.png\n")
    (figures / "attention_overview.png").write_text("not the report's")
    for arch, fold in (("unet", "0"), ("attention", "0"), ("unet", "official")):
        result("train", "--arch", arch, "--fold", fold, "--epochs", "1", "--precision", "float32", cwd=home)
    return result("report", cwd=home)


def test_without_models_it_shows_the_data(before: dict[str, Any], home: Path) -> None:
    assert names(before) == {"figures/figure_1_data.png", "figures/figure_1_data.svg"}
    assert before["models"] == []


def test_every_table_and_figure_of_the_paper_is_there_in_every_format(after: dict[str, Any], home: Path) -> None:
    tables = {f"tables/{name}.{kind}" for name in ("table_3_dice", "table_4_hausdorff") for kind in ("csv", "md", "tex")}
    figures = {
        f"figures/{name}.{kind}"
        for name in (
            "figure_1_data",
            "figure_2_dice",
            "figure_2_hausdorff",
            "figure_3_curves_fold_0",
            "figure_3_curves_fold_official",
            "figure_4_planes",
            "attention_fold_0",
        )
        for kind in ("png", "svg")
    }
    assert tables | figures <= names(after)
    assert all((home / path).stat().st_size > 50 for path in after["written"])
    assert len(after["models"]) == 3


def test_the_official_split_has_tables_of_its_own(after: dict[str, Any], home: Path) -> None:
    def cases(name: str) -> list[str]:
        text = (home / after["folder"] / "tables" / name).read_text(encoding="utf-8")
        return [line.split(",")[0] for line in text.splitlines()[1:]]

    splits = json.loads((home / "runs" / "IBSR18" / "splits.json").read_text(encoding="utf-8"))
    assert cases("table_3_dice.csv") == sorted(splits["folds"][0]["validation"])
    assert cases("table_3_dice_official.csv") == sorted(splits["official"]["validation"])


def test_tables_hold_the_scores_of_training(after: dict[str, Any], home: Path) -> None:
    models = home / "runs" / "IBSR18" / "models"
    header, first, *_ = (home / after["folder"] / "tables" / "table_3_dice.csv").read_text(encoding="utf-8").splitlines()
    assert header.split(",")[1::2] == ["U-Net", "Attention U-Net"]
    for column, arch in ((1, "unet"), (3, "attention")):
        summary = json.loads((models / arch / "fold_0" / "validation" / "summary.json").read_text(encoding="utf-8"))
        assert summary["cases"] == 1
        assert float(first.split(",")[column]) == pytest.approx(summary["mean"]["dice"])


def test_what_an_earlier_report_left_goes_and_what_is_not_its_own_stays(after: dict[str, Any], home: Path) -> None:
    figures = home / after["folder"] / "figures"
    assert not (figures / "attention_fold_3.png").exists()
    assert (figures / "attention_overview.png").exists()


def test_an_edited_plan_leaves_older_models_out_and_says_so(after: dict[str, Any], home: Path) -> None:
    path = home / "runs" / "IBSR18" / "plan.json"
    original = path.read_text(encoding="utf-8")
    document = json.loads(original)
    document["training"]["learning_rate"] = 1e-5
    path.write_text(json.dumps(document), encoding="utf-8")
    try:
        answer = autoseg("report", "-o", "elsewhere", cwd=home)
    finally:
        path.write_text(original, encoding="utf-8")
    assert "trained under another plan" in answer.said
    assert not list((home / "elsewhere").glob("tables/*"))


def test_a_case_that_is_gone_is_named(after: dict[str, Any], home: Path) -> None:
    path = home / "runs" / "IBSR18" / "dataset.json"
    original = path.read_text(encoding="utf-8")
    document = json.loads(original)
    (held_out,) = json.loads((home / "runs" / "IBSR18" / "splits.json").read_text(encoding="utf-8"))["folds"][0][
        "validation"
    ]
    document["cases"] = [case for case in document["cases"] if case["id"] != held_out]
    path.write_text(json.dumps(document), encoding="utf-8")
    try:
        answer = autoseg("report", "-o", "gone", cwd=home, expect=5)
    finally:
        path.write_text(original, encoding="utf-8")
    assert f"{held_out} was held out" in answer.said


@pytest.mark.parametrize("which", ["training", "validation"])
def test_scores_are_not_shown_where_a_label_map_changed_since(workspace: Path, which: str, tmp_path: Path) -> None:
    shutil.rmtree(workspace / "models" / "unet" / "fold_1")
    case = json.loads((workspace / "splits.json").read_text())["folds"][0][which][0]
    data = private_data(workspace, tmp_path / "data")
    path = data / "Training_Set" / case / f"{case}_seg.nii.gz"
    labels = read_labels(path)
    write_labels(path, np.roll(labels.array, 1, axis=0), labels.geometry)
    said = autoseg("report", "-w", str(workspace), "-o", str(tmp_path / "report"), cwd=tmp_path, expect=6).said
    assert "the data set has changed since the models were trained" in said
    assert f"found other files for {case}" in said
    assert not (tmp_path / "report").exists()
    exported = autoseg("export", str(tmp_path / "model.autoseg"), "-w", str(workspace), cwd=tmp_path)
    assert f"changed since the models were trained: {case}. The scores in the file are of before" in exported.said


@pytest.mark.parametrize("name", ["{case}.nii.gz", "metrics.csv"])
def test_held_out_label_maps_and_scores_are_those_that_belong_together(workspace: Path, name: str, tmp_path: Path) -> None:
    case = json.loads((workspace / "splits.json").read_text())["folds"][0]["validation"][0]
    path = workspace / "models" / "unet" / "fold_0" / "validation" / name.format(case=case)
    path.write_bytes(path.read_bytes() + b"\n")
    report = ["report", "-w", str(workspace), "-o", str(tmp_path / "report")]
    said = autoseg(*report, cwd=tmp_path, expect=5).said
    assert f"{path}: was changed since the held-out cases were scored" in said
    assert "repeat the train command" in said
    shutil.rmtree(path.parent)
    autoseg("train", "-w", str(workspace), "--epochs", "3", "--precision", "float32", cwd=tmp_path)
    autoseg("select", "-w", str(workspace), cwd=tmp_path)
    selected = workspace / "selection" / name.format(case=case)
    selected.write_bytes(selected.read_bytes() + b"\n")
    said = autoseg(*report, cwd=tmp_path, expect=5).said
    assert f"{selected}: was changed since" in said
    assert "autoseg select" in said


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_a_selection_of_models_that_were_trained_again_is_left_out(workspace: Path, tmp_path: Path) -> None:
    autoseg("select", "-w", str(workspace), cwd=tmp_path)
    for arch in ("unet", "sepres"):
        again = ["--arch", arch, "--epochs", "1", "--precision", "float32", "--restart"]
        autoseg("train", "-w", str(workspace), *again, cwd=tmp_path)
    said = autoseg("report", "-w", str(workspace), "-o", str(tmp_path / "report"), cwd=tmp_path).said
    assert "the selection was made from models that have been trained again or removed since and is left out" in said


def private_data(workspace: Path, folder: Path) -> Path:
    """A copy of a workspace's data, which the workspace takes for its own."""
    document = json.loads((workspace / "dataset.json").read_text())
    root = Path(Workspace(workspace).dataset().root)
    shutil.copytree(root, folder)
    document |= {"root": str(folder), "root_from_workspace": None}
    (workspace / "dataset.json").write_text(json.dumps(document))
    return folder
