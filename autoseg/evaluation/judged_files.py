"""A table of scores is of the files that are there: digests of all label maps and references that it was made from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg.data.places import way
from autoseg.errors import WorkspaceError
from autoseg.evaluation.pairing import Pair
from autoseg.evaluation.tables import METRICS_FILE
from autoseg.events import Events
from autoseg.formats.checksum import image_checksum
from autoseg.storage import files
from autoseg.storage.documents import DocumentType
from autoseg.storage.utf8 import is_utf8
from autoseg.wording import some

_FILE: Final = "judged.json"
_PLACE: Final = "as seen from this folder; null: there is no way, or it is not UTF-8"


@dataclass(frozen=True)
class JudgedPair:
    """Two label maps of one case as they were when they were compared; checksums as of `image_checksum`."""

    pair: Pair
    prediction_sha256: str
    reference_sha256: str


class _JudgedCase(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    prediction: str | None = Field(description=_PLACE)
    prediction_sha256: str
    reference: str | None = Field(description=_PLACE)
    reference_sha256: str


class _Judged(BaseModel):
    """What a table of scores is of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    table_sha256: str = Field(description="of the table of scores in the same folder")
    cases: dict[str, _JudgedCase] = Field(description="by id")


_JUDGED: Final = DocumentType(
    name="list of judged label maps",
    model=_Judged,
    missing="Run `autoseg evaluate` again.",
    unusable="Delete it: the table of scores beside it is then taken as it is.",
)


def write_judged(folder: Path, judged: Iterable[JudgedPair]) -> None:
    """Write down beside a table of scores, once it is whole, which label maps it is of.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    cases = {
        each.pair.id: _JudgedCase(
            prediction=_place(each.pair.prediction, folder),
            prediction_sha256=each.prediction_sha256,
            reference=_place(each.pair.reference, folder),
            reference_sha256=each.reference_sha256,
        )
        for each in judged
    }
    _JUDGED.write(folder / _FILE, _Judged(table_sha256=files.sha256_file(folder / METRICS_FILE), cases=cases))


def verify_judged(table: Path, events: Events) -> Mapping[str, str]:
    """Require a table of scores, its label maps and their references to be as they were when they were judged.

    Files may be gone, as where somebody keeps the scores alone: a message names their cases. Tables of other tools and of
    version 0.1 do not say which files they are of.

    Args:
        table: which exists.
        events: notified of files that are gone.

    Returns:
        by id, checksum of the label map that a case was judged against; none where the table does not say.

    Raises:
        ImageError: a label map cannot be read.
        WorkspaceError: one was changed since, or the table; or what was written down cannot be parsed.
    """
    record = table.parent / _FILE
    if table.name != METRICS_FILE or not record.exists():
        return {}
    judged, digest = _JUDGED.read(record), files.sha256_file(table)
    if digest != judged.table_sha256:
        raise WorkspaceError(
            "is not the table that `autoseg evaluate` wrote here last",
            where=table,
            expected=f"sha256 {judged.table_sha256}",
            found=digest,
            remedy=f"Run `autoseg evaluate` again, or delete {record}: the table is then taken as it is.",
        )
    predictions = {case: (of.prediction, of.prediction_sha256) for case, of in judged.cases.items()}
    references = {case: (of.reference, of.reference_sha256) for case, of in judged.cases.items()}
    gone = _verify(predictions, "label maps", table) | _verify(references, "references", table)
    if gone:
        events.info(
            f"{table}: files that these scores are of are gone, so that nothing tells whether they are the same: "
            f"{some(sorted(gone))}"
        )
    return {case: of.reference_sha256 for case, of in judged.cases.items()}


def _verify(judged: Mapping[str, tuple[str | None, str]], what: str, table: Path) -> set[str]:
    """Require files, by case, to be as they were; returns the cases whose file is gone."""
    folder = table.parent.resolve()
    there = {case: folder / place for case, (place, _) in judged.items() if place is not None and (folder / place).exists()}
    changed = [case for case, path in there.items() if image_checksum(path) != judged[case][1]]
    if changed:
        raise WorkspaceError(
            f"the {what} were changed since these scores were made of them",
            where=table,
            found=f"other files for {some(changed)}",
            remedy="Score them again with `autoseg evaluate`, or compare the folder of the label maps with --references.",
        )
    return judged.keys() - there.keys()


def _place(path: Path, folder: Path) -> str | None:
    """A file as seen from a folder, so that both may be moved together; None: no document can say it."""
    there = way(folder, path.parent)
    return f"{there}/{path.name}" if there is not None and is_utf8(path.name) else None
