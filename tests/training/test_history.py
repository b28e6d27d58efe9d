"""Histories of this version, of others, and of 0.1."""

import math
from pathlib import Path

import pytest

from autoseg.errors import WorkspaceError
from autoseg.training.history import (
    EpochRecord,
    StepRecord,
    append_steps,
    keep_steps,
    read_history,
    read_steps,
    write_history,
)

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace" / "models" / "unet" / "fold_0"
EPOCH = EpochRecord(
    epoch=1, seconds=1.5, learning_rate=0.01234567, slices_per_s=20.0, training_loss=0.5, training_dice=0.25,
    validation_loss=1.0, validation_dice=0.125, class_dice={"CSF": 0.125, "grey, matter": math.nan},
    validation_slices=32,
)  # fmt: skip


def test_the_files_as_users_see_them(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [EPOCH])
    assert (tmp_path / "history.csv").read_text() == (
        "epoch,seconds,learning_rate,slices_per_s,training_loss,training_dice,validation_loss,validation_dice,"
        'validation_slices,validation_dice_CSF,"validation_dice_grey, matter"\n'
        "1,1.5,0.0123457,20.0,0.5,0.25,1.0,0.125,32,0.125,\n"
    )
    append_steps(tmp_path / "steps.csv", [StepRecord(step=1, seconds=1 / 3, learning_rate=1e-9, loss=2.0)])
    assert (tmp_path / "steps.csv").read_text() == "step,seconds,learning_rate,loss\n1,0.333333,1e-09,2.0\n"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [EPOCH])
    [row] = read_history(tmp_path / "history.csv")
    assert row == pytest.approx(EPOCH.row(), rel=1e-5, nan_ok=True)


def test_what_0_1_wrote_is_read() -> None:
    rows = read_history(STORED / "history.csv")
    assert rows[1]["validation_dice_WM"] == 0.649605
    assert (
        rows[1].keys()
        == {*rows[0]}
        == {*EPOCH.row()} - {"validation_dice_grey, matter"}
        | {
            "validation_dice_GM",
            "validation_dice_WM",
        }
    )


def test_more_columns_are_ignored_and_fewer_are_undefined(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("weather,training_loss,epoch\nrain,0.5,1\n")
    [row] = read_history(path)
    assert (row["epoch"], row["training_loss"]) == (1, 0.5)
    assert math.isnan(row["validation_loss"])
    assert "weather" not in row


def test_what_is_no_history_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    with pytest.raises(WorkspaceError, match="no such file"):
        read_history(path)
    path.write_text("training_loss\n0.5\n")
    with pytest.raises(WorkspaceError, match="with the columns epoch"):
        read_history(path)


def steps(first: int, last: int) -> list[StepRecord]:
    return [StepRecord(step=step, seconds=step / 4, learning_rate=0.25, loss=1 / 8) for step in range(first, last + 1)]


def test_steps_are_added_to_those_before(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    append_steps(path, steps(1, 3))
    append_steps(path, steps(4, 5))
    assert read_steps(path) == steps(1, 5)


@pytest.mark.parametrize(
    "behind", ["4,1.0,0.25,0.125\n", "4,1.0,0.", "4", '"', ""], ids=["step", "half", "digit", "quote", "none"]
)
def test_what_an_interrupted_epoch_added_to_the_steps_goes(tmp_path: Path, behind: str) -> None:
    path = tmp_path / "steps.csv"
    append_steps(path, steps(1, 3))
    with path.open("a") as stream:
        stream.write(behind)
    assert keep_steps(path, most=3) == 3
    append_steps(path, steps(4, 4))
    assert read_steps(path) == steps(1, 4)


@pytest.mark.parametrize("content", [None, b"", b"step", b"step,loss\n1,2.0\n", b"\xff\n"])
def test_a_table_of_steps_that_is_lost_begins_anew(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "steps.csv"
    if content is not None:
        path.write_bytes(content)
    assert keep_steps(path, most=3) == 0
    append_steps(path, steps(4, 4))
    assert read_steps(path) == steps(4, 4)


def test_the_steps_of_0_1_are_read_and_added_to(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    path.write_bytes((STORED / "steps.csv").read_bytes())
    before = read_steps(path)
    assert keep_steps(path, most=2) == 2
    append_steps(path, before[2:])
    assert path.read_bytes() == (STORED / "steps.csv").read_bytes()
