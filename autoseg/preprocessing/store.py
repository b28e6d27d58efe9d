"""Preprocessed cases on disk: plain arrays that training maps into memory.

They live under a key made of the source files' checksums and of everything in the plan that shapes them. A changed key
means new arrays; an equal one means that they can be used as they are. Each case's document is written after its arrays
and says that they are whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from autoseg.data.dataset import Case
from autoseg.data.image import check_same_grid, read_image, read_labels
from autoseg.errors import AutosegError, CasesFailedError, ImageError, WorkspaceError
from autoseg.events import Events
from autoseg.formats.checksum import image_checksum
from autoseg.jobs.pool import ordered_map
from autoseg.planning.case_fingerprint import refuse_constant_channels
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import Footprint, apply, apply_to_labels
from autoseg.storage import files
from autoseg.storage.arrays import map_array, write_array
from autoseg.storage.documents import DocumentType
from autoseg.storage.locks import lock

STORE_VERSION: Final = 2
_REMEDY: Final = "Delete this folder; the next `autoseg train` or `autoseg preprocess` makes it anew."


class _CaseDocument(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    footprint: Footprint
    footprint_sha256: str = Field(description="of the footprint: one that was moved would displace label maps")
    image_sha256: str = Field(description="of the image array's file")
    label_sha256: str = Field(description="of the label array's file")


_CASE: Final = DocumentType(
    name="description of a preprocessed case", model=_CaseDocument, missing=_REMEDY, unusable=_REMEDY
)


@dataclass(frozen=True, eq=False)
class StoredCase:
    """A preprocessed case.

    Attributes:
        image: normalised slices, (C, S, H, W), float32, mapped from disk.
        label: class indices (not label values), (S, H, W), uint8 or uint16, mapped from disk.
        footprint: the way back onto the scan.
    """

    image: NDArray[np.float32]
    label: NDArray[np.integer[Any]]
    footprint: Footprint


@dataclass(frozen=True)
class Store:
    """The preprocessed cases of one key.

    Attributes:
        folder: where they lie.
        key: what they were made from.
    """

    folder: Path
    key: str

    def load(self, case: str) -> StoredCase:
        """Map a case's arrays into memory, after comparing them with their checksums.

        Raises:
            WorkspaceError: something is missing, cannot be understood, or has changed since it was written.
        """
        document = self._document(case)
        image = _mapped(self._image(case), sha256=document.image_sha256)
        label = _mapped(self._label(case), sha256=document.label_sha256)
        return StoredCase(image, label, document.footprint)

    def footprint(self, case: str) -> Footprint:
        """The way back onto a case's scan; its arrays are not looked at.

        Raises:
            WorkspaceError: the case is missing, cannot be understood, or has changed since it was written.
        """
        return self._document(case).footprint

    def holds(self, case: str) -> bool:
        """Whether a case is there, whole."""
        return self._document_path(case).exists()

    def write(self, case: str, image: NDArray[np.float32], label: NDArray[Any], footprint: Footprint) -> None:
        """Store a case: its arrays first, then the document that says they are whole."""
        for path, array in ((self._image(case), image), (self._label(case), label)):
            write_array(path, array)
        document = _CaseDocument(
            footprint=footprint,
            footprint_sha256=_digest(footprint),
            image_sha256=files.sha256_file(self._image(case)),
            label_sha256=files.sha256_file(self._label(case)),
        )
        _CASE.write(self._document_path(case), document)

    def _document(self, case: str) -> _CaseDocument:
        path = self._document_path(case)
        document = _CASE.read(path)
        _insist("the footprint", path, expected=document.footprint_sha256, found=_digest(document.footprint))
        return document

    def _image(self, case: str) -> Path:
        return self.folder / f"{case}.image.npy"

    def _label(self, case: str) -> Path:
        return self.folder / f"{case}.label.npy"

    def _document_path(self, case: str) -> Path:
        return self.folder / f"{case}.json"


def _digest(footprint: Footprint) -> str:
    return files.sha256_json(footprint.model_dump(mode="json"))


def _mapped(path: Path, *, sha256: str) -> NDArray[Any]:
    """Map an array that is still the one that was written."""
    try:
        _insist("the preprocessed array", path, expected=sha256, found=files.sha256_file(path))
        return map_array(path)
    except (OSError, ValueError) as cause:
        raise WorkspaceError(f"cannot be read ({cause})", where=path, remedy=_REMEDY) from None


def _insist(what: str, path: Path, *, expected: str, found: str) -> None:
    if found != expected:
        raise WorkspaceError(f"{what} has changed", where=path, expected=f"sha256 {expected}", found=found, remedy=_REMEDY)


def case_checksum(case: Case) -> str:
    """SHA-256 over the contents of a case's files; one that cannot be read counts as such: reading the case says so."""
    paths = [*case.images, *([case.label] if case.label else [])]
    return files.sha256_json([_checksum(path) for path in paths])


def _checksum(path: Path) -> str | None:
    try:
        return image_checksum(path)
    except ImageError:
        return None


def store_key(plan: Plan, checksums: Mapping[str, str]) -> str:
    """SHA-256 over everything that preprocessed arrays depend on.

    Args:
        plan: only its preprocessing section and class values matter.
        checksums: `case_checksum` by case id.
    """
    return files.sha256_json(
        {
            "version": STORE_VERSION,
            "preprocessing": _shaping(plan),
            "values": [label.value for label in plan.data.classes],
            "cases": dict(sorted(checksums.items())),
        }
    )


def _shaping(plan: Plan) -> dict[str, Any]:
    """What of a plan shapes arrays, in the words of version 0.1."""
    settings, view = plan.preprocessing, plan.view
    return {
        "plane": view.plane,
        "spacing_mm": None if view.spacing_mm is None else list(view.spacing_mm),
        "crop": settings.crop,
        "crop_margin_px": settings.crop_margin_px,
        "not_finite": settings.not_finite,
        "normalisation": [
            {
                "method": step.method,
                "lower": step.lower,
                "upper": step.upper,
                "mean": step.mean,
                "deviation": step.std,
                "limit": step.clip,
            }
            for step in settings.normalisation
        ],
    }


def build_store(
    folder: Path, cases: Sequence[Case], *, plan: Plan, checksums: Mapping[str, str], jobs: int, events: Events
) -> Store:
    """The preprocessed arrays of labelled cases, made where they are missing.

    Args:
        folder: gets one sub-folder per key.
        cases: labelled cases.
        plan: says how.
        checksums: `case_checksum` of every case, by id.
        jobs: processes that work side by side, each with one case in memory.
        events: told of progress.

    Raises:
        CasesFailedError: some cases cannot be read; the others are stored.
        WorkspaceError: another process is preprocessing the same cases.
        SystemFailureError: the disk is full, or the folder may not be written.
    """
    key = store_key(plan, checksums)
    store = Store(folder / key[:16], key)
    if all(store.holds(case.id) for case in cases):
        return store
    failures = []
    with lock(store.folder / ".lock"):
        missing = [case for case in cases if not store.holds(case.id)]
        work = partial(_prepare, store=store, plan=plan)
        with (
            events.track("preprocessing", total=len(missing), unit="cases") as progress,
            ordered_map(work, missing, jobs=jobs) as errors,
        ):
            for case, error in zip(missing, errors, strict=True):
                if error is not None:
                    failures.append((case.id, error))
                progress.advance()
    if failures:
        raise CasesFailedError(failures, done=len(cases) - len(failures))
    return store


def _prepare(case: Case, *, store: Store, plan: Plan) -> AutosegError | None:
    """Preprocess and store one case; why it cannot be read is returned, so that the other cases go on."""
    if case.label is None:
        msg = f"case {case.id} has no label"
        raise ValueError(msg)
    values = [label.value for label in plan.data.classes]
    try:
        image = read_image(case.images, channels=len(plan.data.channels), not_finite=plan.preprocessing.not_finite)
        labels = read_labels(case.label, values=values)
        check_same_grid(image.geometry, labels.geometry, where=case.label, other=case.images[0])
        refuse_constant_channels(case, image.array)
        prepared = apply(image, plan.preprocessing, view=plan.view)
    except AutosegError as error:
        return error
    indices = apply_to_labels(_class_indices(labels.array, values), prepared.footprint)
    store.write(case.id, prepared.array, indices, prepared.footprint)  # a full disk concerns every case: it ends the work
    return None


def _class_indices(labels: NDArray[np.uint16], values: Sequence[int]) -> NDArray[np.integer[Any]]:
    """Replace label values, which may have gaps, by their places among the classes."""
    kind = np.uint8 if len(values) <= np.iinfo(np.uint8).max + 1 else np.uint16
    table: NDArray[np.integer[Any]] = np.zeros(max(values) + 1, dtype=kind)
    table[list(values)] = np.arange(len(values))
    return table[labels]
