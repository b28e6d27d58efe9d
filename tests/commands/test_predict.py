"""What `autoseg predict` says."""

from pathlib import Path

import pytest

from autoseg.commands import predict


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ((), "all others are there, too"),
        (("a",), "1 of the other parts is missing"),
        (("a", "b"), "2 of the other parts are missing"),
    ],
)
def test_a_part_says_how_much_the_others_have_left(missing: tuple[str, ...], expected: str) -> None:
    said = predict.describe(predict.PredictResult((), (), Path("table.csv"), (), part="1/3", missing=missing))
    assert f"Part 1/3: 0 scans; {expected}" in said.text.splitlines()
