"""The scans of a folder of results that could not be segmented, in a table of their own until they can."""

from collections.abc import Iterable, Sequence
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
    "a table of failures", required=(_CASE, _PROBLEM), remedy="Delete it: the next `autoseg predict` writes it again."
)


def note_failures(folder: Path, part: Part, *, tried: Iterable[str], failures: Sequence[tuple[str, AutosegError]]) -> None:
    """Note which of the scans that were tried failed, and why; those that failed before and do so no more are struck out.

    Args:
        folder: of the results.
        part: of the scans that was in work.
        tried: ids of all scans that were.
        failures: ids of those that failed, with what is wrong.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
        WorkspaceError: the table of earlier failures is none.
    """
    path = folder / FAILURES_FILE
    with nullcontext() if part.is_whole else alone(folder):
        earlier = read_failures(folder)
        now = {case: problem for case, problem in earlier.items() if case not in set(tried)}
        now |= {case: " ".join(error.message.split()) for case, error in failures}
        if now and now != earlier:
            tables.write_table(path, (_CASE, _PROBLEM), [{_CASE: case, _PROBLEM: now[case]} for case in sorted(now)])
        elif not now:
            files.remove([path])


def read_failures(folder: Path) -> dict[str, str]:
    """What is wrong with the scans that could not be segmented, by id; none where there is no such table.

    Raises:
        WorkspaceError: it is none, or cannot be read.
    """
    path = folder / FAILURES_FILE
    if not path.exists():
        return {}
    content = tables.read_content(path, kind=_KIND)
    return dict(tables.parse_table(content, lambda row: (row.text(_CASE), row.text(_PROBLEM)), kind=_KIND, path=path))
