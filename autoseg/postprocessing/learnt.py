"""Label maps that models made of cases they had learnt from: found by the digests in the table of predictions there."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import get_args

from autoseg.catalogue import NotFinite
from autoseg.errors import AutosegError
from autoseg.evaluation.tables import EVALUATION_FOLDER
from autoseg.events import Silent
from autoseg.inference.ensemble import digest_of
from autoseg.inference.origins import rows_beside
from autoseg.inference.prediction_settings import settings_digest
from autoseg.inference.segmenter import segmenter_digest
from autoseg.model.description import BundleDocument, read_document
from autoseg.postprocessing.in_use import models_in_use, selection_of
from autoseg.postprocessing.selection import Selection
from autoseg.runs.workspace import Workspace
from autoseg.storage import files
from autoseg.wording import some


def learnt_cases(label_maps: Path, workspace: Workspace) -> tuple[str, ...]:
    """Cases in a folder of results that the models of a workspace segmented though they had learnt from them.

    Args:
        label_maps: the folder, or scores that `evaluate` wrote there; without a table of predictions nothing is known of it.
        workspace: what predicts there now is looked at: what was selected, else everything trained.

    Returns:
        ids; none where other models made the label maps, or nothing can be told.
    """
    folder = label_maps if label_maps.is_dir() else label_maps.parent
    rows = rows_beside(folder.parent if folder.name == EVALUATION_FOLDER else folder)
    if not rows:
        return ()
    try:
        plan = workspace.plan()
        selection = selection_of(workspace, plan)
        documents = [read_document(model.folder) for model in models_in_use(workspace, plan, selection, Silent())]
    except AutosegError:  # a workspace that cannot be used predicts nothing
        return ()
    digests = set(_digests(documents, selection))
    training = {case for document in documents for case in document.provenance.training_cases}
    training |= _learnt_before(documents, workspace)
    return tuple(sorted(case for case, row in rows.items() if row.model_digest in digests and case in training))


def learnt_warnings(places: Mapping[str, Path], workspaces: Mapping[Path, Workspace]) -> Iterator[str]:
    """A sentence for each of several places whose label maps were made by models that had learnt from the cases.

    Args:
        places: by name.
        workspaces: that may have made them, by their folders.
    """
    for (name, place), (root, workspace) in product(places.items(), workspaces.items()):
        if cases := learnt_cases(place, workspace):
            yield (
                f"{name} was segmented by models of {root} that had learnt from some of these cases, so that its scores are "
                f"too good: {some(cases)}"
            )


def _learnt_before(documents: list[BundleDocument], workspace: Workspace) -> set[str]:
    """The workspace's cases that models had learnt from which these were started from."""
    origins = [document.provenance.origin for document in documents]
    scans = {scan for origin in origins if origin is not None for scan in origin.learnt_from or ()}
    return {case.id for case in workspace.fingerprint().cases if case.voxels_sha256 in scans} if scans else set()


def _digests(documents: list[BundleDocument], selection: Selection | None) -> Iterator[str]:
    """Digests that tables of predictions name these models by, on any kind of device."""
    steps = () if selection is None else selection.postprocessing
    log_shift = () if selection is None else selection.log_shift
    ways = product((True, False), ("float32", "bfloat16"), ("cpu", "cuda", "mps"))
    plans = [[document.plan_digest for document in documents], [document.plan.digest_in_0_1 for document in documents]]
    for (mirror, precision, device), digests in product(ways, plans):
        networks = [(plan, document.weights_sha256) for plan, document in zip(digests, documents, strict=True)]
        ensemble = digest_of(networks, mirror=mirror, precision=precision, device=device)
        if selection is not None and selection.views:
            ensemble = files.sha256_json([ensemble, list(selection.views)])
        segmenter = segmenter_digest(ensemble, steps, log_shift)
        yield from (settings_digest(segmenter, not_finite) for not_finite in get_args(NotFinite))
