"""Reading an exported model back, and verifying it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.errors import BundleError
from autoseg.exporting.archive import Archive, open_archive
from autoseg.exporting.contents import (
    MODEL,
    PLAN_MEMBER,
    README_FILE,
    SELECTION_MEMBER,
    ModelDocument,
    bundle_folder,
    bundle_member,
    member_names,
    read_fingerprint,
    weights_name,
)
from autoseg.exporting.untrusted import ASK_AGAIN
from autoseg.inference.memory import require_weights
from autoseg.model.bundle import Bundle, assemble, check_size, parse_tensors
from autoseg.model.description import BundleDocument, parse_document
from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.postprocessing.selection import Selection

_MAX_VOXELS: Final = 1 << 53
"""Of one class in one scan. Source: ours; beyond it a float no longer counts one by one, and no scan comes near."""


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


def read_exported(path: Path, *, memory_gb: float | None = None, beside: Sequence[int] = ()) -> ExportedModel:
    """Read an exported model and verify all of it.

    Args:
        path: the file.
        memory_gb: memory that may be taken, in GB; None: whatever its weights need.
        beside: bytes of weights of other models that are in memory.

    Raises:
        BundleError: not an exported model, damaged, inconsistent, or written by a newer autoseg.
        MemoryLimitError: its weights do not fit into the memory.
    """
    with open_archive(path) as archive:
        description = _describe(archive)
        if memory_gb is not None:
            sizes = [archive.size(weights_name(folder, document)) for folder, document in description.bundles.items()]
            require_weights([*beside, *sizes], memory_gb=memory_gb, where=path)
        bundles = tuple(
            (archive.place(folder), _bundle(archive, folder, document)) for folder, document in description.bundles.items()
        )
    return ExportedModel(description, bundles)


def read_network(path: Path, folder: str) -> Bundle:
    """Read one network of an exported model, and verify it and all documents.

    Args:
        path: the file.
        folder: of the network inside it.

    Raises:
        BundleError: not an exported model, damaged, inconsistent, written by a newer autoseg, or without such a network.
    """
    with open_archive(path) as archive:
        documents = _describe(archive).bundles
        if folder not in documents:
            raise _broken(path, f"holds no network {folder}")
        return _bundle(archive, folder, documents[folder])


def _describe(archive: Archive) -> ExportDescription:
    document = MODEL.read(archive)
    bundles = {  # first: they name the packages that are needed
        folder: parse_document(archive.read_json(name), where=archive.place(name))
        for folder, name in ((folder, bundle_member(folder).name) for folder in document.bundles)
    }
    plan = PLAN_MEMBER.read(archive)
    selection = SELECTION_MEMBER.read(archive) if SELECTION_MEMBER.name in archive.names else None
    fingerprint, parts = read_fingerprint(archive)
    description = ExportDescription(
        path=archive.path,
        digest=archive.digest,
        written_by=archive.written_by,
        document=document,
        plan=plan,
        fingerprint=fingerprint,
        selection=selection,
        bundles=bundles,
    )
    _check_members(archive, description, fingerprint=parts)
    if contradiction := next(_contradictions(description), None):
        raise _broken(archive.path, contradiction)
    return description


def _check_members(archive: Archive, description: ExportDescription, *, fingerprint: Sequence[str]) -> None:
    """Require exactly the members that a model has: what nobody looks at, nobody verifies."""
    known = member_names(description.bundles, fingerprint=fingerprint, selected=description.selection is not None)
    if differing := sorted(known ^ set(archive.names)):
        raise _broken(description.path, f"holds other parts than a model has, such as {differing[0]}")
    archive.read(README_FILE)  # for people, and verified like everything else


def _foreign(selection: Selection, plan: Plan) -> Iterator[str]:
    """What a selection says of other classes and views than those of the plan."""
    values = [label.value for label in plan.data.classes]
    if not {step.label for step in selection.postprocessing} <= {None, *values}:
        yield "the selection postprocesses a class that the plan does not know"
    if len(selection.log_shift) not in {0, len(values)}:
        yield "the selection shifts the prior of other classes than the plan's"
    seen = {model.view for model in selection.models} - {None}
    if not set(selection.views) <= set(plan.planes) or (selection.views and not seen <= set(selection.views)):
        yield "the selection looks through other views than the plan's or the networks'"


def _contradictions(description: ExportDescription) -> Iterator[str]:
    """What keeps the parts from belonging together."""
    plan, selection = description.plan, description.selection
    digests = {bundle.plan_digest for bundle in description.bundles.values()}
    if digests != {plan.digest} or (selection is not None and not plan.is_identified_by(selection.plan_digest)):
        yield "the parts belong to different plans"
    if selection is not None and not _same_networks(selection, description.bundles.values()):
        yield "the networks are not those of the selection"
    for folder, bundle in description.bundles.items():
        if folder != bundle_folder(bundle.id):
            yield f"{folder} holds {bundle.id.title[:100]!a}"
    if selection is not None:
        yield from _foreign(selection, plan)
    if len(description.bundles) < len(description.document.bundles):
        yield "a network is listed twice"
    if description.document.name != plan.inputs.name:
        yield "the model is named after other data than the plan"
    if description.document.scores.keys() != description.document.scored_cases.keys():
        yield "scores and numbers of scored cases do not agree"
    if not all(_fits(case, plan) for case in description.fingerprint.cases):
        yield "the fingerprint is of other data than the plan, or of none that can be"


def _same_networks(selection: Selection, bundles: Iterable[BundleDocument]) -> bool:
    selected = Counter((model.id, model.weights_sha256) for model in selection.models)
    return selected == Counter((bundle.id, bundle.weights_sha256) for bundle in bundles)


def _fits(case: CaseFingerprint, plan: Plan) -> bool:
    """Whether a case can be one that a plan was made from, and new scans be compared with it."""
    positive = [channel.positive for channel in case.channels if channel.positive is not None]
    return (
        case.dimensions == (2 if plan.views[0].plane is None else 3)
        and len(case.channels) == len(plan.data.channels)
        and len(set(case.axes)) == len(case.axes)
        and min(case.spacing_mm) > 0
        and all(0 <= voxels <= _MAX_VOXELS for voxels in case.class_voxels.values())
        and all(statistics.percentile_50 > 0 for statistics in positive)
    )


def _bundle(archive: Archive, folder: str, document: BundleDocument) -> Bundle:
    name = weights_name(folder, document)
    check_size(document, archive.size(name), where=archive.place(name))
    weights = parse_tensors(archive.read(name), sha256=document.weights_sha256, where=archive.place(name))
    return assemble(document, weights, where=archive.place(name))


def _broken(where: Path | str, what: str) -> BundleError:
    return BundleError(what, where=where, remedy=ASK_AGAIN)
