"""The scans of a folder of results that could not be segmented, in a table of their own until they can."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from autoseg.errors import AutosegError
from autoseg.inference.part import Part
from autoseg.inference.part_files import alone
from autoseg.storage import files, tables
from autoseg.storage.tables import TableKind

FAILURES_FILE: Final = "failures.csv"

_CASE, _PROBLEM = "case", "problem"
_KIND: Final = TableKind(
    "a table of failures",
    required=(_CASE, _PROBLEM),
    remedy="Move it away, or delete it: `autoseg predict` writes it again.",
)


def note_failures(folder: Path, part: Part, *, tried: Iterable[str], failures: Sequence[tuple[str, AutosegError]]) -> None:
    """Note which of the scans that were tried failed, and why; those that failed before and do so no more are struck out.

    Cells that others added to the table stay with their scans.

    Args:
        folder: of the results.
        part: of the scans that was in work.
        tried: ids of all scans that were.
        failures: ids of those that failed, with what is wrong.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
        WorkspaceError: the table of earlier failures is none.
    """
    path, done = folder / FAILURES_FILE, frozenset(tried)
    with nullcontext() if part.is_whole else alone(folder):
        earlier = _read(folder)
        now = {case: cells for case, cells in earlier.items() if case not in done}
        for case, error in failures:
            now[case] = {**earlier.get(case, {}), _CASE: case, _PROBLEM: " ".join(error.message.split())}
        if now and now != earlier:
            columns = dict.fromkeys((_CASE, _PROBLEM, *(column for cells in now.values() for column in cells)))
            tables.write_table(path, tuple(columns), [_cells(now[case]) for case in sorted(now)])
        elif not now:
            files.remove([path])


def read_failures(folder: Path) -> dict[str, str]:
    """What is wrong with the scans that could not be segmented, by id; none where there is no such table.

    Raises:
        WorkspaceError: it is none, or cannot be read.
    """
    return {case: cells[_PROBLEM] for case, cells in _read(folder).items()}


def _read(folder: Path) -> dict[str, Mapping[str, str]]:
    """The cells of each line, by column, by case."""
    path = folder / FAILURES_FILE
    if not path.exists():
        return {}
    content = tables.read_content(path, kind=_KIND)
    return {cells[_CASE]: cells for cells in tables.parse_table(content, lambda row: row.cells, kind=_KIND, path=path)}


def _cells(cells: Mapping[str, str]) -> dict[str, tables.Cell]:
    own = (_CASE, _PROBLEM)
    return {column: cell if column in own else tables.as_cell(cell) for column, cell in cells.items()}
