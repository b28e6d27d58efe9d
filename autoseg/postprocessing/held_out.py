"""The end of every training: predict the held-out cases on their own grids, keep what was predicted, score it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoseg.data.dataset import Case, LabelClass
from autoseg.data.image import Image, read_image, read_labels, write_labels
from autoseg.errors import WorkspaceError
from autoseg.evaluation.cases import CaseMetrics, score_case
from autoseg.evaluation.tables import Summary, read_cases, summarise, write_cases, write_summary
from autoseg.events import Events
from autoseg.inference.ensemble import Ensemble, load_ensemble
from autoseg.model.compute import Compute
from autoseg.preprocessing.store import Store
from autoseg.storage import files
from autoseg.storage.arrays import write_array
from autoseg.storage.documents import understand

FOLDER: Final = "validation"
PICTURES: Final = "pictures"
METRICS_FILE: Final = "metrics.csv"
SUMMARY_FILE: Final = "summary.json"
_RECORD_FILE: Final = "record.json"


class DrawCase(Protocol):
    """Draws label maps over their scan; what draws lies above this package."""

    def __call__(
        self, path: Path, image: Image, overlays: Mapping[str, NDArray[np.integer[Any]]], /, *, classes: Sequence[LabelClass]
    ) -> None:
        """Draw into a file."""


class Record(BaseModel):
    """That the cases a model has not seen were predicted and scored to the end, and by which model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_digest: str = Field(description="of the model and of everything else that decides its predictions")
    probabilities_sha256: dict[str, str] = Field(description="by case, of the file of its probabilities")


def score_held_out(
    model: Path, cases: Sequence[Case], *, store: Store, compute: Compute, draw: DrawCase, events: Events
) -> Summary | None:
    """Predict and score the cases a model has not seen; done once per model.

    Beside the tables, the model's `validation/` folder gets each case's label map, a picture of it beside the reference,
    and its probabilities as 8-bit arrays (K, S, H, W) on the preprocessed grid, so that later steps need not predict again.

    Returns:
        mean scores; None where there are no such cases.
    """
    if not cases:
        return None
    folder = model / FOLDER
    ensemble = load_ensemble([model], compute=compute, mirror=True)
    if _done(model, ensemble):
        return summarise(read_cases(folder / METRICS_FILE))
    scores, digests = [], {}
    with events.track("scoring held-out cases", total=len(cases), unit="cases") as progress:
        for case in cases:
            scores.append(_score(case, ensemble, folder=folder, store=store, draw=draw))
            digests[case.id] = files.sha256_file(probabilities_file(model, case.id))
            progress.advance()
    summary = summarise(scores)
    write_cases(folder / METRICS_FILE, scores)
    write_summary(folder / SUMMARY_FILE, summary)
    record = Record(model_digest=ensemble.digest, probabilities_sha256=digests)
    files.write_json(folder / _RECORD_FILE, record.model_dump(mode="json"))  # last: says that the rest is whole
    return summary


def is_scored(model: Path) -> bool:
    """Whether a model's held-out cases were scored to the end."""
    return (model / FOLDER / _RECORD_FILE).exists()


def read_record(model: Path) -> Record:
    """What a model's held-out cases were scored with.

    Raises:
        WorkspaceError: missing, or cannot be understood.
    """
    path = model / FOLDER / _RECORD_FILE
    remedy = f"Delete {path.parent} and repeat the train command of that model: it predicts its held-out cases again."
    document = files.read_json(path, remedy=remedy)
    try:
        return understand(document, Record)
    except ValidationError as invalid:
        problem = invalid.errors()[0]["msg"]
        raise WorkspaceError(f"cannot be understood ({problem})", where=path, remedy=remedy) from None


def probabilities_file(model: Path, case_id: str) -> Path:
    """Where a model keeps the 8-bit probabilities of a case it held out."""
    return model / FOLDER / f"{case_id}.npy"


def to_8_bit(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities in [0, 1] as whole numbers in [0, 255]."""
    return np.rint(probabilities * 255).astype(np.uint8)


def _done(model: Path, ensemble: Ensemble) -> bool:
    return is_scored(model) and read_record(model).model_digest == ensemble.digest


def _score(case: Case, ensemble: Ensemble, *, folder: Path, store: Store, draw: DrawCase) -> CaseMetrics:
    if case.label is None:
        msg = f"held-out case {case.id} has a label by definition"
        raise ValueError(msg)
    classes = ensemble.plan.data.classes
    reference = read_labels(case.label, values=[label.value for label in classes])
    stored = store.load(case.id)
    probabilities = ensemble.probabilities(np.asarray(stored.image))
    prediction = ensemble.label_map(probabilities, stored.footprint, reference.geometry)
    write_labels(folder / f"{case.id}.nii.gz", prediction.array, prediction.geometry)
    draw(
        folder / PICTURES / f"{case.id}.png",
        read_image(
            case.images,
            channels=len(ensemble.plan.data.channels),
            not_finite=ensemble.plan.preprocessing.not_finite,
        ),
        {"prediction": prediction.array, "reference": reference.array},
        classes=classes,
    )
    write_array(probabilities_file(folder.parent, case.id), to_8_bit(probabilities))
    return score_case(
        case.id,
        prediction.array,
        reference.array,
        classes=classes,
        spacing_mm=reference.geometry.spacing_mm,
    )
