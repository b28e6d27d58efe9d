"""Names that are formulas to a spreadsheet or commands to a terminal, through the installed command."""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
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


HOSTILE = "p\x1b]0;owned\x07\u202e\u200b\x9b31m\n患1"
"""A title, a bell, a direction, nothing, a colour, a line break, and an honest name."""

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A command line as a shell runs it, `autoseg` being the command under test."""
    return subprocess.run(
        ["/bin/bash", "-c", f'autoseg() {{ "{sys.executable}" -m autoseg "$@"; }}; set -o pipefail; {command}'],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def commands(tmp_path: Path) -> list[str]:
    """Command lines whose every name is hostile: commands that end well, and each that must refuse."""
    data, workspace = tmp_path / HOSTILE / "data", tmp_path / HOSTILE / "workspace"
    shutil.copytree(STORED / "data", data)
    shutil.copytree(STORED / "workspace", workspace)
    shutil.copytree(data / "Test_Set", tmp_path / "mixed" / "Test_Set")
    for name in (HOSTILE, "bad"):
        (tmp_path / "mixed" / f"{name}.nii.gz").write_bytes(b"no scan")
    (tmp_path / HOSTILE / "model.autoseg").write_bytes(b"no model")
    there = shlex.quote(str(tmp_path / HOSTILE))
    return [
        f"autoseg check {there}/data",
        f"autoseg check {there}",
        f"autoseg plan {there}/data -w {there}/new --folds 2",
        f"autoseg plan {there}/nothing -w {there}/new2",
        f"autoseg preprocess -w {there}/new",
        f"autoseg train -w {there}/new --arch {shlex.quote(HOSTILE)}",
        f"autoseg train -w {there}/new --arch unet --fold 0 --epochs 1",
        f"autoseg train --{shlex.quote(HOSTILE)}",
        f"autoseg {shlex.quote(HOSTILE)}",
        f"autoseg select -w {there}/workspace --data {there}/data",
        f"autoseg select -w {there}/nothing",
        f"autoseg report -w {there}/workspace -o {there}/report",
        f"autoseg predict {there}/data/Test_Set {there}/out -w {there}/workspace",
        f"autoseg predict {shlex.quote(str(tmp_path))}/mixed {there}/out2 -w {there}/workspace",
        f"autoseg evaluate {there}/workspace/selection {there}/data/Training_Set -o {there}/scores",
        f"autoseg export {there}/good.autoseg -w {there}/workspace",
        f"autoseg info {there}/good.autoseg",
        f"autoseg info {there}/model.autoseg --traceback",
    ]


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.gate
def test_nothing_that_any_command_prints_steers_a_terminal(commands: list[str]) -> None:
    for command in commands:
        answer = shell(command)
        for text in (answer.stdout.decode(), answer.stderr.decode()):
            assert not STEERING.search(text), (command, text)
            assert "\n患1" not in text, (command, text)
        assert b"Traceback" not in answer.stderr or "--traceback" in command, answer.stderr.decode()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp932", "utf-8"])
def test_a_name_that_the_terminal_lacks_is_spelled_out(tmp_path: Path, encoding: str) -> None:
    missing = tmp_path / "患1é"
    command = f"autoseg check {missing}"
    told = shell(command, PYTHONIOENCODING=encoding)
    assert told.returncode == 3
    assert "患1é".encode(encoding, errors="backslashreplace") in told.stderr
    as_data = shell(f"{command} --json", PYTHONIOENCODING=encoding)
    assert as_data.returncode == 3
    assert json.loads(as_data.stdout.decode(encoding))["where"] == str(missing)


@pytest.mark.parametrize(
    ("streams", "code"),
    [
        (">&-", 0),
        ("2>&-", 0),
        ("<&- >&- 2>&-", 0),
        ("2>/dev/full", 0),
        (">/dev/full", 9),
        ("| true", 0),
        ("2>&1 | true", 0),
    ],
)
def test_streams_that_are_gone_end_no_command(streams: str, code: int) -> None:
    answer = shell(f"autoseg check {STORED}/data {streams}", LANG="C", LC_ALL="C")
    assert answer.returncode == code, answer.stderr.decode()
    assert b"Traceback" not in answer.stderr
    assert b"Exception ignored" not in answer.stderr


@pytest.mark.parametrize("asked", ["--help", "--version", "plan --help"])
def test_help_that_cannot_be_written_is_a_failure_of_the_system(asked: str) -> None:
    answer = shell(f"autoseg {asked} >/dev/full")
    assert answer.returncode == 9, answer.stderr.decode()
    assert b"No space left on device" in answer.stderr
    assert b"Traceback" not in answer.stderr
    assert b"Exception ignored" not in answer.stderr
