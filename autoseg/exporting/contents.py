"""What an exported model holds: its members by name, and what each of them is. Writer and reader share it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from autoseg.errors import BundleError
from autoseg.exporting.archive import Archive
from autoseg.exporting.untrusted import ASK_AGAIN
from autoseg.model.description import BUNDLE, BUNDLE_FILE, BundleDocument
from autoseg.model.identity import ModelId
from autoseg.planning.fingerprint import FINGERPRINT, Fingerprint
from autoseg.planning.plan import PLAN
from autoseg.postprocessing.selection import FIRST_INTERVALS, SELECTION, Score
from autoseg.storage.documents import DocumentType

README_FILE: Final = "README.txt"

SELECTED: Final = "selection"
"""What scores of a selection are called among those of an exported model."""

_Document = TypeVar("_Document", bound=BaseModel)


class ModelDocument(BaseModel):
    """What an exported model is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    name: str = Field(description="name of the data set")
    bundles: tuple[str, ...] = Field(min_length=1, description="folders of the networks inside the archive")
    scores: dict[str, Score] = Field(description="cross-validated scores: of the selection, else of each network (and seed)")
    scored_cases: dict[str, int] = Field(description="on how many held-out cases")
    intervals: str = Field(default=FIRST_INTERVALS, description="method of the scores' 95 % intervals")


@dataclass(frozen=True)
class Member(Generic[_Document]):
    """A document inside an exported model.

    Attributes:
        name: its name there.
        document: its type.
    """

    name: str
    document: DocumentType[_Document]

    def content(self, model: _Document) -> bytes:
        """What is written."""
        return self.document.text(model).encode()

    def read(self, archive: Archive) -> _Document:
        """Read and verify it.

        Raises:
            BundleError: damaged, unusable or written by a newer autoseg.
        """
        exported = replace(self.document, error=BundleError, unusable=ASK_AGAIN)
        return exported.parse(archive.read_json(self.name), where=archive.place(self.name))


MODEL: Final = Member(
    "model.json",
    DocumentType(
        name="description of an exported model",
        model=ModelDocument,
        error=BundleError,
        missing=ASK_AGAIN,
        unusable=ASK_AGAIN,
    ),
)
PLAN_MEMBER: Final = Member("plan.json", replace(PLAN, context={"predicts": True}))
"""The plan of a model that only predicts: what only training needs may be missing."""

FINGERPRINT_MEMBER: Final = Member("fingerprint.json", FINGERPRINT)
CASES_EACH: Final = 2000
"""Cases in one document of the fingerprint; those of more cases are continued in further ones.

Source: ours; cases of many channels and classes have a hundred values, and `MAX_VALUES` are read of one document."""

SELECTION_MEMBER: Final = Member("selection.json", SELECTION)


def bundle_folder(model: ModelId) -> str:
    """Name of a network's folder inside the archive."""
    return f"models/{model.folder}"


def bundle_member(folder: str) -> Member[BundleDocument]:
    """A network's description."""
    return Member(f"{folder}/{BUNDLE_FILE}", BUNDLE)


def weights_name(folder: str, document: BundleDocument) -> str:
    """Name of a network's weights inside the archive."""
    return f"{folder}/{document.weights_file}"


def fingerprint_contents(fingerprint: Fingerprint) -> dict[str, bytes]:
    """The documents of a fingerprint, by name."""
    parts = range(-(-len(fingerprint.cases) // CASES_EACH))
    members = [_fingerprint_member(part) for part in parts]
    cases = [fingerprint.cases[part * CASES_EACH : (part + 1) * CASES_EACH] for part in parts]
    return {
        member.name: member.content(fingerprint.model_copy(update={"cases": some}))
        for member, some in zip(members, cases, strict=True)
    }


def read_fingerprint(archive: Archive) -> tuple[Fingerprint, list[str]]:
    """A fingerprint from all of its documents, and their names.

    Raises:
        BundleError: damaged, unusable or written by a newer autoseg.
    """
    members = [FINGERPRINT_MEMBER]
    while (further := _fingerprint_member(len(members))).name in archive.names:
        members.append(further)
    parts = [member.read(archive) for member in members]
    cases = tuple(case for part in parts for case in part.cases)
    return parts[0].model_copy(update={"cases": cases}), [member.name for member in members]


def _fingerprint_member(part: int) -> Member[Fingerprint]:
    return replace(FINGERPRINT_MEMBER, name=f"fingerprint_{part + 1}.json") if part else FINGERPRINT_MEMBER


def member_names(bundles: Mapping[str, BundleDocument], *, fingerprint: Iterable[str], selected: bool) -> set[str]:
    """Names of all that a model of these networks holds.

    Args:
        bundles: the networks' descriptions, by folder.
        fingerprint: names of its documents.
        selected: whether a selection is among it.
    """
    names = {README_FILE, MODEL.name, PLAN_MEMBER.name, *fingerprint}
    names |= {SELECTION_MEMBER.name} if selected else set()
    for folder, document in bundles.items():
        names |= {bundle_member(folder).name, weights_name(folder, document)}
    return names
