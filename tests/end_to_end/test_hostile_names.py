"""Names that are formulas to a spreadsheet or commands to a terminal, through the installed command."""

import csv
import shutil
from pathlib import Path

from oracles.commands import autoseg

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"
SCAN = STORED / "data" / "Test_Set" / "IBSR_05" / "IBSR_05.nii.gz"


def test_no_scan_is_called_like_a_formula_in_a_table(tmp_path: Path) -> None:
    names = ["=1+1", "+1", "-1", "@SUM(1)", "'quoted", "plain"]
    (tmp_path / "scans").mkdir()
    for name in names:
        shutil.copy(SCAN, tmp_path / "scans" / f"{name}.nii.gz")
    command = ("predict", f"{tmp_path}/scans", f"{tmp_path}/out", "-w", f"{STORED}/workspace", "--json")
    first = autoseg(*command)
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        assert sorted(row["case"] for row in csv.DictReader(stream)) == sorted(
            ["'=1+1", "'+1", "'-1", "'@SUM(1)", "''quoted", "plain"]
        )
    assert '"=1+1"' in first.told
    assert "'=1+1" not in first.told
    before = (tmp_path / "out" / "predictions.csv").read_bytes()
    autoseg(*command)
    assert (tmp_path / "out" / "predictions.csv").read_bytes() == before
    autoseg("evaluate", f"{tmp_path}/out", f"{tmp_path}/out", "-o", f"{tmp_path}/scores")
    with (tmp_path / "scores" / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["case"] for row in csv.DictReader(stream)} == {"'=1+1", "'+1", "'-1", "'@SUM(1)", "''quoted", "plain"}
