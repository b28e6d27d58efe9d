"""The command of docs/how-to/carry-on.md that trains a finished run longer, as shown, on the phantom."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from oracles.commands import autoseg as command

from autoseg.model.description import read_document

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "carry-on.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Train a finished run longer\n")[2].partition("\n## ")[0]


@pytest.mark.gate  # trains for six seconds in place of half an hour
def test_a_finished_run_is_trained_longer_as_shown(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "IBSR18")
    (line,) = re.findall(r"^autoseg (train .*)$", SECTION, flags=re.MULTILINE)
    folder = tmp_path / "runs" / "IBSR18" / "models" / "unet" / "fold_0"
    before = read_document(folder).provenance
    told = command(*shlex.split(line.replace("--minutes 30", "--minutes 0.1")), "--device", "cpu", cwd=tmp_path).told
    after = read_document(folder).provenance
    assert f"{after.epochs} epochs" in told
    assert (after.stretches[0].epochs, after.stretches[1].first_epoch) == (before.epochs, before.epochs + 1)
    assert after.epochs > before.epochs
    header, *rows = (folder / "history.csv").read_text(encoding="utf-8").splitlines()
    assert "stretch" in header.split(",")
    assert len(rows) == after.epochs
