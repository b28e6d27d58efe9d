"""Tables on disk, as CSV that ages: columns have names, and a table may have more or fewer of them than this version writes.

One policy for all: UTF-8, a header, a comma between cells, quotes only where a cell needs them. A number is written with as
many digits as reading it back exactly takes; who writes fewer rounds it before. A number that is undefined is an empty cell,
and so is an infinite one, which is read as undefined where other programs write it: no mean and no test has a use for it.

Text that a spreadsheet would run as a formula, in a cell or in the name of a column, has an apostrophe before it, which
readers here take off. Numbers have none.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from autoseg.errors import WorkspaceError
from autoseg.storage import files

Cell = str | int | float | None
"""What a cell holds; None and numbers that are not finite: nothing."""

_Parsed = TypeVar("_Parsed")

_SEPARATED: Final = r"(^|[;\t\n])"
"""Where a cell may begin, also for a spreadsheet that takes semicolons or tabs for what separates cells, and no quotes."""

_RUNS: Final = r"(?=[^\S\t\r\n]*[=+\-@\t\r\n'\uff0b\uff0d\uff1d\uff20])"
"""What begins a formula, in wide forms too, and the apostrophe, so that one that was there before is told from ours.

Source: the rules of OWASP on CSV injection, and that spreadsheets pass over leading blanks.
"""

_TO_GUARD: Final = re.compile(_SEPARATED + _RUNS)
_GUARDED: Final = re.compile(f"{_SEPARATED}'{_RUNS}")


@dataclass(frozen=True)
class Row:
    """One line of a table, as text.

    Attributes:
        cells: by column.
    """

    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """A cell; empty where the table has no such column."""
        return self.cells.get(column, "")

    def integer(self, column: str) -> int:
        """A whole number.

        Raises:
            ValueError: the cell holds none.
        """
        try:
            return int(self.text(column))
        except ValueError:
            raise _not_a_number(column, self.text(column)) from None

    def number(self, column: str) -> float:
        """A number; NaN where the cell is empty, or its number infinite, or the table has no such column.

        Raises:
            ValueError: the cell holds something else.
        """
        text = self.text(column)
        try:
            number = float(text) if text else math.nan
        except ValueError:
            raise _not_a_number(column, text) from None
        return number if math.isfinite(number) else math.nan


@dataclass(frozen=True)
class TableKind:
    """What a reader says of a file that is no such table.

    Attributes:
        what: what it should be, for example "a table of scores".
        required: the columns that the reader cannot do without.
        remedy: what the user can do.
    """

    what: str
    required: tuple[str, ...]
    remedy: str


def table_text(columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> str:
    """A table as text.

    Args:
        columns: names, in their order.
        rows: cells by column; a missing one is empty.

    Raises:
        ValueError: a row has a cell in no column, or two columns have one name.
    """
    if len(set(columns)) < len(columns):
        msg = f"columns need different names, not {', '.join(columns)}"
        raise ValueError(msg)
    text = io.StringIO()
    writer = csv.DictWriter(text, [_guarded(name) for name in columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows({_guarded(name): _written(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue()


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> None:
    """Replace a table in one step; see `table_text`.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    files.write_text(path, table_text(columns, rows))


def append_to_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Cell]], *, sync: bool = True) -> None:
    """Add lines to a table, which begins with the columns where there is none; see `table_text` and `files.append_bytes`.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    header, text = table_text(columns, []), table_text(columns, rows)
    files.append_bytes(path, text.removeprefix(header if path.exists() else "").encode(), sync=sync)


def read_table(path: Path, parse: Callable[[Row], _Parsed], *, kind: TableKind) -> list[_Parsed]:
    """Read a table, line by line.

    Args:
        path: the file.
        parse: makes something of a line; a ValueError says what is wrong with it.
        kind: what the table is.

    Raises:
        WorkspaceError: missing, not CSV, a required column is missing, a line has a cell too many or too few, or cannot be
            parsed; names the columns or the line.
    """
    return parse_table(read_content(path, kind=kind), parse, kind=kind, path=path)


def read_content(path: Path, *, kind: TableKind) -> bytes:
    """The bytes of a table's file, for `parse_table`.

    Raises:
        WorkspaceError: missing, or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as cause:
        missing = isinstance(cause, FileNotFoundError)
        raise _unreadable(path, kind, "no such file" if missing else f"what cannot be read ({cause.strerror})") from None


def parse_table(content: bytes, parse: Callable[[Row], _Parsed], *, kind: TableKind, path: Path) -> list[_Parsed]:
    """Read a table from the bytes of its file; see `read_table`."""
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    except UnicodeDecodeError:
        raise _unreadable(path, kind, "no text") from None
    try:
        columns = _columns(next(reader, []), path, kind)
        return [parse(_row(columns, cells)) for cells in reader if cells]
    except (ValueError, csv.Error) as cause:
        raise _unreadable(path, kind, f"line {reader.line_num}: {cause}") from None


def whole_lines(content: bytes) -> bytes:
    """The lines of a table that end as they were written: what a killed process began to add is left out.

    A line ends where a break stands outside of quotes, which is where an even number of them stands before it.
    """
    quotes, end = content.count(b'"'), len(content)
    while (last := content.rfind(b"\n", 0, end)) >= 0:
        quotes -= content.count(b'"', last, end)
        if quotes % 2 == 0:
            return content[: last + 1]
        end = last
    return b""


def as_cell(text: str) -> Cell:
    """What a cell that was read holds, for writing it again: a number where it is written as one is here, else the text."""
    for number in (int, float):
        try:
            if math.isfinite(value := number(text)) and repr(value) == text:
                return value
        except ValueError:
            continue
    return text


def _columns(header: Sequence[str], path: Path, kind: TableKind) -> Sequence[str]:
    header = [_unguarded(name) for name in header]
    named = f"the columns {', '.join(header)}" if header else "no columns"
    if len(set(header)) < len(header) or not set(kind.required) <= set(header):
        raise _unreadable(path, kind, named)
    return header


def _row(columns: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(columns):
        msg = f"{len(cells)} cells instead of {len(columns)}"
        raise ValueError(msg)
    return Row({name: _unguarded(cell) for name, cell in zip(columns, cells, strict=True)})


def _written(cell: Cell) -> str | int:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    if isinstance(cell, str):
        return _guarded(cell)
    return repr(float(cell)) if isinstance(cell, float) else cell


def _guarded(text: str) -> str:
    text = text.replace("\r", " ")  # alone it ends a line for a reader, and is not quoted before Python 3.13
    return _TO_GUARD.sub(r"\1'", text)


def _unguarded(text: str) -> str:
    return _GUARDED.sub(r"\1", text)


def _not_a_number(column: str, text: str) -> ValueError:
    return ValueError(f"{column} is {text[:40]!r}, not a number")


def _unreadable(path: Path, kind: TableKind, found: str) -> WorkspaceError:
    return WorkspaceError(
        f"not {kind.what}",
        where=path,
        expected=f"CSV with the columns {', '.join(kind.required)}",
        found=found,
        remedy=kind.remedy,
    )
