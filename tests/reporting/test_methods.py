from collections.abc import Callable
from dataclasses import replace

import pytest

from autoseg.planning.plan import Plan
from autoseg.reporting.methods import Study, methods_paragraph

MakePlan = Callable[..., Plan]
STUDY = Study(
    cases=10,
    models={"unet": ["0", "1"]},
    minutes=(20.0, 20.4),
    epochs=(31, 35),
    versions={"autoseg": "1.2.3", "torch": "2.13", "SimpleITK": "2.5", "python": "3.11"},
)


def test_every_number_is_the_plans_or_the_runs(make_plan: MakePlan) -> None:
    text, _ = methods_paragraph(make_plan(), STUDY)
    for part in (
        "10 labelled scans of tiny (T1)", "cut into axial slices", "were left as they are", "2 levels from 4 to 8 features",
        "patches of 16 x 12 pixels in batches of 4", "class weights 1, 2", "learning rate of 0.01",
        "31 to 35 epochs (20 minutes)",
        "2-fold cross-validation (fold(s) 0 and 1)", "rotation by up to 15 degrees", "mirroring along columns",
        "autoseg 1.2.3",
    ):  # fmt: skip
        assert part in text


def test_another_plan_gives_another_text(make_plan: MakePlan) -> None:
    changed = make_plan(
        preprocessing={"crop": "nonzero", "normalisation": [{"method": "quantile_zscore", "background": -8.5}]},
        training={"loss": "dice", "optimiser": "adam", "schedule": "plateau", "lr_patience": 10},
        view={"spacing_mm": [1.0, 0.5], "adjacent_slices": 2, "mirror_axes": [], "tta_axes": ["columns"]},
        augmentation={"spatial_probability": 0.0, "intensity_probability": 0.0},
    )
    text, references = methods_paragraph(changed, STUDY)
    for part in (
        "cropped to their content, resampled to 1 x 0.5 mm and cut", "25th and the 75th",
        "Voxels of value 0, which surround the subject, were set to -8.5 after that", "soft Dice loss", "by Adam",
        "divided by ten after 10 epochs", "2 adjacent slice(s)", "averaged over mirror images along columns",
    ):  # fmt: skip
        assert part in text
    assert "augmented" not in text
    assert "own in-plane resolution" not in text
    assert any("Kingma" in reference for reference in references)


@pytest.mark.parametrize("networks", [("unet",), ("unet", "sepres", "attention")])
def test_what_is_cited_is_listed_and_nothing_else(make_plan: MakePlan, networks: tuple[str, ...]) -> None:
    study = replace(STUDY, models={name: ["0"] for name in networks}, averaged=networks, compared=10)  # type: ignore[arg-type]
    text, references = methods_paragraph(make_plan(), study)
    names = [reference.split()[0].rstrip(",") for reference in references]
    assert all(name in text for name in names)
    assert ("Oktay" in names) == ("attention" in networks)
    assert "Isensee" in names


def test_the_selection_is_told_with_its_postprocessing(make_plan: MakePlan) -> None:
    assert "selected" not in methods_paragraph(make_plan(), STUDY)[0]
    chosen = replace(
        STUDY, averaged=("unet", "sepres"), compared=10, postprocessing=("GM: holes filled",), shift="GM -0.35, WM +0.10"
    )
    text, _ = methods_paragraph(make_plan(), chosen)
    assert "(10 held-out cases), U-Net and Sep-Res U-Net were selected" in text
    assert "GM: holes filled" in text
    assert "shifted by amounts learnt from held-out cases (GM -0.35, WM +0.10). Label maps" in text
    one_view = methods_paragraph(make_plan(), replace(chosen, views=("axial", "coronal")))[0]
    assert "(1979). Of the planes, axial and coronal slices alone were selected likewise. Logarithms" in one_view
    assert "Of the planes" not in text
    assert "shifted" not in methods_paragraph(make_plan(), replace(chosen, shift=""))[0]
    assert "No postprocessing" in methods_paragraph(make_plan(), replace(chosen, postprocessing=()))[0]


def test_before_training_only_the_data_are_described(make_plan: MakePlan) -> None:
    text, _ = methods_paragraph(make_plan(), replace(STUDY, models={}))
    assert "trained" not in text
    assert "networks were" not in text


def test_the_prior_is_spoken_of_where_it_was_put_right(make_plan: MakePlan) -> None:
    put_right = {"prediction": {"prior_power": 0.5}}
    text, _ = methods_paragraph(make_plan(**put_right), STUDY)
    assert "Predicted probabilities were divided by the class weights to the power 0.5. " in text
    text, _ = methods_paragraph(make_plan(**put_right, view={"tta_axes": ["columns"]}), STUDY)
    assert "to the power 0.5 and averaged over mirror images along columns. " in text
    assert "Predicted" not in methods_paragraph(make_plan(), STUDY)[0]


def test_networks_of_single_views_are_told_of(make_plan: MakePlan) -> None:
    views = [{"adjacent_slices": 1}, {"plane": "coronal"}]
    text, _ = methods_paragraph(make_plan(views=views, network={"shared_by_views": False}), STUDY)
    assert "shown with 1 or 0 adjacent slice(s) on either side. Slices of each plane had networks of their own." in text


def test_several_views_are_told_apart_where_they_differ(make_plan: MakePlan) -> None:
    views = [
        {"plane": "coronal", "tta_axes": ["columns"]},
        {"plane": "sagittal", "patch_px": [32, 12], "mirror_axes": [], "spacing_mm": [1.0, 0.5]},
    ]
    text, _ = methods_paragraph(make_plan(views=views), STUDY)
    for part in (
        "cut into coronal and sagittal slices",
        "coronal ones at their own resolution and sagittal ones resampled to 1 x 0.5 mm",
        "patches of 16 x 12 pixels in batches of 4 (coronal) and 32 x 12 pixels in batches of 4 (sagittal)",
        "shown to the same network, in turns", "mirroring along columns of coronal slices",
        "averaged over mirror images along columns of coronal slices and averaged over the planes on the scan's own voxels",
    ):  # fmt: skip
        assert part in text
    alike, _ = methods_paragraph(make_plan(views=[{"plane": "coronal"}, {"plane": "axial"}]), STUDY)
    assert "at their own in-plane resolution" in alike
    assert "mirroring along columns" in alike
    assert "columns of" not in alike
