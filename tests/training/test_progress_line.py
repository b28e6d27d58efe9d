import math

from autoseg.training.history import EpochRecord
from autoseg.training.progress_line import Standing


def record(epoch: int, dice: float, **classes: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch, seconds=1.0, learning_rate=0.1, slices_per_s=1.0, training_loss=0.5, training_dice=0.25,
        validation_loss=0.5, validation_dice=dice, class_dice=classes or {"ball": dice},
    )  # fmt: skip


def test_the_fields_stay_the_same_from_the_beginning() -> None:
    standing = Standing(held_out=True)
    before = standing.fields
    assert before == {"validation_Dice": "after the first epoch", "best": "", "epoch": ""}
    standing.update(record(1, 0.5))
    assert list(standing.fields) == list(before)


def test_dice_per_class_and_the_best_so_far() -> None:
    standing = Standing(held_out=True)
    for epoch, dice in enumerate((0.5, 0.876, 0.874), start=1):
        standing.update(record(epoch, dice, CSF=0.81, GM=0.9, WM=math.nan))
    assert standing.fields == {
        "validation_Dice": "0.874 (CSF 0.810, GM 0.900, WM n/a)",
        "best": "0.876 (epoch 2)",
        "epoch": "3",
    }


def test_one_class_is_said_once_and_of_many_the_worst() -> None:
    standing = Standing(held_out=True)
    standing.update(record(1, 0.5))
    assert standing.fields["validation_Dice"] == "0.500"
    standing.update(record(2, 0.5, **{f"organ {number}": number / 20 for number in range(1, 20)}))
    assert standing.fields["validation_Dice"] == "0.500 (lowest: organ 1 0.050)"
    standing.update(record(3, math.nan, **{f"organ {number}": math.nan for number in range(20)}))
    assert standing.fields["validation_Dice"] == "n/a"


def test_without_held_out_cases_the_training_is_watched() -> None:
    standing = Standing(held_out=False)
    standing.update(record(1, math.nan, CSF=math.nan, GM=math.nan))
    assert standing.fields == {"training_Dice": "0.250", "best": "0.250 (epoch 1)", "epoch": "1"}


def test_nothing_that_was_found_is_no_best() -> None:
    standing = Standing(held_out=True)
    standing.update(record(1, math.nan))
    assert standing.fields["best"] == ""


def test_the_best_is_among_those_that_compete() -> None:
    standing = Standing(held_out=True)
    standing.update(record(1, 0.9), competes=False)
    assert standing.fields == {"validation_Dice": "0.900", "best": "", "epoch": "1"}
    standing.update(record(2, 0.5))
    assert standing.fields["best"] == "0.500 (epoch 2)"
