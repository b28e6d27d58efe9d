"""The end of every training: predict the held-out cases on their own grids, keep what was predicted, score it."""

from collections.abc import Sequence
from pathlib import Path

from autoseg.data.dataset import Case, names_by_value
from autoseg.evaluation.cases import CaseMetrics, score_case
from autoseg.evaluation.tables import METRICS_FILE, Summary, summarise, write_scores
from autoseg.events import Events
from autoseg.images.image import on_grid_of, read_image, read_labels, write_labels
from autoseg.inference.ensemble import Ensemble, load_ensemble
from autoseg.inference.output_folder import DrawCase
from autoseg.inference.stored_cases import predict_case
from autoseg.model.compute import Compute
from autoseg.postprocessing.held_out.files import (
    Record,
    folder_of,
    is_scored,
    label_map_file,
    picture_file,
    probabilities_files,
    read_record,
    read_scores,
    write_record,
)
from autoseg.postprocessing.held_out.shown import write_shown
from autoseg.preprocessing.store import Store
from autoseg.storage import files


def score_held_out(
    model: Path, cases: Sequence[Case], *, store: Store, compute: Compute, draw: DrawCase, events: Events
) -> Summary | None:
    """Predict and score the cases a model has not seen; done once per model.

    The probabilities are kept too, so that later steps need not predict again; `held_out.files` says where all this lies.

    Returns:
        mean scores; None where there are no such cases.
    """
    if not cases:
        return None
    ensemble = load_ensemble([model], compute=compute, mirror=True)
    if _done(model, ensemble):
        return summarise(read_scores(model))
    scores, digests = [], {}
    with events.track("scoring held-out cases", total=len(cases), unit="cases") as progress:
        for case in cases:
            scores.append(_score(case, ensemble, model=model, store=store, draw=draw))
            for path in probabilities_files(model, case.id, planes=ensemble.plan.planes):
                digests[path.stem] = files.sha256_file(path)
            progress.advance()
    summary = write_scores(folder_of(model), scores)
    write_shown([*(label_map_file(model, case.id) for case in cases), folder_of(model) / METRICS_FILE], folder_of(model))
    write_record(model, Record(model_digest=ensemble.digest, probabilities_sha256=digests))  # last: the rest is whole
    return summary


def _done(model: Path, ensemble: Ensemble) -> bool:
    return is_scored(model) and ensemble.is_identified_by(read_record(model).model_digest)


def _score(case: Case, ensemble: Ensemble, *, model: Path, store: Store, draw: DrawCase) -> CaseMetrics:
    if case.label is None:
        msg = f"held-out case {case.id} has a label by definition"
        raise ValueError(msg)
    classes = ensemble.plan.data.classes
    image = read_image(
        case.images,
        channels=len(ensemble.plan.data.channels),
        not_finite=ensemble.plan.preprocessing.not_finite,
    )
    reference = read_labels(case.label, values=names_by_value(classes))
    reference = on_grid_of(reference, image.geometry, where=case.label, other=case.images[0], compared=True)
    labels = predict_case(
        ensemble, store.load(case.id).stacks, into=probabilities_files(model, case.id, planes=ensemble.plan.planes)
    )
    write_labels(label_map_file(model, case.id), labels, image.geometry)
    draw(
        picture_file(model, case.id),
        image,
        {"prediction": labels, "reference": reference.array},
        classes=classes,
    )
    return score_case(
        case.id,
        labels,
        reference.array,
        classes=classes,
        spacing_mm=image.geometry.spacing_mm,
    )
