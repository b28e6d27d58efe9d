"""The table of a folder of results as it grows: a line per scan is added, and it is written whole and sorted at the end.

So its cost is linear in the scans, and whatever ends the process, every scan that is finished has its line: in the table,
or in the journal of its part (`inference.part_files`), which whoever comes next enters in the table.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from autoseg.data.dataset import LabelClass
from autoseg.errors import AutosegError
from autoseg.inference.part import WHOLE
from autoseg.inference.part_files import PartFiles, all_parts, alone, beginning, in_work
from autoseg.inference.table import TABLE_FILE, PredictionRow, StoredTable, append_row, read_table, write_table
from autoseg.inference.unentered import Unentered, read_unentered, unfinished
from autoseg.storage.files import remove

_NOT_WRITTEN: Final = ()
"""No columns: lines cannot be added to the file, which has to be written whole."""

_SYNC_S: Final = 1.0
"""Between two waits for the disk. Source: chosen; a wait takes about 10 ms, which 10,000 tiny scans would notice."""


class FolderTable:
    """The rows of a folder of results, and adding to them.

    Args:
        files: of the part of the scans that is in work.
        stored: what has been entered by anybody.
        unentered: cases whose results may be on disk while no row says so.
        classes: those of the model.

    Attributes:
        rows: of all scans, by case.
        unentered: as given.
    """

    def __init__(
        self, files: PartFiles, stored: StoredTable, unentered: Unentered, *, classes: Sequence[LabelClass]
    ) -> None:
        self.rows, self.unentered = stored.rows, unentered
        self._files, self._classes = files, classes
        whole = files.part.is_whole
        self._journal = stored.rows if whole else dict[str, PredictionRow]()
        self._columns = stored.columns if whole else _NOT_WRITTEN
        self._in_order = stored.in_order
        self._unsynced: list[str] = []
        self._synced_s = -math.inf

    def begin(self, case: str) -> None:
        """Note that results of a case are written from now on.

        Raises:
            SystemFailureError: the disk is full, or the place may not be written.
        """
        self.unentered.begin(case, self.rows.get(case))

    def add(self, row: PredictionRow) -> None:
        """Enter a scan: afterwards it counts as finished, whatever happens to the process.

        A power cut may undo what was entered in the last second; the note still has these cases then.

        Raises:
            SystemFailureError: the disk is full, or the place may not be written.
        """
        path, columns = self._files.journal, self._columns
        self.unentered.entering(row)
        self.rows[row.case] = self._journal[row.case] = row
        self._columns, self._in_order = _NOT_WRITTEN, False  # where adding fails, half a line may be there
        self._unsynced.append(row.case)
        sync = (now := time.monotonic()) - self._synced_s >= _SYNC_S
        if columns and append_row(path, row, columns=columns, classes=self._classes, sync=sync):
            self._columns = columns
        else:
            self._columns, sync = write_table(path, list(self._journal.values()), classes=self._classes), True
        if sync:
            self.unentered.entered(self._unsynced)
            self._unsynced, self._synced_s = [], now

    def found_whole(self, case: str) -> None:
        """Note that all there is of a scan is as its row says: a command that was killed may have begun it again.

        Raises:
            SystemFailureError: the disk is full, or the place may not be written.
        """
        self.unentered.found_whole(case)

    def finish(self) -> None:
        """Write the table whole and sorted, with what other parts have entered meanwhile.

        Raises:
            SystemFailureError: the disk is full, or the place may not be written.
            WorkspaceError: the table was replaced by something else.
        """
        if self._files.part.is_whole:
            self._write()
            return
        with alone(self._files.folder):
            stored = read_folder(self._files.folder, classes=self._classes)
            self.rows.update({case: row for case, row in stored.rows.items() if case not in self._journal})
            self._in_order = stored.in_order
            self._write()
            remove([self._files.journal])

    def _write(self) -> None:
        if not self._in_order:
            write_table(self._files.folder / TABLE_FILE, list(self.rows.values()), classes=self._classes)
        self.unentered.entered(self._unsynced)
        self.unentered.close()


@contextmanager
def folder_table(files: PartFiles, *, classes: Sequence[LabelClass], settings: tuple[str, str]) -> Iterator[FolderTable]:
    """The table of a folder for the one process that works on a part; at the end of the block it is written whole.

    Args:
        files: of the part.
        classes: those of the model.
        settings: digest of what the scans are segmented with, and what people call it.

    Raises:
        WorkspaceError: another process works on the same scans, or the table is none.
        UsageError: other parts are segmented with other models or settings.
        SystemFailureError: the disk is full, or the place may not be written.
    """
    with ExitStack() as held:
        with beginning(files, held, settings=settings):
            table = _taken_over(files, classes=classes, settings=settings)
        try:
            yield table
        except BaseException:
            with suppress(AutosegError):  # what ended the block is what matters
                table.finish()
            raise
        table.finish()


def read_folder(folder: Path, *, classes: Sequence[LabelClass]) -> StoredTable:
    """Read what has been entered in a folder of results, by processes that are in work or were killed too.

    Raises:
        WorkspaceError: its table is none, or cannot be read.
    """
    interrupted = read_unentered(PartFiles(folder, WHOLE).note).cases
    stored = read_table(folder / TABLE_FILE, classes=classes, interrupted=interrupted.keys())
    journals = [path for files in all_parts(folder)[1:] if (path := files.journal).exists()]
    if not journals:
        return stored
    rows = stored.rows
    for path in journals:
        rows.update(read_table(path, classes=classes, interrupted=None).rows)
    return StoredTable(rows, _NOT_WRITTEN, in_order=False)


def _taken_over(files: PartFiles, *, classes: Sequence[LabelClass], settings: tuple[str, str]) -> FolderTable:
    """Begin with the table, and with what processes left that ended without entering it."""
    folder, whole = files.folder, files.part.is_whole
    stored = read_folder(folder, classes=classes)
    ended = [other for other in all_parts(folder) if other == files or not in_work(other)]
    noted = [read_unentered(other.note) for other in ended]
    unentered = Unentered(files.note, settings, unfinished(noted, stored.rows))
    if unentered.cases or not whole:
        unentered.write()
    journals = [other.journal for other in ended if not other.part.is_whole]
    if any(path.exists() for path in journals) or not (whole or stored.in_order):
        columns = write_table(folder / TABLE_FILE, list(stored.rows.values()), classes=classes)
        stored = StoredTable(stored.rows, columns)
    remove(journals)
    remove(other.note for other in ended if other != files)
    return FolderTable(files, stored, unentered, classes=classes)
