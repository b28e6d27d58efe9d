"""Cases whose results are on disk, or may be, while the table does not have them yet: a killed process leaves some."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from autoseg.inference.table import PredictionRow
from autoseg.storage import files

_CASE, _EARLIER, _SETTINGS, _MODEL = "case", "earlier", "settings", "model"
_REMEDY: Final = "Delete this file."

_ENTERED: Final = "entered"
"""What stands in place of a digest where the row of a case does not change; no row has it."""


@dataclass
class Unentered:
    """What a process writes down before it writes results.

    Attributes:
        path: the file that holds it.
        settings: digest of what the process segments with, and what people call it.
        cases: each with the digest of the row that the table had of it before, which tells whether it has been entered
            since: the row is another then, or a word says so; None: unknown, as version 0.1 did not write it.
    """

    path: Path
    settings: tuple[str, str] = ("", "")
    cases: dict[str, str | None] = field(default_factory=dict)

    def begin(self, case: str, row: PredictionRow | None) -> None:
        """Note that results of a case are written from now on.

        Raises:
            SystemFailureError: the disk is full, or the place may not be written.
        """
        self.cases[case] = _digest(row)
        self.write(case)

    def entering(self, row: PredictionRow) -> None:
        """Note, where its row will be what it was, that a case is finished: else nothing would tell that it was entered.

        Raises:
            SystemFailureError: the disk is full, or the place may not be written.
        """
        if self.cases.get(row.case) == _digest(row):
            self.cases[row.case] = _ENTERED
            self.write(row.case)

    def entered(self, cases: Iterable[str]) -> None:
        """Note that the table has them; the file says so with the next case, or at the end."""
        for case in cases:
            self.cases.pop(case, None)

    def found_whole(self, case: str) -> None:
        """Note at once that all that there is of a case is as the table says, whatever was begun.

        Raises:
            SystemFailureError: the disk is full, or the place may not be written.
        """
        if case in self.cases:
            self.entered([case])
            self.write(next(iter(self.cases), ""))

    def write(self, case: str = "") -> None:
        """Write all of it down."""
        digest, model = self.settings
        files.write_json(self.path, {_CASE: case, _EARLIER: self.cases, _SETTINGS: digest, _MODEL: model})

    def close(self) -> None:
        """Delete the file, unless cases are left that somebody has to know about."""
        if self.cases:
            self.write(next(iter(self.cases)))
            return
        files.remove([self.path])


def read_unentered(path: Path) -> Unentered:
    """Read what a process wrote down; nothing where there is no such file.

    Raises:
        WorkspaceError: it is no such file.
    """
    if not path.exists():
        return Unentered(path)
    document = files.read_json(path, remedy=_REMEDY)
    if not isinstance(document, dict):
        return Unentered(path)
    cases = document.get(_EARLIER)
    if not isinstance(cases, dict):  # version 0.1 noted a case and nothing else
        cases = {document[_CASE]: None} if isinstance(document.get(_CASE), str) else {}
    return Unentered(path, (str(document.get(_SETTINGS, "")), str(document.get(_MODEL, ""))), dict(cases))


def unfinished(noted: Iterable[Unentered], rows: Mapping[str, PredictionRow]) -> dict[str, str | None]:
    """Of all cases noted those that the table has not got since."""
    cases = {case: digest for one in noted for case, digest in one.cases.items()}
    return {case: digest for case, digest in cases.items() if digest is None or digest == _digest(rows.get(case))}


def _digest(row: PredictionRow | None) -> str:
    if row is None:
        return ""
    extras = dict(row.extras_sha256)
    return files.sha256_json([row.input_sha256, row.model_digest, row.output_sha256, row.calibration_sha256, extras])
