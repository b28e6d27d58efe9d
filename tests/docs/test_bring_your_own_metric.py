"""The page on metrics: the package with its module and its line evaluates, draws and tabulates the new metric."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles.version_0_1 import copy_of_0_1

import autoseg
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "bring-your-own-metric.md"


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A folder with a copy of the package, changed as the page says."""
    text = PAGE.read_text(encoding="utf-8")
    (module,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (file,) = re.findall(r"The module, `(.*?)`", text)
    ((line, table, import_line, where),) = re.findall(
        r"the line `(.*?)` in `(\w+)`, and\n`(from .*?)` above, both in `(.*?)`", text
    )
    root = tmp_path / "extended"
    shutil.copytree(Path(autoseg.__file__).parent, root / "autoseg", ignore=shutil.ignore_patterns("__pycache__"))
    (root / file).write_text(module)
    entries = (root / where).read_text()
    entries = entries.replace("\n\n\n@dataclass", f"\n{import_line}\n\n\n@dataclass", 1)
    changed = re.sub(rf"({table}: Final.*? = {{\n)", rf"\1    {line}\n", entries, count=1)
    assert len(changed.splitlines()) == len(entries.splitlines()) + 1
    (root / where).write_text(changed)
    return root


def run(extended: Path, *arguments: Path | str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=extended,
        env={**os.environ, "PYTHONPATH": str(extended)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.gate
def test_the_metric_of_the_page_is_evaluated_drawn_and_tabulated(extended: Path, tmp_path: Path) -> None:
    reference, prediction = np.zeros((2, 4, 4), np.uint16), np.zeros((2, 4, 4), np.uint16)
    reference[0, :2, :3], prediction[1, 2:, :1] = 1, 1  # 6 and 2 voxels that do not touch: 1 - 4 / 8
    for side, labels in (("references", reference), ("predictions", prediction)):
        write_labels(tmp_path / side / "a.nii.gz", labels, Geometry(labels.shape, (1.0, 1.0, 1.0)))
    out = tmp_path / "scores"
    shown = run(extended, "-m", "autoseg", "evaluate", tmp_path / "predictions", tmp_path / "references", "-o", out)
    assert "Volume similarity" in shown
    assert "0.500" in next(line for line in shown.splitlines() if line.startswith("mean"))
    with (out / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["volume_similarity"]) == 0.5
    assert json.loads((out / "summary.json").read_text())["mean"]["volume_similarity"] == 0.5
    assert (out / "volume_similarity.png").exists()


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.gate
def test_the_report_tabulates_it_and_reads_scores_of_before(extended: Path, tmp_path: Path) -> None:
    workspace = copy_of_0_1(tmp_path / "v0_1") / "workspace"
    run(extended, "-m", "autoseg", "report", "--workspace", workspace)
    assert (workspace / "report" / "tables" / "table_3_dice.csv").exists()
    assert (workspace / "report" / "tables" / "table_volume_similarity.md").read_text().startswith("Volume similarity, mean")
    assert "Mean Volume similarity by network and case" in (workspace / "report.html").read_text(encoding="utf-8")
