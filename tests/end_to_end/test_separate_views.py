"""A network of its own for each view: trained by one command, averaged on the scan's own grid, in every command."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import autoseg
from autoseg.images.image import read_image
from autoseg.inference.shift import shifted
from autoseg.postprocessing.scored import folder_of

SHORT = ("network.shared_by_views=false", "training.steps_per_epoch=4", "network.features=[4, 8]")
NAMES = ("unet/fold_0/axial", "unet/fold_0/coronal")


@pytest.fixture(scope="module")
def separate(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("views") / "run"
    asked = [*SHORT, "views.1.adjacent_slices=0"]
    autoseg.plan(cohort, workspace=root, folds=2, planes=["axial", "coronal"], overrides=asked)
    autoseg.train("unet", workspace=root, epochs=1, precision="float32")
    return root


def test_each_view_has_a_place_of_its_own_and_what_it_held_out(separate: Path) -> None:
    for name in NAMES:
        validation = folder_of(separate / "models" / name)
        assert (validation / "record.json").exists()
        assert not list(validation.glob("*.axial.npz"))
        assert len(list(validation.glob("*.npz"))) == 2


def test_training_again_trains_nothing(separate: Path) -> None:
    models = autoseg.train("unet", workspace=separate, epochs=1, precision="float32").models
    assert [(model.id.folder, model.trained_now) for model in models] == [(name, False) for name in NAMES]


def test_views_are_averaged_where_they_are_used_and_selected(separate: Path, cohort: Path, tmp_path: Path) -> None:
    scan = read_image([next((cohort / "Test_Set").rglob("*.nii.gz"))], channels=1)

    def probabilities(**chosen: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        model = autoseg.load_model(precision="float32", **chosen)  # type: ignore[arg-type]
        found = model.predict(
            scan.array, spacing_mm=scan.geometry.spacing_mm, direction=scan.geometry.direction, with_probabilities=True
        ).probabilities
        assert found is not None
        return found

    axial, coronal = (probabilities(folders=[separate / "models" / name]) for name in NAMES)
    np.testing.assert_allclose(probabilities(workspace=separate), (axial + coronal) / 2, atol=1e-5)
    assert not np.allclose(axial, coronal, atol=1e-3)

    selection = autoseg.select(separate).selection
    assert {candidate.title for candidate in selection.candidates} == {"unet", "unet (axial)", "unet (coronal)"}
    chosen = selection.candidates[0].views
    assert selection.views == chosen
    assert tuple(model.id.folder for model in selection.models) == tuple(
        name for name in NAMES if not chosen or name.endswith(chosen)
    )
    expected = {(): (axial + coronal) / 2, ("axial",): axial, ("coronal",): coronal}[chosen]
    np.testing.assert_allclose(
        probabilities(workspace=separate), shifted(expected, selection.log_shift, exclusive=True), atol=1e-5
    )
    page = autoseg.report(separate, output=tmp_path / "report").page.read_text(encoding="utf-8")
    assert "U-Net, fold 0, coronal" in page
    assert page.count("autoseg train --arch unet --fold 0") == 1
    autoseg.export(tmp_path / "brain.autoseg", workspace=separate)
    np.testing.assert_array_equal(probabilities(model=tmp_path / "brain.autoseg"), probabilities(workspace=separate))


def test_a_view_that_is_missing_keeps_its_fold_out(separate: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(separate, tmp_path / "run"))
    (root / "selection.json").unlink(missing_ok=True)
    shutil.rmtree(root / "models" / NAMES[1])
    with pytest.raises(autoseg.errors.BundleError, match="not without the view coronal: repeat its train command"):
        autoseg.select(root)
    with pytest.raises(autoseg.errors.BundleError, match="not without the view coronal"):
        autoseg.load_model(root)
