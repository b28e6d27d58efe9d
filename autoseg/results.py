"""What functions give back, as people meet it: a line where it is printed, tables in a notebook, a data frame for pandas."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan
from typing import TYPE_CHECKING, Any, Final, Protocol

from autoseg.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_ROWS: Final = 30
"""Rows of a table that a notebook shows; a data frame has them all. Source: chosen; about a screen."""


class Tabulated(Protocol):
    """A table: its title, its headings, and as many cells in each row."""

    @property
    def title(self) -> str:
        """What it shows."""

    @property
    def columns(self) -> Sequence[str]:
        """Headings."""

    @property
    def rows(self) -> Sequence[Sequence[str]]:
        """Cells."""

    @property
    def headings(self) -> bool:
        """Whether the headings are shown."""


@dataclass(frozen=True)
class _Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    headings: bool = True


class Result(ABC):
    """What a function gives back. Its class says how it is told in short, and which tables a notebook shows."""

    @abstractmethod
    def _in_short(self) -> str:
        """What it is, in a line."""

    def _tables(self) -> Sequence[Tabulated]:
        """What a notebook shows below that line."""
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {_in_a_line(self._in_short())}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return f"<p>{escape(_in_a_line(self._in_short()))}</p>" + "".join(map(html_table, self._tables()))


class Records(Result):
    """A result that is also a table of numbers."""

    @abstractmethod
    def _records(self) -> Sequence[Mapping[str, Any]]:
        """Its rows by their columns."""

    def _tables(self) -> Sequence[Tabulated]:
        records = self._records()
        columns = tuple(dict.fromkeys(name for record in records for name in record))
        return (_Table("", columns, [[_cell(record.get(name)) for name in columns] for record in records]),)

    def to_pandas(self) -> "DataFrame":
        """The numbers as a data frame; NaN where one is undefined.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - no dependency: only who asks for a data frame needs it
        except ImportError:
            raise UsageError("pandas is not installed", remedy="Install it: pip install pandas.") from None
        return pd.DataFrame.from_records(list(self._records()))


def html_table(table: Tabulated) -> str:
    """A table as HTML, whatever its cells hold; of a long one the first rows."""
    heads = "".join(f"<th>{escape(column)}</th>" for column in table.columns if table.headings)
    head = f"<thead><tr>{heads}</tr></thead>" if heads else ""
    rows = "".join(_html_row(row) for row in table.rows[:MOST_ROWS])
    left_out = len(table.rows) - MOST_ROWS
    note = f"<p>... and {left_out:,} more rows</p>" if left_out > 0 else ""
    caption = (
        f'<caption style="text-align: left; white-space: nowrap">{escape(table.title)}</caption>' if table.title else ""
    )
    return f"<table>{caption}{head}<tbody>{rows}</tbody></table>{note}"


def _html_row(row: Sequence[str]) -> str:
    first, *others = row
    cells = "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in others)
    return f'<tr><th style="text-align: left">{escape(first)}</th>{cells}</tr>'


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def _in_a_line(text: str) -> str:
    """Text in which no name from outside breaks the line or hides."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
