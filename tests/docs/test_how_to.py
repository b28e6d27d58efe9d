"""What the how-to pages show works as shown."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.commands import autoseg as autoseg_command
from oracles.dicom_exports import export

from autoseg.commands import COMMANDS, FUNCTIONS
from autoseg.images.image import read_image, read_labels
from autoseg.layouts import find_dataset
from autoseg.planning.plan import Plan

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(page: str, language: str) -> list[str]:
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def execute(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "page", "exec"), names)  # noqa: S102 - our own documentation
    return names


def test_the_table_of_the_page_is_a_data_set(tmp_path: Path) -> None:
    (table,) = blocks("bring-your-own-layout.md", "")
    (tmp_path / "cases.csv").write_text(table)
    for name in re.findall(r"[\w/]+\.(?:nii\.gz|nrrd|mha)", table):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    cases = find_dataset(tmp_path).cases
    assert [(case.id, case.subset, case.subject) for case in cases] == [
        ("anna_1", "training", "anna"),
        ("anna_2", "training", "anna"),
        ("ben", "validation", "ben"),
        ("carl", "test", "carl"),
    ]


def edits() -> list[tuple[str, str]]:
    text = (PAGES / "edit-the-plan.md").read_text(encoding="utf-8")
    return re.findall(r'\| `("\w+": .*?)` in `(\w+)`', text)


@pytest.mark.parametrize(("entry", "section"), edits())
def test_every_edit_of_the_page_is_a_plan(make_plan: Callable[..., Plan], entry: str, section: str) -> None:
    change = json.loads(f"{{{entry}}}")
    classes = [{"value": 0, "name": "background"}, {"value": 1, "name": "CSF"}]
    sections: dict[str, dict[str, Any]] = {"view": {"patch_px": [32, 32]}, "data": {"classes": classes}}
    changed = "view" if section == "views" else section
    sections[changed] = {**sections.get(changed, {}), **change}
    plan = make_plan(**sections)
    ((key, value),) = change.items()
    found = plan.model_dump(mode="json")[section]
    assert (found[0] if isinstance(found, list) else found)[key] == value


def test_the_edits_are_found() -> None:
    assert len(edits()) == 10


@pytest.fixture
def home(cohort: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a trained workspace, a scan and a folder of scans, as the page on Python has it."""
    shutil.copytree(trained, tmp_path / "runs" / "IBSR18")
    shutil.copytree(cohort / "Test_Set", tmp_path / "new_scans")
    (scan,) = (tmp_path / "new_scans").glob("*/*.nii.gz")
    shutil.copy(scan, tmp_path / "scan.nii.gz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_on_dicom_runs_as_shown(home: Path) -> None:
    image = read_image(list(home.glob("new_scans/*/*.nii.gz")), channels=1).array[0, :, ::-1, ::-1]
    export(home / "export" / "t1", image.astype(np.int16))
    lines = [line for block in blocks("use-dicom.md", "sh") for line in block.splitlines() if line.startswith("autoseg")]
    assert len(lines) == 2
    for line in lines:
        autoseg_command(*shlex.split(line)[1:], "--precision", "float32", cwd=home)
    assert (home / "results" / "dicom_seg" / "t1.dcm").exists()
    (call,) = re.findall(r"`(autoseg\.predict\(.*\))`", (PAGES / "use-dicom.md").read_text(encoding="utf-8"))
    execute(f"import autoseg\n{call[:-1]}, precision='float32', events=autoseg.silent)")


def test_the_page_on_python_names_every_function() -> None:
    introduction = (PAGES / "predict-from-python.md").read_text(encoding="utf-8").split("\n\n")[1]
    functions, others = (re.findall(r"`(?:autoseg\.)?(\w+)`", part) for part in introduction.partition("all but")[::2])
    assert sorted([*functions, "load_model"]) == sorted(FUNCTIONS)
    assert set(COMMANDS) - set(FUNCTIONS) <= set(others)


def test_the_page_on_python_runs_as_shown(
    home: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    names = execute("\n".join(blocks("predict-from-python.md", "python")))
    assert names["labels"].shape == names["probabilities"].shape[1:] == names["entropy"].shape
    np.testing.assert_array_equal(read_labels(home / "scan_labels.nii.gz").array, names["labels"])
    assert list((home / "results").glob("*.nii.gz"))
    assert len(names["volumes"]) == len(names["result"].rows) == 1
    assert names["found"].shape == names["slices"][:4, 0].shape
    printed = capsys.readouterr()
    assert "GM" in printed.out
    assert "averaging" in printed.err  # of the calls that are shown
    assert "averaging" in caplog.text  # of the one whose events go to a log
