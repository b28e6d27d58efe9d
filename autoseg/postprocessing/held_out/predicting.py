"""The end of every training: predict the held-out cases on their own grids, keep what was predicted, score it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import Case
from autoseg.data.display import shown_labels
from autoseg.data.labels import as_written
from autoseg.evaluation.cases import score_case
from autoseg.evaluation.tables import METRICS_FILE, Summary, summarise, write_scores
from autoseg.events import Events
from autoseg.images.image import LabelMap, on_grid_of, read_image, read_labels, write_labels
from autoseg.inference.ensemble import Ensemble, load_ensemble
from autoseg.inference.output_folder import DrawCase
from autoseg.inference.stored_cases import predict_case
from autoseg.model.compute import Compute
from autoseg.model.description import read_document
from autoseg.postprocessing.held_out.files import (
    Record,
    is_done,
    label_map_file,
    picture_file,
    probabilities_files,
    read_record,
    read_scores,
    write_record,
)
from autoseg.postprocessing.held_out.shown import write_shown
from autoseg.postprocessing.scored import folder_of
from autoseg.preprocessing.store import Store
from autoseg.preprocessing.stored import StoredCase
from autoseg.storage import files


def score_held_out(
    model: Path,
    cases: Sequence[Case],
    *,
    store: Store,
    compute: Compute,
    draw: DrawCase,
    tolerances_mm: Mapping[int, float],
    events: Events,
    keep: bool = True,
) -> Summary | None:
    """Predict and score the cases a model has not seen; done once per model.

    `held_out.files` says where all this lies.

    Args:
        model: its folder.
        cases: that it has not seen.
        store: the same, preprocessed.
        compute: device and number format.
        draw: draws their pictures.
        tolerances_mm: of the normalised surface Dice, by label value.
        events: notified of progress.
        keep: whether probabilities are kept, so that `select` need not predict; where they are missing, the cases are
            predicted again.

    Returns:
        mean scores; None where there are no such cases.

    Raises:
        DatasetError: files of a case were replaced since its arrays were looked for.
    """
    if not cases:
        return None
    ensemble = load_ensemble([model], compute=compute, mirror=True)
    if is_done(model, keep=keep) and ensemble.is_identified_by(read_record(model).model_digest):
        return summarise(read_scores(model))
    scores, digests = [], {}
    document = read_document(model)
    view = None if document.view is None else document.plan.planes.index(document.view)
    with events.track("scoring held-out cases", total=len(cases), unit="cases") as progress:
        for case in cases:
            stored = store.load(case.id) if view is None else store.load(case.id).through(view)
            labels, reference = _predict(case, stored, ensemble, model=model, draw=draw, keep=keep)
            store.require_same_files(case)  # training may have taken days
            scores.append(
                score_case(
                    case.id,
                    labels,
                    reference.array,
                    classes=ensemble.data.classes,
                    spacing_mm=reference.geometry.spacing_mm,
                    tolerances_mm=tolerances_mm,
                    ignore=ensemble.data.ignore,
                )
            )
            for path in _files(ensemble, model, case) if keep else ():
                digests[path.stem] = files.sha256_file(path)
            progress.advance()
    summary = write_scores(folder_of(model), scores)
    write_shown([*(label_map_file(model, case.id) for case in cases), folder_of(model) / METRICS_FILE], folder_of(model))
    write_record(model, Record(model_digest=ensemble.digest, probabilities_sha256=digests))  # last: the rest is whole
    return summary


def _files(ensemble: Ensemble, model: Path, case: Case) -> tuple[Path, ...]:
    """Where the probabilities that each view gives a case go."""
    return probabilities_files(model, case.id, planes=[one.view.plane for one in ensemble.passes])


def _predict(
    case: Case, stored: StoredCase, ensemble: Ensemble, *, model: Path, draw: DrawCase, keep: bool
) -> tuple[NDArray[np.uint16], LabelMap]:
    """The label map of a case, stored and drawn, and its reference on the same grid."""
    if case.label is None:
        msg = f"held-out case {case.id} has a label by definition"
        raise ValueError(msg)
    data = ensemble.data
    image = read_image(
        case.images,
        channels=len(data.channels),
        not_finite=ensemble.not_finite,
    )
    reference = read_labels(case.label, values=data.label_names)
    reference = on_grid_of(reference, image.geometry, where=case.label, other=case.images[0], compared=True)
    labels = predict_case(ensemble, stored.stacks, into=_files(ensemble, model, case), keep=keep)
    write_labels(label_map_file(model, case.id), labels, image.geometry)
    draw(
        picture_file(model, case.id),
        image,
        {"prediction": labels, "reference": shown_labels(as_written(reference.array, data.encoding), ignore=data.ignore)},
        classes=data.classes,
    )
    return labels, reference
