"""Several processes fill one folder of results, some are killed: nothing is lost, and nothing is segmented twice."""

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from oracles.commands import autoseg
from oracles.exported_models import exported_members
from oracles.processes import Process, finish, start, wait_until

from autoseg.exporting.archive import write_archive
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_channels
from autoseg.inference.folder_table import read_folder
from autoseg.inference.part import Part
from autoseg.planning.plan import Plan
from autoseg.runs import source_checksums
from autoseg.wording import counted

SCANS = [f"case_{number:02d}" for number in range(24)]
SCAN = Geometry(shape=(6, 24, 20), spacing_mm=(2.0, 1.0, 1.0))


@pytest.fixture
def home(tmp_path: Path, make_plan: Callable[..., Plan]) -> Path:
    """Scans, a model, and what one undisturbed process makes of them."""
    write_archive(tmp_path / "model.autoseg", exported_members(make_plan(), tmp_path / "model"))
    for seed, name in enumerate(SCANS):
        values = np.random.default_rng(seed).normal(5, 1, size=(1, *SCAN.shape)).astype(np.float32)
        write_channels(tmp_path / "scans" / f"{name}.nii.gz", values, SCAN)
    autoseg(*arguments("whole"), cwd=tmp_path)
    return tmp_path


def arguments(out: str, *more: str) -> tuple[str, ...]:
    return ("predict", "scans", out, "-m", "model.autoseg", "--device", "cpu", "--json", *more)


def begin(home: Path, *more: str) -> Process:
    return start(*arguments("out", *more), cwd=home, environment={"OMP_NUM_THREADS": "1"})


def entered(home: Path) -> set[str]:
    """Scans that the folder names, table and journals together."""
    return set(read_folder(home / "out", classes=()).rows)


def kill(process: Process) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=300)


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name[0] != "."}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nii.gz")}


@pytest.mark.gate
def test_parts_that_are_killed_lose_nothing(home: Path) -> None:
    dice = random.Random(0)  # noqa: S311
    mine = {name for name in SCANS if Part(1, 2).holds(name)}
    first, second = begin(home, "--part", "1/2"), begin(home, "--part", "2/2")
    wanted = dice.randrange(1, len(mine) // 2)
    wait_until(lambda: len(entered(home) & mine) >= wanted, first)
    kill(first)
    kept = entered(home) & mine
    before = {name: time for name, time in times(home / "out").items() if name.removesuffix(".nii.gz") in kept}
    assert finish(second).document["part"] == "2/2"
    assert entered(home) >= kept | set(SCANS) - mine
    again = finish(begin(home, "--part", "1/2")).document
    assert set(again["skipped"]) >= kept
    assert {name: times(home / "out")[name] for name in before} == before  # finished scans are not written again
    assert {row["case"] for row in again["cases"]} == mine
    assert again["missing"] == []
    assert results(home / "out") == results(home / "whole")
    whole = autoseg(*arguments("out"), cwd=home).document
    assert (whole["skipped"], whole["part"]) == (SCANS, None)


@pytest.mark.slow
def test_a_process_without_parts_that_is_killed_anywhere_loses_nothing(home: Path) -> None:
    dice = random.Random(1)  # noqa: S311
    for _ in range(2):
        process = begin(home)
        wanted = dice.randrange(len(entered(home)) + 1, len(entered(home)) + 6)
        wait_until(lambda wanted=wanted: len(entered(home)) >= wanted, process)
        refused = autoseg(*arguments("out", "--part", "1/2"), cwd=home, expect=5)
        assert "in use by another process, which segments all scans" in refused.said
        kill(process)
        kept = entered(home)
        assert len(kept) >= wanted
    assert set(autoseg(*arguments("out"), cwd=home).document["skipped"]) >= kept
    assert results(home / "out") == results(home / "whole")


def test_a_part_says_what_the_others_have_left(home: Path) -> None:
    said = autoseg(*(word for word in arguments("out", "--part", "2/3") if word != "--json"), cwd=home).told
    mine = sum(Part(2, 3).holds(name) for name in SCANS)
    assert f"Part 2/3: {counted(mine, 'scan')}; {len(SCANS) - mine} of the other parts are missing" in said
    autoseg(*arguments("out", "--part", "4/3"), cwd=home, expect=2)
    for number in (1, 3):
        missing = autoseg(*arguments("out", "--part", f"{number}/3"), cwd=home).document["missing"]
    assert missing == []
    assert results(home / "out") == results(home / "whole")


def test_scans_that_are_unchanged_are_not_hashed_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (home / "scans").iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    autoseg(*arguments("out"), cwd=home)
    hashed: list[str] = []
    checksum = source_checksums.image_checksum
    monkeypatch.setattr(source_checksums, "image_checksum", lambda path: hashed.append(path.name) or checksum(path))
    assert autoseg(*arguments("out"), cwd=home).document["skipped"] == SCANS
    assert hashed == []
    os.utime(home / "scans" / "case_03.nii.gz")
    assert autoseg(*arguments("out"), cwd=home).document["skipped"] == SCANS
    assert hashed == ["case_03.nii.gz"]
    hashed.clear()
    assert autoseg(*arguments("out", "--verify"), cwd=home).document["skipped"] == SCANS
    assert len(hashed) == len(SCANS)


@pytest.mark.gate
def test_the_commands_of_the_page_do_what_it_says(home: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "many-scans.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```\n(.*?)```", page, flags=re.DOTALL)
    (home / "model.autoseg").rename(home / "brain.autoseg")
    script = re.sub(r"^autoseg", f"{sys.executable} -m autoseg", block, flags=re.MULTILINE)
    done = subprocess.run(["bash", "-c", script], cwd=home, capture_output=True, text=True, timeout=600, check=True)
    assert "24 scans had been segmented before and stayed unchanged" in done.stdout
    assert results(home / "results").keys() == results(home / "whole").keys()
