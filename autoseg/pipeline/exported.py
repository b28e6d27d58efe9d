"""What an exported model holds, and reading it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoseg.errors import BundleError
from autoseg.model.archive import Archive, open_archive
from autoseg.model.bundle import Bundle, BundleDocument, assemble, parse_document, parse_tensors
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.postprocessing.selection import Score, Selection, parse_selection

MODEL_FILE: Final = "model.json"
PLAN_FILE: Final = "plan.json"
FINGERPRINT_FILE: Final = "fingerprint.json"
SELECTION_FILE: Final = "selection.json"
README_FILE: Final = "README.txt"

_Document = TypeVar("_Document", bound=BaseModel)


class ModelDocument(BaseModel):
    """What an exported model is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    name: str = Field(description="name of the data set")
    bundles: tuple[str, ...] = Field(min_length=1, description="folders of the networks inside the archive")
    scores: dict[str, Score] = Field(description="cross-validated scores: of the selection, else of each network")
    scored_cases: dict[str, int] = Field(description="on how many held-out cases")


@dataclass(frozen=True)
class ExportDescription:
    """An exported model without its weights.

    Attributes:
        path: the file.
        digest: of everything in it.
        written_by: version of autoseg that wrote it.
        document: what it is.
        plan: the plan its networks share.
        fingerprint: of the data it was trained on, cases without their names.
        selection: how it was chosen; None where nothing was selected.
        bundles: the networks' descriptions, by folder.
    """

    path: Path
    digest: str
    written_by: str
    document: ModelDocument
    plan: Plan
    fingerprint: Fingerprint
    selection: Selection | None
    bundles: Mapping[str, BundleDocument]


@dataclass(frozen=True)
class ExportedModel:
    """An exported model, whole.

    Attributes:
        description: what it is.
        bundles: its networks, on the CPU, each with its place.
    """

    description: ExportDescription
    bundles: tuple[tuple[str, Bundle], ...]


def describe_exported(path: Path) -> ExportDescription:
    """Read what an exported model is, and verify these parts; the weights are not looked at.

    Raises:
        BundleError: not an exported model, damaged, or written by a newer autoseg.
    """
    with open_archive(path) as archive:
        return _describe(archive)


def read_exported(path: Path) -> ExportedModel:
    """Read an exported model and verify all of it.

    Raises:
        BundleError: not an exported model, damaged, inconsistent, or written by a newer autoseg.
    """
    with open_archive(path) as archive:
        description = _describe(archive)
        bundles = tuple(
            (archive.place(folder), _bundle(archive, folder, document)) for folder, document in description.bundles.items()
        )
    return ExportedModel(description, bundles)


def bundle_file(folder: str) -> str:
    """Name of a network's description inside the archive."""
    return f"{folder}/bundle.json"


def _describe(archive: Archive) -> ExportDescription:
    document = _parsed(archive, MODEL_FILE, ModelDocument)
    plan = _parsed(archive, PLAN_FILE, Plan)
    selection = None
    if SELECTION_FILE in archive.names:
        place = archive.place(SELECTION_FILE)
        selection = parse_selection(archive.read(SELECTION_FILE), where=place, error=BundleError)
    bundles = {
        folder: parse_document(archive.read(bundle_file(folder)), where=archive.place(bundle_file(folder)))
        for folder in document.bundles
    }
    description = ExportDescription(
        path=archive.path,
        digest=archive.digest,
        written_by=archive.written_by,
        document=document,
        plan=plan,
        fingerprint=_parsed(archive, FINGERPRINT_FILE, Fingerprint),
        selection=selection,
        bundles=bundles,
    )
    _check(description)
    return description


def _check(description: ExportDescription) -> None:
    """Insist that the parts belong together."""
    digests = {bundle.plan_digest for bundle in description.bundles.values()} | {description.plan.digest}
    digests |= {bundle.plan.digest for bundle in description.bundles.values()}
    if description.selection is not None:
        digests.add(description.selection.plan_digest)
        selected = sorted(model.weights_sha256 for model in description.selection.models)
        if selected != sorted(bundle.weights_sha256 for bundle in description.bundles.values()):
            raise _broken(description.path, "the networks are not those of the selection")
    if len(digests) > 1:
        raise _broken(description.path, "the parts belong to different plans")


def _bundle(archive: Archive, folder: str, document: BundleDocument) -> Bundle:
    name = f"{folder}/{document.weights_file}"
    weights = parse_tensors(archive.read(name), sha256=document.weights_sha256, where=archive.place(name))
    return assemble(document, weights, where=archive.place(name))


def _parsed(archive: Archive, name: str, kind: type[_Document]) -> _Document:
    try:
        return kind.model_validate_json(archive.read(name))
    except ValidationError as invalid:
        problem = invalid.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise _broken(archive.place(name), f"cannot be understood: {place}: {problem['msg']}") from None


def _broken(where: Path | str, what: str) -> BundleError:
    return BundleError(what, where=where, remedy="Ask for the file again, or make it anew with `autoseg export`.")
