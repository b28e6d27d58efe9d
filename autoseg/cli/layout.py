"""How tables and lines fit a width: no word, no number and no number with its unit is ever broken.

A table that is too wide has its sentences wrapped; where that is not enough, every entry has lines of its own. Only a word
that is longer than the width leaves it.
"""

import re
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

GAP: Final = 2
"""Blanks between two columns."""

NARROWEST: Final = 24
"""Characters of a column of sentences below which a table is not read any more. Source: chosen."""

_SENTENCE: Final = re.compile(r"[^\W\d_]{2,} [^\W\d_]{2,}")
"""Two words, one after the other: what may be wrapped; numbers, intervals, sizes and names are not."""

LONG: Final = 40
"""Characters from which a cell of several words is wrapped, whatever it holds. Source: chosen; a list of values."""

_UNITS: Final = r"(?:%|(?:mm|ml|px|GB|MB|min|ms|s|h)\b)"
_TIED: Final = re.compile(
    rf"(?<=\d) (?={_UNITS})|(?<=[\d)]) (?=x \d)|(?<=\d x) (?=\d)|(?<=\d) (?=to -?\d)|(?<=\d to) (?=-?\d)"
)
"""Blanks that end no line: before a unit, and within sizes and intervals."""

_TIE: Final = "\N{NO-BREAK SPACE}"
_COMMAND: Final = re.compile(r"\s*(?:\w[^:]*: )?autoseg [a-z]")
"""A line to be pasted, which has to stay one."""


def laid_out(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, headings: bool, width: int
) -> tuple[list[str], list[str]]:
    """A table as lines.

    Args:
        columns: headings.
        rows: as many cells each as there are columns, of one line each; an empty first cell: as in the row above.
        headings: whether they are shown.
        width: of the terminal, in characters.

    Returns:
        lines of the headings, and those of the rows.
    """
    everything = [list(columns), *rows] if headings else list(rows)
    widths = _widths(list(zip(*everything, strict=True)), width=width)
    if widths is None:
        return [], [line for row in rows for line in _entry(columns, row, headings=headings, width=width)]
    lines = [_side_by_side(row, widths) for row in everything]
    head = lines.pop(0) if headings else []
    return head, [line for row in lines for line in row]


def wrapped(text: str, width: int, *, indent: str = "", hanging: str | None = None) -> list[str]:
    """A text in lines of a width; words that are longer stay whole.

    Args:
        text: one line.
        width: in characters.
        indent: what the first line begins with.
        hanging: what the others begin with; None: the same.

    Example:
        >>> wrapped("kept at 0.94 mm", 12)
        ['kept at', '0.94 mm']
    """
    lines, line = [], ""
    begins = indent
    for word in _TIED.sub(_TIE, text).split(" "):
        longer = f"{line} {word}" if line else word
        if line and cell_len(begins + longer) > width:
            lines.append(begins + line)
            begins, line = indent if hanging is None else hanging, word
        else:
            line = longer
    return [each.replace(_TIE, " ").rstrip() for each in [*lines, begins + line]]


def fitted_line(text: str, width: int) -> list[str]:
    """A line of a command's result in lines of a width; one that is to be pasted stays as it is."""
    if cell_len(text) <= width or _COMMAND.match(text):
        return [text]
    content = text.lstrip(" ")
    indent = text[: len(text) - len(content)]
    return wrapped(content, width, indent=indent, hanging=f"{indent}  ")


def _widths(cells: Sequence[Sequence[str]], *, width: int) -> list[int] | None:
    """Width of each column of cells; None where they do not fit side by side."""
    widths = [max(map(cell_len, column), default=0) for column in cells]
    missing = sum(widths) + GAP * (len(widths) - 1) - width
    if missing <= 0:
        return widths
    spare = {
        index: widths[index] - least
        for index, column in enumerate(cells)
        if index and any(map(_may_wrap, column)) and (least := _least(column, widths[index])) < widths[index]
    }
    if sum(spare.values()) < missing:
        return None
    left = sum(spare.values())
    for index, own in spare.items():
        taken = -(-missing * own // left)
        widths[index] -= taken
        missing, left = missing - taken, left - own
    return widths


def _may_wrap(cell: str) -> bool:
    return _SENTENCE.search(cell) is not None or (cell_len(cell) > LONG and " " in cell)


def _least(column: Sequence[str], natural: int) -> int:
    """The least width of a column of sentences."""
    words = [word for cell in column for word in _TIED.sub(_TIE, cell).split(" ")]
    return max(min(natural, NARROWEST), *map(cell_len, words))


def _side_by_side(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    height = max(map(len, cells), default=0)
    lines = []
    for number in range(height):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        padded = [part + " " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True)]
        lines.append((" " * GAP).join(padded).rstrip())
    return lines


def _entry(columns: Sequence[str], row: Sequence[str], *, headings: bool, width: int) -> list[str]:
    """A row with lines of its own: what it is about, and below that every other cell with its heading.

    Without headings, what follows the first other cell stands in brackets.
    """
    first, *others = row
    lines = wrapped(first, width, hanging="  ") if first else []
    for number, (column, cell) in enumerate(zip(columns[1:], others, strict=True)):
        if cell:
            told = f"{column}: {cell}" if headings else f"({cell})" if number else cell
            lines += wrapped(told, width, indent="  ", hanging="    ")
    return lines
