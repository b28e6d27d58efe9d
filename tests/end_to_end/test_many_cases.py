"""Every command, with far fewer open files than there are cases."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from oracles.commands import autoseg
from oracles.tiny_cases import write_tiny_cases, write_tiny_predictions

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts and limits the open files of a process")


@contextmanager
def open_files(more: int) -> Iterator[None]:
    """Let this process, and those it starts, have so many more open files than it has."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    now = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (now + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("cases", "files"),
    [
        pytest.param(120, 90, marks=pytest.mark.slow),
        pytest.param(2000, 90, marks=pytest.mark.slow),
    ],
)
def test_open_files_do_not_grow_with_the_cases(cases: int, files: int, tmp_path: Path) -> None:
    def run(*options: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(autoseg(*options, "--json", cwd=tmp_path).told)
        return document

    write_tiny_cases(tmp_path / "data", cases, unlabelled=8)
    write_tiny_predictions(tmp_path / "predictions", cases)
    workspace = ("--workspace", "w")
    with open_files(files):
        assert run("check", "data")["unlabelled"] == 8
        run("plan", "data", *workspace)
        assert len(run("preprocess", *workspace)["cases"]) == cases
        run("train", *workspace, "--epochs", "1", "--workers", "2", "--precision", "float32")
        assert run("select", *workspace)["selection"]
        assert run("report", *workspace)["written"]
        run("export", "model.autoseg", *workspace)
        run("predict", "data/imagesTs", "results", *workspace)
        run("evaluate", "predictions", "data/labelsTr", "--output", "scores")
