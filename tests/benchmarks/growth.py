"""What every command takes for how many cases: time, memory, disk, files and open descriptors, for very many tiny scans.

`python tests/benchmarks/growth.py 100 1000` prints the table of `docs/explanation/scale.md`. Each command is a process of
its own on one core, after the one before it, and takes what a user's takes. `tests/benchmarks/test_growth.py` checks how it
grows.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.tiny_cases import write_tiny_cases

COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "check": ("check", "data", "--jobs", "1"),
    "plan": ("plan", "data", "-w", "run", "--folds", "2", "--jobs", "1", "--set", "training.steps_per_epoch=20"),
    "preprocess": ("preprocess", "-w", "run", "--jobs", "1"),
    "train, 2 folds of 2 epochs": ("train", "-w", "run", "--fold", "all", "--epochs", "2", "--jobs", "1", "--workers", "0"),
    "select": ("select", "-w", "run", "--jobs", "1"),
    "predict": ("predict", "data/imagesTr", "results", "-w", "run", "--precision", "float32"),
    "predict again": ("predict", "data/imagesTr", "results", "-w", "run", "--precision", "float32"),
    "evaluate": ("evaluate", "results", "data/labelsTr", "-w", "run", "--jobs", "1"),
    "report": ("report", "-w", "run"),
    "export": ("export", "model.autoseg", "-w", "run"),
    "clean": ("clean", "-w", "run", "--dry-run"),
}
"""In the order of the story, in the folder that holds `data`."""

_SAMPLE_S: Final = 0.05


@dataclass(frozen=True)
class Taken:
    """What a command took.

    Attributes:
        cpu_s: processor time, its children's included.
        wall_s: time that passed.
        memory_mb: the largest resident set of one of its processes.
        disk_mb: what it left on the disk.
        files: how many files it left.
        descriptors: open at a time in its main process, at most, as sampled.
    """

    cpu_s: float
    wall_s: float
    memory_mb: float
    disk_mb: float
    files: int
    descriptors: int


def measure(cases: int, home: Path, *, commands: Iterable[str] = tuple(COMMANDS)) -> dict[str, Taken]:
    """Run commands on a new data set of so many cases, one after the other."""
    write_tiny_cases(home / "data", cases)
    return {name: run(COMMANDS[name], home) for name in commands}


def run(arguments: Sequence[str], home: Path) -> Taken:
    """Run one command to its end.

    Raises:
        RuntimeError: it failed; says what it said.
    """
    bytes_before, files_before = usage(home)
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    began = time.monotonic()
    with (home / "said.txt").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "autoseg", *arguments], cwd=home, env=variables, stdout=subprocess.DEVNULL, stderr=said
        )
        most, over = [0], threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, most, over))
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        over.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            msg = f"{arguments}: exit code {process.returncode}\n{said.read()[-2000:]}"
            raise RuntimeError(msg)
    wall_s = time.monotonic() - began
    bytes_after, files_after = usage(home)
    return Taken(
        used.ru_utime + used.ru_stime,
        wall_s,
        used.ru_maxrss / 1024,
        (bytes_after - bytes_before) / 1e6,
        files_after - files_before,
        most[0],
    )


def _watch(process: int, most: list[int], over: threading.Event) -> None:
    while not over.wait(_SAMPLE_S):
        with suppress(OSError):
            most[0] = max(most[0], len(list(Path(f"/proc/{process}/fd").iterdir())))


def usage(folder: Path) -> tuple[int, int]:
    """Bytes on the disk and files in a folder and below it."""
    total = files = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name != "said.txt":
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512  # noqa: PTH118 - very many of them
                files += 1
    return total, files


def table(found: Mapping[int, Mapping[str, Taken]]) -> str:
    """A table in Markdown: a line for each command, and in each cell what it took for how many cases."""
    lines = ["| command | processor s | memory, MB | disk, MB | files | descriptors |", "|---|---|---|---|---|---|"]
    for name in COMMANDS:
        taken = [measured[name] for measured in found.values() if name in measured]
        columns = (
            [f"{one.cpu_s:.0f}" for one in taken],
            [f"{one.memory_mb:.0f}" for one in taken],
            [f"{one.disk_mb:.1f}" for one in taken],
            [str(one.files) for one in taken],
            [str(one.descriptors) for one in taken],
        )
        lines.append(f"| {name} | {' | '.join(' / '.join(column) for column in columns)} |")
    return "\n".join(lines)


def main(sizes: Sequence[int]) -> None:
    """Measure and print, each command as soon as it has ended."""
    found: dict[int, dict[str, Taken]] = {}
    for cases in sizes:
        home = Path(tempfile.mkdtemp(prefix="growth-"))
        write_tiny_cases(home / "data", cases)
        found[cases] = {}
        for name, arguments in COMMANDS.items():
            found[cases][name] = run(arguments, home)
            print(cases, name, found[cases][name], flush=True)
        shutil.rmtree(home)
    print(table(found))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [100, 1000])
