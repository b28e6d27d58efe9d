"""A network that sees three planes, from the plan to the selection: what is averaged is what each view shows."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.stored_probabilities import read_whole
from oracles.whole_scans import restore_probabilities

import autoseg
from autoseg.data.labels import LabelEncoding
from autoseg.errors import WorkspaceError
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, read_image, read_labels, write_channels
from autoseg.inference.ensemble import Ensemble, load_ensemble
from autoseg.model.compute import choose_compute
from autoseg.model.description import read_document
from autoseg.planning.plan import Plan, sealed, write_plan
from autoseg.preprocessing.case import apply

PLANES = ("coronal", "axial", "sagittal")
MODEL = Path("models") / "unet" / "fold_0"
CASE = "IBSR_01"
Probabilities = np.ndarray[tuple[int, ...], np.dtype[Any]]


@pytest.fixture(scope="module")
def views(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a U-Net of three planes, one of which resamples, trained for a moment on fold 0."""
    root = tmp_path_factory.mktemp("views") / "run"
    plan = autoseg.plan(cohort, workspace=root, folds=2, planes=",".join(PLANES)).plan
    changed = [view.model_copy(update={"spacing_mm": (6.5, 5.5)}) if view.plane == "axial" else view for view in plan.views]
    write_plan(sealed(plan.model_copy(update={"views": tuple(changed)})), root / "plan.json")
    autoseg.train("unet", fold=0, workspace=root, epochs=1, precision="float32")
    return root


@pytest.fixture(scope="module")
def scan(cohort: Path) -> Image:
    return read_image([cohort / "Training_Set" / CASE / f"{CASE}.nii.gz"], channels=1)


def encoding_of(plan: Plan) -> LabelEncoding:
    return plan.data.encoding


def by_view(plan: Plan, ensemble: Ensemble, scan: Image) -> list[Probabilities]:
    """What each view shows, restored on its own."""
    found = []
    for number, view in enumerate(plan.views):
        prepared = apply(scan, plan.preprocessing, view=view)
        darkest = prepared.footprint.pad_value
        probabilities = ensemble.passes[number].probabilities(prepared.array, darkest=darkest)
        found.append(restore_probabilities(probabilities, prepared.footprint, encoding_of(plan)))
    return found


def test_held_out_cases_are_labelled_by_the_mean_over_views(views: Path, scan: Image) -> None:
    plan = read_document(views / MODEL).plan
    ensemble = load_ensemble([views / MODEL], compute=choose_compute("cpu", "float32"), mirror=True)
    alone = by_view(plan, ensemble, scan)
    mean = np.mean(alone, axis=0, dtype=np.float64)
    labels = read_labels(views / MODEL / "validation" / f"{CASE}.nii.gz").array
    clear = np.diff(np.sort(mean, axis=0)[-2:], axis=0)[0] > 1e-5  # of two that are alike, rounding decides
    np.testing.assert_array_equal(labels[clear], encoding_of(plan).labels(mean)[clear])  # type: ignore[arg-type]
    assert clear.mean() > 0.999
    assert len(np.unique(labels)) > 1
    single = [encoding_of(plan).labels(one) for one in alone]
    assert all((one != labels).any() for one in single)


def test_every_view_is_kept_and_named(views: Path, scan: Image) -> None:
    plan = read_document(views / MODEL).plan
    folder = views / MODEL / "validation"
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))["probabilities_sha256"]
    assert {name for name in record if name.startswith(CASE)} == {f"{CASE}.{plane}" for plane in PLANES}
    assert {path.stem for path in folder.glob("*.npz")} == set(record)
    restored = []
    for view in plan.views:
        stored = read_whole(folder / f"{CASE}.{view.plane}.npz").astype(np.float32) / 255
        footprint = apply(scan, plan.preprocessing, view=view).footprint
        restored.append(restore_probabilities(stored, footprint, encoding_of(plan)))
    predicted = autoseg.load_model(folders=[views / MODEL], device="cpu", precision="float32").predict(
        scan.array, spacing_mm=scan.geometry.spacing_mm, direction=scan.geometry.direction, with_probabilities=True
    )
    np.testing.assert_allclose(predicted.probabilities, np.mean(restored, axis=0), atol=0.51 / 255)  # type: ignore[arg-type]
    np.testing.assert_array_equal(predicted.labels.array, read_labels(folder / f"{CASE}.nii.gz").array)


def test_it_is_selected_and_predicts_alike_however_a_scan_is_stored(views: Path, scan: Image, tmp_path: Path) -> None:
    root = Path(shutil.copytree(views, tmp_path / "run"))
    selection = autoseg.select(root).selection
    assert [model.architecture for model in selection.models] == ["unet"]
    assert {candidate.title for candidate in selection.candidates} == {
        "unet", "unet (axial, sagittal)", "unet (coronal, sagittal)", "unet (coronal, axial)",
    }  # fmt: skip
    assert selection.quality.classes
    geometry = scan.geometry
    matrix = np.array(geometry.direction).reshape(3, 3)
    order, steps = (2, 0, 1), (slice(None, None, -1), slice(None), slice(None))
    turned = scan.array[0].T.transpose(order)[steps].T
    direction = tuple((matrix[:, order] * (-1, 1, 1)).ravel().tolist())
    spacing = tuple(np.array(geometry.spacing_mm)[::-1][list(order)][::-1].tolist())
    write_channels(tmp_path / "in" / "as_it_was.nii.gz", scan.array, geometry)
    write_channels(
        tmp_path / "in" / "turned.nii.gz", turned[np.newaxis], Geometry(turned.shape, spacing, direction=direction)
    )
    result = autoseg.predict(tmp_path / "in", tmp_path / "out", workspace=root, uncertainty=True, precision="float32")
    one, other = (read_labels(tmp_path / "out" / f"{name}.nii.gz").array for name in ("as_it_was", "turned"))
    np.testing.assert_array_equal(other.T[steps].transpose(np.argsort(order)).T, one)
    first, second = (row.predicted_dice for row in result.rows)
    assert first
    assert first == pytest.approx(second)


def test_a_selection_names_the_views_that_predict_and_an_export_carries_them(
    views: Path, scan: Image, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(views, tmp_path / "run"))
    autoseg.select(root)
    edited = json.loads((root / "selection.json").read_text(encoding="utf-8"))
    (root / "selection.json").write_text(json.dumps({**edited, "views": ["coronal", "axial"], "log_shift": []}))
    autoseg.export(tmp_path / "brain.autoseg", workspace=root)
    plan = read_document(root / MODEL).plan
    ensemble = load_ensemble([root / MODEL], compute=choose_compute("cpu", "float32"), mirror=True)
    expected = np.mean(by_view(plan, ensemble, scan)[:2], axis=0)
    for given in ({"workspace": root}, {"model": tmp_path / "brain.autoseg"}):
        found = autoseg.load_model(precision="float32", **given).predict(  # type: ignore[arg-type]
            scan.array[0],
            spacing_mm=scan.geometry.spacing_mm,
            direction=scan.geometry.direction,
            with_probabilities=True,
        )
        assert found.probabilities is not None
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    card = autoseg.info(tmp_path / "brain.autoseg")
    assert card.description.selection is not None
    assert card.description.selection.views == ("coronal", "axial")
    (root / "selection.json").write_text(json.dumps({**edited, "views": ["oblique"]}))
    with pytest.raises(WorkspaceError, match=r"not a usable selection: views\.0"):
        autoseg.load_model(root)
