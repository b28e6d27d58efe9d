"""The notebook runs from its beginning to its end in a kernel of its own, and shows what it should."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoseg.images.image import read_labels

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"

EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""

Outputs = dict[str, list[dict[str, Any]]]


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def test_it_is_stored_as_nobody_has_run_it() -> None:
    assert cells(NOTEBOOK)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(NOTEBOOK))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the notebook has run, as `executed.ipynb`."""
    folder = tmp_path_factory.mktemp("notebook")
    jupyter = {name: str(folder / ".jupyter") for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(NOTEBOOK), "executed.ipynb"],
        cwd=folder, env={**os.environ, **jupyter}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def outputs(home: Path, ending: str) -> list[dict[str, Any]]:
    """What the cell that ends like this shows."""
    (found,) = [cell["outputs"] for cell in cells(home / "executed.ipynb") if "".join(cell["source"]).endswith(ending)]
    return found


def html(home: Path, ending: str) -> str:
    """What the value of a cell looks like."""
    (result,) = [output for output in outputs(home, ending) if output["output_type"] == "execute_result"]
    return "".join(result["data"]["text/html"])


@pytest.mark.gate
def test_every_step_shows_its_result(home: Path) -> None:
    shown = html(home, "\ntrained")
    assert all(f">{name}<" in shown for name in ("CSF", "GM", "WM", "mean"))
    dice = [float(number) for number in re.findall(r">(0\.\d+) \+-", shown)]
    assert max(dice) > 0.5
    assert "WM" in html(home, '"hausdorff_mm"]]')
    for ending in ('"PHANTOM")', "\nplanned", 'select(home / "run")'):
        assert "<table>" in html(home, ending)
    assert "segments CSF, GM, WM" in html(home, "\nmodel")


@pytest.mark.gate
def test_a_prediction_is_shown_with_its_pictures_and_saved(home: Path) -> None:
    shown = html(home, "\nprediction")
    assert len(re.findall(r'<img [^>]*src="data:image/png;base64,[A-Za-z0-9+/]{1000,}', shown)) == 3
    assert re.search(r"<td>GM</td><td>2</td><td>\d+\.\d\d</td>", shown)
    assert read_labels(home / "autoseg-notebook" / "labels.nii.gz").array.any()


@pytest.mark.gate
def test_progress_is_shown_by_bars_that_end(home: Path) -> None:
    said = outputs(home, "\ntrained")
    bars = [output["data"] for output in said if output["output_type"] == "display_data"]
    assert bars
    assert all("<progress" in "".join(bar["text/html"]) for bar in bars)
    assert any("done in" in "".join(bar["text/plain"]) for bar in bars)
    for cell in cells(home / "executed.ipynb"):
        assert not [output for output in cell["outputs"] if output["output_type"] == "error"]
        assert not re.search(r"\x1b|━", json.dumps(cell["outputs"], ensure_ascii=False))  # bars of a terminal
