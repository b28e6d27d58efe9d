"""What predicts in a workspace, written as one file to pass on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.catalogue.extras import require_extra
from autoseg.data import places
from autoseg.errors import UsageError
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.statistics import INTERVAL_METHOD
from autoseg.events import Events
from autoseg.exporting import contents
from autoseg.exporting import document as exported
from autoseg.exporting.archive import ARCHIVE_SUFFIX, write_archive
from autoseg.exporting.onnx_model import OnnxModel, write_onnx
from autoseg.inference.ensemble import weights_of
from autoseg.model.bundle import load_bundle
from autoseg.model.description import BundleDocument
from autoseg.model.identity import ModelId
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.postprocessing import held_out
from autoseg.postprocessing.in_use import fingerprint_of, models_in_use, selection_of
from autoseg.postprocessing.scoring import score_of
from autoseg.postprocessing.selection import EDITED, Score, Selection
from autoseg.preprocessing.keys import data_keys
from autoseg.results import Result
from autoseg.runs.inventory import FinishedModel, by_network, refuse_other_folds
from autoseg.runs.source_checksums import case_checksums
from autoseg.runs.workspace import Workspace
from autoseg.storage import files
from autoseg.wording import counted, some


@dataclass(frozen=True, repr=False)
class ExportResult(Result):
    """What was written.

    Attributes:
        description: the exported model, as read back.
        bytes: its size.
        onnx: the ONNX models, with how far each is from the original.
    """

    description: exported.ExportDescription
    bytes: int
    onnx: tuple[OnnxModel, ...]

    def _in_short(self) -> str:
        return f"{self.description.path}, {counted(len(self.description.bundles), 'network')}, {self.bytes / 1e6:.1f} MB"


def write_export(workspace: Workspace, file: Path, *, onnx: Path | None, force: bool, events: Events) -> ExportResult:
    """Write what `predict` would use, and read it back.

    Args:
        workspace: what to export.
        file: the file to write, ending in `.autoseg`.
        onnx: folder of an ONNX model per network; None: none.
        force: replace files that are there.
        events: notified of everything.

    Raises:
        BundleError: nothing usable was trained, or what was written cannot be read back.
        UsageError: the file is there already, or the folder has ONNX models that are not replaced.
    """
    plan = workspace.plan()
    selection = selection_of(workspace, plan)
    models = models_in_use(workspace, plan, selection, events)
    onnx_files = [onnx / f"{model.id.file_stem}.onnx" for model in models] if onnx else []
    _protect([file, *onnx_files], force=force)
    _require_alone(onnx_files)
    _warn_of_changed_data(workspace, plan, models, events)
    if selection is not None and selection.edited:
        events.warn(f"the selection was {EDITED}")
    if selection is None:
        events.info(
            "nothing was selected: exporting everything that was trained, without postprocessing (see `autoseg select`)"
        )
    events.info("case names are replaced by numbers; the networks themselves may still remember something of their scans")
    read_back = _write(file, _members(workspace, models, selection))
    written = []
    if onnx_files:
        weights = weights_of([bundle.document for _, bundle in read_back.bundles])
        with events.track("writing ONNX models", total=len(onnx_files), unit="networks") as progress:
            shift, planes = ((), ()) if selection is None else (selection.log_shift, selection.views)
            for (_, bundle), path, weight in zip(read_back.bundles, onnx_files, weights, strict=True):
                written.append(write_onnx(bundle, path, weight=weight, mean_log_shift=shift, planes=planes))
                progress.advance()
    return ExportResult(read_back.description, file.stat().st_size, tuple(written))


def check_request(file: Path, *, onnx: Path | None, force: bool) -> None:
    """Find early what would fail late.

    Raises:
        SystemFailureError: nothing can be written there.
        UsageError: the file's name has another ending, the file is there and is not to be replaced, or the ONNX packages are
            asked for and not installed.
    """
    if file.suffix != ARCHIVE_SUFFIX:
        raise UsageError(
            "an exported model has an ending of its own",
            where=file,
            expected=f"a name ending in {ARCHIVE_SUFFIX}",
            remedy=f"Write {file / f'model{ARCHIVE_SUFFIX}' if file.is_dir() else file.with_suffix(ARCHIVE_SUFFIX)}.",
        )
    if onnx is not None:
        require_extra("onnx", "ONNX models")
        files.require_writable(onnx)
    files.require_writable(file.parent)
    _protect([file], force=force)


def _warn_of_changed_data(workspace: Workspace, plan: Plan, models: Sequence[FinishedModel], events: Events) -> None:
    """Say where the scores that go into the file are not those of the data as they are; data that are gone do not matter."""
    labelled = workspace.dataset().labelled
    cases = [case for case in labelled if not places.absent([case])]
    keys = data_keys(plan, case_checksums(workspace.checksums_file, cases, verify=workspace.verify))
    changed: set[str] = set()
    for model in models:
        # Runs of version 0.1 know all cases together, and nothing where one of them is gone.
        if model.data.cases or len(cases) == len(labelled):
            differing = model.data.differing(keys)
            changed |= {"some cases"} if differing is None else set(differing)
    if changed:
        events.warn(f"changed since the models were trained: {some(sorted(changed))}. The scores in the file are of before")


def _protect(paths: Sequence[Path], *, force: bool) -> None:
    """Refuse to replace files, unless asked to."""
    there = [path for path in paths if path.exists()]
    if there and not force:
        raise UsageError("the file is there already", where=there[0], remedy="Choose another name, or add --force.")


def _require_alone(onnx_files: Sequence[Path]) -> None:
    """Refuse to add networks to others: whoever reads the folder averages all that are there, also of other selections."""
    for folder in {path.parent for path in onnx_files}:
        others = [path.name for path in sorted(folder.glob("[!.]*.onnx")) if path not in onnx_files]
        if others:
            raise UsageError(
                "the folder has ONNX models that are not of this export, and all in it are averaged",
                where=folder,
                found=some(others),
                remedy="Name another folder, or remove them first.",
            )


def _write(path: Path, members: Mapping[str, bytes | Path]) -> exported.ExportedModel:
    """Write a model and read it back; only one that can be read takes the place of what is there."""
    with files.atomic_path(path) as draft:
        write_archive(draft, members)
        model = exported.read_exported(draft)
    return replace(model, description=replace(model.description, path=path))


def _neutral_names(
    fingerprint: Fingerprint, bundles: Iterable[BundleDocument], selection: Selection | None
) -> dict[str, str]:
    """A number for every case that goes into the file: names of scans may tell who was scanned.

    Models and selections may name cases that are not in the data set any more.
    """
    ids = {case.id for case in fingerprint.cases}
    for bundle in bundles:
        ids.update(bundle.provenance.training_cases, bundle.provenance.validation_cases)
    if selection is not None:
        ids.update(selection.compared_cases, (point.case for point in selection.quality.points))
    return {case_id: f"case {number}" for number, case_id in enumerate(sorted(ids), start=1)}


def _members(workspace: Workspace, models: Sequence[FinishedModel], selection: Selection | None) -> dict[str, bytes | Path]:
    plan = workspace.plan()
    folders = [model.folder for model in models]
    bundles = [(folder, load_bundle(folder).document) for folder in folders]  # whole: damage is to be found here, not there
    documents = {contents.bundle_folder(bundle.id): (folder, bundle) for folder, bundle in bundles}
    scores, cases = _scores(models, selection, workspace)
    described = contents.ModelDocument(
        name=plan.inputs.name,
        bundles=tuple(documents),
        scores=scores,
        scored_cases=cases,
        intervals=INTERVAL_METHOD if selection is None else selection.intervals,
    )
    fingerprint = fingerprint_of(workspace, models)
    names = _neutral_names(fingerprint, (bundle for _, bundle in bundles), selection)
    members: dict[str, bytes | Path] = {
        contents.README_FILE: _readme(plan.inputs.name).encode(),
        contents.MODEL.name: contents.MODEL.content(described),
        contents.PLAN_MEMBER.name: contents.PLAN_MEMBER.content(plan),
        **contents.fingerprint_contents(_renamed_fingerprint(fingerprint, names)),
    }
    if selection is not None:
        renamed = _renamed_selection(selection, names)
        members[contents.SELECTION_MEMBER.name] = contents.SELECTION_MEMBER.content(renamed)
    for name, (folder, document) in documents.items():
        member = contents.bundle_member(name)
        members[member.name] = member.content(_renamed_bundle(document, names))
        members[contents.weights_name(name, document)] = folder / document.weights_file
    return members


def _scores(
    models: Sequence[FinishedModel], selection: Selection | None, workspace: Workspace
) -> tuple[dict[str, Score], dict[str, int]]:
    """Cross-validated scores by what they are of, and the number of cases behind them."""
    if selection is not None:
        return {contents.SELECTED: selection.score}, {contents.SELECTED: selection.score.dice.cases}
    scored = [model for model in models if held_out.is_scored(model.folder)]
    cases: dict[str, list[CaseMetrics]] = {}
    for network, of_network in by_network(scored).items():
        refuse_other_folds(of_network, workspace=workspace)
        for model in of_network:
            held_out.verify_scored(model.folder)
            cases.setdefault(network.name, []).extend(held_out.read_scores(model.folder))
    scores = {name: score_of(of_network) for name, of_network in cases.items() if of_network}
    return scores, {name: len(cases[name]) for name in scores}


def _renamed_fingerprint(fingerprint: Fingerprint, names: Mapping[str, str]) -> Fingerprint:
    cases = tuple(case.model_copy(update={"id": names[case.id]}) for case in fingerprint.cases)
    return fingerprint.model_copy(update={"cases": cases})


def _renamed_bundle(document: BundleDocument, names: Mapping[str, str]) -> BundleDocument:
    provenance = document.provenance.model_copy(
        update={
            "training_cases": tuple(names[case] for case in document.provenance.training_cases),
            "validation_cases": tuple(names[case] for case in document.provenance.validation_cases),
        }
    )
    return document.model_copy(update={"provenance": provenance})


def _renamed_selection(selection: Selection, names: Mapping[str, str]) -> Selection:
    points = tuple(point.model_copy(update={"case": names[point.case]}) for point in selection.quality.points)
    return selection.model_copy(
        update={
            "compared_cases": tuple(names[case] for case in selection.compared_cases),
            "missing": (),  # it may name folders
            "quality": selection.quality.model_copy(update={"points": points}),
        }
    )


def _readme(name: str) -> str:
    folder = contents.bundle_folder(ModelId("<network>", "<f>"))
    return (
        f"A model that segments scans like those of {name}, made with autoseg.\n\n"
        "What it is and how good:   autoseg info FILE\n"
        "To segment new scans:      autoseg predict IN OUT --model FILE\n\n"
        f"networks: {folder}, weights in the safetensors format; how scans are prepared: plan.json;\n"
        "the data it learnt from, in numbers: fingerprint.json; how it was chosen, and its\n"
        "postprocessing: selection.json; digests of all of it: manifest.json.\n"
    )
