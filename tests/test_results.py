"""What functions give back: told in a line, in HTML, and as a data frame."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from autoseg.errors import UsageError
from autoseg.results import MOST_ROWS, Records


@dataclass(frozen=True, repr=False)
class Counted(Records):
    """Numbers by name."""

    numbers: Mapping[str, float | None]

    def _in_short(self) -> str:
        return f"{len(self.numbers)} numbers of {', '.join(self.numbers)}"

    def _records(self) -> Sequence[Mapping[str, Any]]:
        return [{"name": name, "number": number} for name, number in self.numbers.items()]


def test_it_is_told_in_one_line_whatever_names_hold() -> None:
    assert repr(Counted({"a": 1.0, "b\nc\x1b": 2.0})) == "<Counted: 2 numbers of a, b\\nc\\x1b>"


def test_a_notebook_shows_text_as_text() -> None:
    shown = Counted({"<b>a</b>": 0.123456, "c": float("nan")})._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;a&lt;/b&gt;" in shown
    assert ">0.1235<" in shown
    assert "nan" not in shown


def test_a_long_table_is_cut_and_says_so() -> None:
    shown = Counted({str(number): float(number) for number in range(MOST_ROWS + 1200)})._repr_html_()
    assert shown.count("<tr>") == 1 + MOST_ROWS
    assert "1,200 more rows" in shown
    assert "more rows" not in Counted({"a": 1.0})._repr_html_()


def test_numbers_become_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    frame = Counted({"a": 1.5, "b": None}).to_pandas()
    expected = pandas.DataFrame({"name": ["a", "b"], "number": [1.5, float("nan")]})
    pandas.testing.assert_frame_equal(frame, expected)


def test_without_pandas_it_is_said_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="pandas is not installed") as refused:
        Counted({}).to_pandas()
    assert "pip install pandas" in refused.value.remedy
