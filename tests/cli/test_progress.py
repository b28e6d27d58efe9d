"""How the line of a training looks; the other properties of bars and lines are in test_console.py."""

import io
import re
import time

import pytest

from autoseg.cli.console import Console
from autoseg.cli.progress import packed
from autoseg.events import LEFT

MOVES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
NOON = time.mktime((2026, 11, 26, 12, 0, 0, 0, 0, -1))
FIELDS = {
    "validation_Dice": "0.874 (CSF 0.810, GM 0.903, WM 0.912)",
    "best": "0.876 (epoch 12)",
    "epoch": "14",
    "lr": 1.25e-3,
    "loss": 0.2134,
    "validation_loss": 0.2411,
    "slices_per_s": 98.4,
}
"""What a training says after an epoch; longer than a line of 80 columns."""


def last_frame(stream: io.StringIO) -> str:
    """What stands there in the end."""
    return MOVES.sub("", stream.getvalue().split("\x1b[2K")[-1])


def test_a_training_is_told_in_three_lines_of_80_columns_the_dice_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    console = Console(stream=stream, terminal=True, now=lambda: 0.0, wall_clock=lambda: NOON)
    with console.track("unet, fold 0", total=3600, unit="s") as bar:
        bar.advance(900, **FIELDS, **{LEFT: 3000.0})
    shown = [line for line in last_frame(stream).splitlines() if line.strip()]
    assert re.fullmatch(r"unet, fold 0 \S+\s+25% 15:00/1:00:00 50:00 left \(until 12:50\)\s*", shown[0])
    assert shown[1].rstrip() == "  validation Dice 0.874 (CSF 0.810, GM 0.903, WM 0.912)  best 0.876 (epoch 12)"
    assert shown[2].rstrip() == "    epoch 14  lr 0.00125  loss 0.213  validation loss 0.241  98.4 slices/s"
    assert max(map(len, shown)) <= 80


def test_the_time_that_is_left_passes_while_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    seconds = [0.0]
    stream = io.StringIO()
    console = Console(stream=stream, terminal=True, now=lambda: seconds[0], wall_clock=lambda: NOON + seconds[0])
    with console.track("all runs", total=4, unit="runs") as bar:
        bar.advance(1, **{LEFT: 100.0})
        seconds[0] = 40.0
    assert "1:00 left (until 12:01)" in last_frame(stream)


def test_a_log_has_all_of_it_in_one_line() -> None:
    now, stream = [0.0], io.StringIO()
    console = Console(stream=stream, terminal=False, now=lambda: now[0], wall_clock=lambda: NOON + now[0])
    with console.track("unet, fold 0", total=3600, unit="s") as bar:
        bar.advance(0, validation_Dice="after the first epoch", best="", epoch="")
        now[0] = 20.0
        bar.advance(20, lr=1.25e-3, loss=0.21, **{LEFT: 4180.0})
        now[0] = 30.0
        bar.advance(10, **FIELDS, **{LEFT: 4170.0})
    first, second, third, last = stream.getvalue().splitlines()
    assert first == "unet, fold 0: 1:00:00"
    assert second == (
        "unet, fold 0: 0:20/1:00:00 (1%), 1:09:40 left (until 13:10)"
        "  validation Dice after the first epoch  lr 0.00125  loss 0.21"
    )
    assert third == (
        "unet, fold 0: 0:30/1:00:00 (1%), 1:09:30 left (until 13:10)"
        "  validation Dice 0.874 (CSF 0.810, GM 0.903, WM 0.912)  best 0.876 (epoch 12)  epoch 14"
        "  lr 0.00125  loss 0.213  validation loss 0.241  98.4 slices/s"
    )
    assert last.startswith("unet, fold 0: 0:30/1:00:00, done in 0:30  validation Dice 0.874")


def test_cells_are_packed_whole() -> None:
    assert packed([], owner="a: ", width=20) == []
    assert packed(["one 1", "two 2", "three 3"], owner="a: ", width=20) == ["  a: one 1  two 2", "    three 3"]
    assert packed(["one 1", "two 2"], owner="a: ", width=17) == ["  a: one 1  two 2"]
    assert packed(["much too long for it", "two 2"], owner="", width=10) == ["  much too long for it", "    two 2"]
