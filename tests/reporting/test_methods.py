"""The methods paragraph, sentence by sentence: what was done is told, and nothing else."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from autoseg.catalogue import NETWORKS
from autoseg.model.description import Hardware, Origin, TrainedStretch
from autoseg.planning.plan import Plan
from autoseg.reporting.methods import methods_paragraph
from autoseg.reporting.study import Choice, Study, Training

MakePlan = Callable[..., Plan]

VERSIONS = {
    "autoseg": "1.2.3", "torch": "2.13", "SimpleITK": "2.5", "numpy": "2.4", "scipy": "1.17", "batchgenerators": "0.25",
    "python": "3.11",
}  # fmt: skip
CASES = tuple(f"case_{number}" for number in range(10))
OFF = {"spatial_probability": 0.0, "intensity_probability": 0.0}
DATA = (
    "The data set tiny has 10 scans (T1) with reference segmentations of disc.",
    (
        "autoseg (recipe `auto`), which extends the method of Islam and Tabassum (2025), derived settings from the data by "
        "fixed rules, as Isensee et al. (2021) proposed."
    ),
)
SLICES = ("Scans were cut into axial slices, at their own resolution.", "Intensities were left as they are.")
UNET = ("The network was a U-Net (Ronneberger et al. 2015), with 2 levels of 4 to 8 features and batch normalisation.",)
ONE_OF_TWO = ("The network was trained on one of two folds (fold 0: 5 training and 5 held-out scans).",)
TRAINING = (
    (
        "Training took 31 epochs (20 minutes), on patches of 16 x 12 pixels in batches of 4, minimising the sum of "
        "class-weighted cross-entropy and soft Dice loss (class weights 1, 2) with AdamW (Loshchilov and Hutter 2019), a "
        "weight decay of 0.01 and a learning rate that rose to 0.01 in the first 10% of the training and then fell along a "
        "cosine."
    ),
    "Gradients were clipped to a norm of 12.",
    "The weights of the last epoch were kept.",
)
AUGMENTATION = (
    (
        "Training slices were rotated by up to 15 degrees, scaled by 0.85 to 1.18 and shifted by up to 6% of the patch, "
        "with probability 0.7."
    ),
    "They were mirrored along columns, with probability 0.5.",
    (
        "Their intensities were augmented by Gaussian noise (standard deviation up to 0.05), Gaussian blur (sigma 0.5 to 1 "
        "pixels), brightness (factor 0.85 to 1.15), contrast about the mean (factor 0.75 to 1.3) and gamma (exponent 0.8 to "
        "1.25), each with probability 0.5."
    ),
)
SCORES = (
    (
        "Predictions of 5 held-out scans were scored by class: Dice, Hausdorff distance, 95th percentile of the Hausdorff "
        "distance and average symmetric surface distance (distances in mm)."
    ),
)
SOFTWARE = (
    (
        "Software: autoseg 1.2.3, PyTorch 2.13 (Paszke et al. 2019), SimpleITK 2.5 (Lowekamp et al. 2013), NumPy 2.4 "
        "(Harris et al. 2020), SciPy 1.17 (Virtanen et al. 2020), batchgenerators 0.25 (Isensee et al. 2020) and Python "
        "3.11."
    ),
)


def training(architecture: str = "unet", fold: int | str = 0, *, held_out: int = 5, **changes: Any) -> Training:
    """A finished training on ten cases, some of which it held out."""
    return replace(
        Training(
            architecture,
            str(fold),
            seed=0,
            training=CASES[held_out:],
            held_out=CASES[:held_out],
            epochs=31,
            minutes=20.0,
            versions=VERSIONS,
        ),
        **changes,
    )


def study(*trainings: Training, **changes: Any) -> Study:
    """What comes of some trainings."""
    metrics = ("dice", "hausdorff_mm", "hausdorff95_mm", "assd_mm")
    done = Study(cases=10, folds=2, trainings=trainings, scored=5, metrics=metrics, versions={"autoseg": "9.9"})
    return replace(done, **changes)


ONE = study(training())


def tells(plan: Plan, done: Study, sentences: Sequence[str]) -> bool:
    """Whether the paragraph is these sentences; compares them, so that a failure shows both."""
    text, _ = methods_paragraph(plan, done)
    assert text.replace(". ", ".\n") == " ".join(sentences).replace(". ", ".\n")
    return True


def sentences_of(plan: Plan, done: Study) -> list[str]:
    text, _ = methods_paragraph(plan, done)
    return text.replace(". ", ".\n").splitlines()


def test_one_network_on_one_fold(make_plan: MakePlan) -> None:
    expected = (*DATA, *SLICES, *UNET, *ONE_OF_TWO, *TRAINING, *AUGMENTATION, *SCORES, *SOFTWARE)
    assert tells(make_plan(), ONE, expected)


def test_folds_are_those_that_are_stored(make_plan: MakePlan) -> None:
    text, _ = methods_paragraph(make_plan(), replace(ONE, folds=3))
    assert "trained on one of three folds (fold 0: 5 training and 5 held-out scans)." in text
    text, _ = methods_paragraph(make_plan(), replace(study(training(), training(fold=1), training(fold=2)), folds=3))
    assert "trained in three-fold cross-validation (5 training and 5 held-out scans in each fold)." in text


def test_before_training_only_what_is_there_is_told(make_plan: MakePlan) -> None:
    assert tells(make_plan(), Study(cases=10, folds=2, versions=VERSIONS), (
        *DATA, ("Software: autoseg 1.2.3, SimpleITK 2.5 (Lowekamp et al. 2013), NumPy 2.4 (Harris et al. 2020) and Python "
        "3.11.")
    ))  # fmt: skip


def test_three_networks_on_all_folds_with_a_selection(make_plan: MakePlan) -> None:
    trainings = [
        training(name, fold, epochs=31 + fold, minutes=20 + fold, held_out=1 + fold)
        for name in ("unet", "sepres", "attention")
        for fold in (0, 1)
    ]
    choice = Choice(
        ("unet", "sepres"), candidates=7, cases=10, tested=True, steps_tried=4,
        steps=("GM: holes filled", "CSF: components under 0.05 ml removed"), shift="GM -0.35, WM +0.10",
    )  # fmt: skip
    done = study(*trainings, scored=10, has_interval=True, choice=choice)
    sentences = sentences_of(make_plan(), done)
    for sentence in (
        "The networks were a U-Net (Ronneberger et al.",
        "The networks were trained in two-fold cross-validation (8 to 9 training and 1 to 2 held-out scans in each fold).",
        (
            "Out of seven combinations of networks, the average of U-Net and Sep-Res U-Net was selected by mean Dice on 10 "
            "held-out scans; differences from it were tested by paired permutation tests, corrected after Holm (1979)."
        ),
        "Logarithms of averaged probabilities were shifted by what held-out scans taught (GM -0.35, WM +0.10).",
        (
            "Label maps were postprocessed with cc3d (Silversmith 2021): GM: holes filled; CSF: components under 0.05 ml "
            "removed."
        ),
        "Means are given with 95 % skewness-adjusted t intervals over scans (Hall 1992).",
        "The selection was scored on the scans that decided it.",
    ):
        assert sentence in sentences
    scored = (
        "Predictions of 10 held-out scans by the selected average, shifted and postprocessed, were scored by class: Dice"
    )
    assert sum(line.startswith(scored) for line in sentences) == 1
    assert (
        sum(line.startswith("Each training took 31 to 32 epochs (20 to 21 minutes), on patches") for line in sentences) == 1
    )


def test_scores_of_the_best_of_several_networks_are_said_to_be_of_it(make_plan: MakePlan) -> None:
    done = study(training(), training("sepres"), scored_network="Sep-Res U-Net")
    text, _ = methods_paragraph(make_plan(), done)
    assert "Predictions of 5 held-out scans by Sep-Res U-Net (nothing was selected) were scored by class: Dice" in text


def test_no_test_is_named_that_was_not_made(make_plan: MakePlan) -> None:
    alone = study(training(), choice=Choice(("unet",), candidates=1, cases=5, steps_tried=2))
    expected = (*DATA, *SLICES, *UNET, *ONE_OF_TWO, *TRAINING, *AUGMENTATION)
    assert tells(make_plan(), alone, (*expected, "No step of postprocessing was kept (two tried).", *SCORES, *SOFTWARE))
    untested = replace(alone, choice=Choice(("unet",), candidates=3, cases=1))
    text, _ = methods_paragraph(make_plan(), untested)
    assert (
        "Out of three combinations of networks, U-Net was selected by mean Dice on 1 held-out scan. Predictions of 5 "
        "held-out scans by the selected network were scored by class" in text
    )
    assert "No step" not in text
    assert "permutation" not in text


def test_a_nested_selection_is_told_where_there_is_one(make_plan: MakePlan) -> None:
    choice = Choice(("unet",), candidates=3, cases=5)
    on_its_own = "The selection was scored on the scans that decided it"
    for nested, end in ((False, "."), (True, ", and by nested selection, without the fold that is scored.")):
        done = study(training(), choice=replace(choice, nested=nested))
        assert on_its_own + end in sentences_of(make_plan(), done)


def test_a_selection_that_somebody_changed_says_so(make_plan: MakePlan) -> None:
    edited = study(training(), choice=Choice(("unet",), candidates=1, cases=5, edited=True))
    assert "The selection was edited by hand afterwards; scores are of what it was before." in sentences_of(
        make_plan(), edited
    )


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (
            study(training(fold=0), training(fold=3, held_out=4)),
            "The network was trained on two of five folds (folds 0 and 3: 5 to 6 training and 4 to 5 held-out scans).",
        ),
        (
            study(training(held_out=1)),
            "The network was trained on one of five folds (fold 0: 9 training and 1 held-out scan).",
        ),
        (
            study(*(training(fold=fold, held_out=2) for fold in range(5))),
            "The network was trained in five-fold cross-validation (8 training and 2 held-out scans in each fold).",
        ),
        (
            study(training(fold="official", held_out=3)),
            "The network was trained on the data set's own split (7 training and 3 held-out scans).",
        ),
        (
            study(training(fold="full", held_out=0)),
            "The network was trained on all 10 labelled scans, none of them held out.",
        ),
        (
            study(training(), training(fold="full", held_out=0)),
            (
                "The network was trained on one of five folds (fold 0: 5 training and 5 held-out scans) and on all 10 "
                "labelled scans, none of them held out."
            ),
        ),
        (
            study(training(), training("sepres", 1), training("attention", 1)),
            (
                "The U-Net was trained on one of five folds (fold 0: 5 training and 5 held-out scans).\n"
                "The Sep-Res U-Net and the Attention U-Net were trained on one of five folds (fold 1: 5 training and 5 "
                "held-out scans)."
            ),
        ),
    ],
)
def test_folds_are_those_that_were_trained(make_plan: MakePlan, done: Study, expected: str) -> None:
    sentences = sentences_of(make_plan(), replace(done, folds=5))
    assert [line for line in sentences if " trained " in line] == expected.splitlines()


@pytest.mark.parametrize(
    ("trainings", "expected"),
    [
        ([training()], []),
        ([training(), training(fold=1)], []),
        ([training(seed=2), training(seed=0)], ["Each was trained with two random seeds (0 and 2)."]),
        ([training(), training(seed=1), training(fold=1)], ["Some were trained with several random seeds, up to two."]),
    ],
)
def test_seeds_are_counted(make_plan: MakePlan, trainings: list[Training], expected: list[str]) -> None:
    assert [line for line in sentences_of(make_plan(), study(*trainings)) if "random seed" in line] == expected


def test_views_with_a_network_of_their_own_are_no_seeds(make_plan: MakePlan) -> None:
    plan = make_plan(views=[{}, {"plane": "coronal"}], network={"shared_by_views": False})
    assert "seed" not in methods_paragraph(plan, study(training(), training()))[0]


STRETCHES = (TrainedStretch(first_epoch=1, epochs=20, minutes=12.0), TrainedStretch(first_epoch=21, epochs=11, minutes=8.0))
REVISED = (STRETCHES[0], STRETCHES[1].model_copy(update={"revision": 1}))
CORRECTED = "cases were added or label maps corrected in between"
LOWER = "from the last weights, with a schedule that started again from a lower learning rate"


@pytest.mark.parametrize(
    ("trainings", "expected"),
    [
        ([training()], []),
        ([training(stretches=STRETCHES)], [f"It was trained further after the end (20 + 11 epochs), {LOWER}."]),
        (
            [training(stretches=REVISED), training(fold=1)],
            [f"One of two was trained further after the end (20 + 11 epochs), {LOWER}; {CORRECTED}."],
        ),
    ],
)
def test_what_was_trained_further_is_told(make_plan: MakePlan, trainings: list[Training], expected: list[str]) -> None:
    assert [line for line in sentences_of(make_plan(), study(*trainings)) if "trained further" in line] == expected


@pytest.mark.parametrize(
    ("epochs", "minutes", "expected"),
    [
        ((1,), (0.4,), "Training took 1 epoch (less than a minute), on"),
        ((8, 8), (2.0, 9.96), "Each training took 8 epochs (2.0 to 10.0 minutes), on"),
        ((2000, 2100), (1500.0, 1440.2), "Each training took 2,000 to 2,100 epochs (1,440 to 1,500 minutes), on"),
    ],
)
def test_length_of_trainings(make_plan: MakePlan, epochs: tuple[int], minutes: tuple[float], expected: str) -> None:
    runs = [
        training(fold=fold, epochs=count, minutes=long)
        for fold, (count, long) in enumerate(zip(epochs, minutes, strict=True))
    ]
    assert expected in methods_paragraph(make_plan(), study(*runs))[0]


@pytest.mark.parametrize(
    ("key", "value", "gone"),
    [
        ("rotation_deg", 0.0, "rotated by up to 15 degrees, "),
        ("scale", [1.0, 1.0], "scaled by 0.85 to 1.18"),
        ("shift_fraction", 0.0, "shifted by up to 6% of the patch"),
        ("noise_variance", 0.0, "Gaussian noise (standard deviation up to 0.05), "),
        ("blur_sigma_px", [0.0, 0.0], "Gaussian blur (sigma 0.5 to 1 pixels), "),
        ("brightness", [1.0, 1.0], "brightness (factor 0.85 to 1.15), "),
        ("contrast", [1.0, 1.0], "contrast about the mean (factor 0.75 to 1.3)"),
        ("gamma", [1.0, 1.0], "gamma (exponent 0.8 to 1.25)"),
    ],
)
def test_an_augmentation_that_is_off_is_not_named(make_plan: MakePlan, key: str, value: Any, gone: str) -> None:
    assert gone in methods_paragraph(make_plan(), ONE)[0]
    assert (
        gone.partition(" (")[0].partition(" by ")[0] not in methods_paragraph(make_plan(augmentation={key: value}), ONE)[0]
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"spatial_probability": 0.0, "intensity_probability": 0.0}, ["Training slices were mirrored along columns, with"]),
        ({"intensity_probability": 0.0}, [AUGMENTATION[0], AUGMENTATION[1]]),
        (
            {"spatial_probability": 1.0, "scale": [1.0, 1.0], "shift_fraction": 0.0, "intensity_probability": 0.0},
            ["Training slices were rotated by up to 15 degrees. They were"],
        ),
        (
            {"spatial_probability": 0.0, "noise_variance": 0.0, "noise_std": 0.2, "brightness_shift": 0.1,
             "contrast_about": "foreground", "gamma": [1.0, 1.0], "blur_sigma_px": [0.0, 0.0], "brightness": [1.0, 1.0]},
            [("Their intensities were augmented by Gaussian noise (standard deviation up to 0.2), added brightness "
             "(standard deviation 0.1) and contrast about the mean of the foreground (factor 0.75 to 1.3), each with "
             "probability 0.5.")],
        ),
        (
            {"noise_variance": 0.0, "contrast": [1.0, 1.0], "blur_sigma_px": [0.0, 0.0], "brightness": [1.0, 1.0]},
            ["Their intensities were augmented by gamma (exponent 0.8 to 1.25), with probability 0.5."],
        ),
    ],
)  # fmt: skip
def test_augmentation_as_planned(make_plan: MakePlan, changes: dict[str, Any], expected: list[str]) -> None:
    text, _ = methods_paragraph(make_plan(augmentation=changes), ONE)
    assert all(part in text for part in expected)


def test_without_augmentation_none_is_named_nor_its_package(make_plan: MakePlan) -> None:
    plan = make_plan(augmentation=OFF, view={"mirror_axes": []})
    without = SOFTWARE[0].replace(", batchgenerators 0.25 (Isensee et al. 2020)", "")
    expected = (*DATA, *SLICES, *UNET, *ONE_OF_TWO, *TRAINING, *SCORES, without)
    assert tells(plan, ONE, expected)


def test_what_a_gpu_augments_is_not_augmented_by_batchgenerators(make_plan: MakePlan) -> None:
    text, references = methods_paragraph(make_plan(), study(training(augmented_on_host=False)))
    assert "rotated" in text
    assert "batchgenerators" not in " ".join([text, *references])


def test_another_plan_gives_another_text(make_plan: MakePlan) -> None:
    plan = make_plan(
        inputs={"recipe": "paper"},
        preprocessing={
            "crop": "nonzero", "crop_margin_px": 1,
            "normalisation": [{"method": "quantile_zscore", "background": -8.5, "clip": 10.0}],
        },
        training={
            "loss": "dice", "optimiser": "adam", "schedule": "plateau", "lr_patience": 10, "early_stopping_patience": 20,
            "grad_clip_norm": None, "best_model": "validation_loss", "half_resolution_fraction": 0.25,
            "slices": {"rule": "foreground_fraction", "fraction": 0.5},
        },
        view={"spacing_mm": [1.0, 0.5], "adjacent_slices": 2, "mirror_axes": [], "tta_axes": ["columns"]},
        network={"deep_supervision": True, "features": [4, 8, 16], "stem": "space_to_depth"},
        augmentation=OFF,
    )  # fmt: skip
    without = SOFTWARE[0].replace(", batchgenerators 0.25 (Isensee et al. 2020)", "")
    assert tells(plan, ONE, (
        DATA[0],
        DATA[1].replace("`auto`", "`paper`").replace("extends", "follows"),
        ("Scans were cropped to the box around voxels other than 0 with a margin of 1 voxel, cut into axial slices and "
        "resampled to 1 x 0.5 mm per pixel."),
        ("Intensities were normalised per scan by mean and standard deviation of the voxels between the 25th and the 75th "
        "percentile of all positive intensities and clipped to [-10, 10]; voxels of value 0, which surround the subject, "
        "were set to -8.5."),
        UNET[0].replace("4 to 8", "8 to 16"),
        "Each slice was shown with two adjacent slices on either side (2.5D).",
        "Every 2 x 2 pixels entered as one with four times the channels; logits were rearranged likewise.",
        *ONE_OF_TWO,
        ("Training took 31 epochs (20 minutes), on patches of 16 x 12 pixels in batches of 4, minimising soft Dice loss at "
        "every resolution (deep supervision, Lee et al. 2015) with Adam (Kingma and Ba 2015) and a learning rate of 0.01 "
        "that was divided by ten after 10 epochs without a lower loss of the held-out cases."),
        "A fraction of 0.5 of the slices was drawn from slices with any foreground, the rest from all.",
        "In the first 25% of the training, slices were shown at half resolution.",
        "Early stopping had a patience of 20 epochs (loss of the held-out cases).",
        "The weights of the epoch with the lowest loss of the held-out cases were kept.",
        "Predicted probabilities were averaged over mirror images along columns.",
        *SCORES,
        without,
    ))  # fmt: skip


def test_what_was_held_out_of_nothing_is_judged_on_the_training_cases(make_plan: MakePlan) -> None:
    plan = make_plan(training={"best_model": "validation_dice"})
    text, _ = methods_paragraph(plan, study(training(fold="full", held_out=0), scored=0))
    assert "The weights of the epoch with the highest Dice of the training cases were kept." in text
    assert "scored" not in text
    assert "one adjacent slice on either" in methods_paragraph(make_plan(view={"adjacent_slices": 1}), ONE)[0]


def test_images_in_2d_are_no_scans(make_plan: MakePlan) -> None:
    text, _ = methods_paragraph(make_plan(view={"plane": None}), replace(ONE, cases=1, scored=1))
    assert "tiny has 1 image (T1)" in text
    assert "Images kept their own resolution. Intensities" in text
    assert "5 training and 5 held-out images" in text
    assert "Predictions of 1 held-out image were scored by class" in text
    assert "scan" not in text
    cropped = make_plan(view={"plane": None, "spacing_mm": [0.5, 0.5]}, preprocessing={"crop": "nonzero"})
    assert (
        "Images were cropped to the box around voxels other than 0 and resampled to 0.5 x 0.5 mm per pixel. "
        in methods_paragraph(cropped, ONE)[0]
    )


def test_channels_of_different_kinds_are_told_apart(make_plan: MakePlan) -> None:
    ct = {"method": "ct", "lower": 0.0, "upper": 1.0, "mean": 0.5, "std": 1.0}
    plan = make_plan(
        data={"channels": ["T1", "CT", "T2"]},
        preprocessing={"normalisation": [{"method": "zscore"}, ct, {"method": "zscore"}]},
    )
    text, _ = methods_paragraph(plan, ONE)
    assert "has 10 scans (T1, CT and T2) with" in text
    assert (
        "Intensities of T1 and T2 were normalised per scan by mean and standard deviation of the positive intensities. "
        "Intensities of CT were clipped to and scaled by the intensities of the training data's foreground. The network"
    ) in text


def test_views_are_told_apart_where_they_differ(make_plan: MakePlan) -> None:
    views = [
        {"plane": "coronal", "tta_axes": ["columns"], "adjacent_slices": 1},
        {"plane": "sagittal", "patch_px": [32, 12], "mirror_axes": [], "spacing_mm": [1.0, 0.5]},
    ]
    plan = make_plan(views=views, network={"shared_by_views": False}, prediction={"prior_power": 0.5})
    text, _ = methods_paragraph(plan, ONE)
    for part in (
        (
            "Scans were cut into coronal and sagittal slices: coronal ones at their own resolution and sagittal ones "
            "resampled to 1 x 0.5 mm per pixel. Intensities"
        ),
        (
            "Networks were shown coronal slices with one adjacent slice and sagittal slices with no adjacent slices on "
            "either side (2.5D). Each plane had networks of its own. The network was"
        ),
        "on patches of 16 x 12 pixels in batches of 4 (coronal) and 32 x 12 pixels in batches of 4 (sagittal), minimising",
        "They were mirrored along columns of coronal slices, with probability 0.5.",
        (
            "Predicted probabilities were divided by the class weights to the power 0.5, averaged over mirror images along "
            "columns of coronal slices and averaged over the planes on the scan's own voxels. Predictions of 5"
        ),
    ):
        assert part in text
    alike = make_plan(views=[{"plane": "coronal", "mirror_axes": ["rows", "columns"]}, {"plane": "axial"}])
    text, _ = methods_paragraph(alike, ONE)
    assert "All planes were shown to the same network in turn." in text
    assert "columns of axial slices, along each axis with probability 0.5" in text
    chosen = replace(ONE, choice=Choice(("unet",), candidates=3, cases=5, views=("axial",)))
    text, _ = methods_paragraph(alike, chosen)
    assert (
        "combinations of networks and planes, U-Net was selected by mean Dice on 5 held-out scans, seeing axial slices"
        in text
    )
    assert "over the planes" not in text


def test_what_somebody_set_is_said(make_plan: MakePlan) -> None:
    plan = make_plan(inputs={"overrides": {"training.loss": "dice"}})
    assert " proposed. `training.loss` was set by hand. Scans" in methods_paragraph(plan, ONE)[0]
    changed = plan.model_copy(update={"planned_digest": plan.digest, "folds": 3})
    assert "`training.loss` was set by hand. The plan was edited by hand. Scans" in methods_paragraph(changed, ONE)[0]


def test_metrics_are_those_that_something_was_scored_by(make_plan: MakePlan) -> None:
    text, _ = methods_paragraph(make_plan(), replace(ONE, metrics=("dice",)))
    assert "Predictions of 5 held-out scans were scored by class: Dice. Software" in text


def test_the_tolerance_of_surface_dice_is_told_where_it_was_used(make_plan: MakePlan) -> None:
    classes = [{"value": value, "name": name} for value, name in enumerate(("background", "GM", "WM"))]
    data, weights = {"classes": classes}, {"class_weights": [1.0, 2.0, 2.0]}
    by_nsd = replace(ONE, metrics=("dice", "nsd"))
    for tolerances, told in (([1.5], "1.5 mm."), ([2, 0.75], "2 mm for GM and 0.75 mm for WM."), ([2, 2], "2 mm.")):
        plan = make_plan(data=data, training=weights, evaluation={"tolerances_mm": tolerances})
        text, references = methods_paragraph(plan, by_nsd)
        assert (
            "scored by class: Dice and normalised surface Dice. The tolerance of the normalised surface Dice (Nikolov et "
            f"al. 2018) was {told} Software" in text
        )
        assert any(reference.startswith("Nikolov") for reference in references)
    assert "tolerance" not in methods_paragraph(make_plan(), ONE)[0]


def test_versions_are_those_of_training(make_plan: MakePlan) -> None:
    other = training(fold=1, versions=VERSIONS | {"torch": "2.12"})
    text, references = methods_paragraph(make_plan(), study(training(), other))
    assert "autoseg 1.2.3, PyTorch 2.12 and 2.13 (Paszke et al. 2019), SimpleITK 2.5 (" in text
    assert text.endswith("Python 3.11; versions differ between trainings.")
    assert (
        references[0] == "The autoseg team. autoseg: self-configuring segmentation of medical images in 2D. Version 1.2.3."
    )
    assert "9.9" not in text


CPU = Hardware(processor="EPYC 9", threads=1)


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        ([None], ""),
        ([CPU], "Networks were trained on EPYC 9 (1 thread)."),
        ([CPU, None], "Networks of which this is recorded were trained on EPYC 9 (1 thread)."),
        ([CPU, CPU, Hardware(processor="M9")], "Networks were trained on EPYC 9 (1 thread) and M9."),
        ([Hardware(processor="EPYC 9", gpu="H100")], "Networks were trained on H100."),
        ([Hardware(processor="EPYC 9", gpu="H100", processes=2)], "Networks were trained on two H100."),
        ([Hardware(processor="EPYC 9", processes=4)], "Networks were trained on EPYC 9 (4 processes)."),
    ],
)
def test_hardware_is_named_where_it_was_recorded(
    make_plan: MakePlan, hardware: list[Hardware | None], expected: str
) -> None:
    runs = [training(fold=fold, hardware=each) for fold, each in enumerate(hardware)]
    text, _ = methods_paragraph(make_plan(), study(*runs))
    assert text.rpartition("Python 3.11.")[2].strip() == expected


def test_number_formats_and_halved_batches(make_plan: MakePlan) -> None:
    runs = [training(precision="bfloat16", batches_halved=True), training(fold=1)]
    text, _ = methods_paragraph(make_plan(), study(*runs))
    assert "Convolutions were computed in bfloat16 or float32. Batches were halved in one of two trainings to fit" in text
    text, _ = methods_paragraph(make_plan(), study(runs[0]))
    assert "Convolutions were computed in bfloat16. Batches were halved to fit into the GPU's memory." in text


def test_regions_are_told_as_such(make_plan: MakePlan) -> None:
    regions = [
        {"value": 0, "name": "background"},
        {"value": 1, "name": "whole", "values": [1, 2], "order": 0},
        {"value": 2, "name": "core", "values": [2], "order": 1},
    ]
    plan = make_plan(
        data={"classes": regions},
        training={"class_weights": [1.0, 2.5, 7.0]},
        prediction={"prior_power": 0.5},
        view={"tta_axes": ["columns"]},
    )
    text, _ = methods_paragraph(plan, ONE)
    assert "of whole and core. These are regions: a voxel may lie in several, one inside the other." in text
    assert "(binary, of a sigmoid for each region, weights of background and of voxels by their innermost region 1," in text
    told = "The predicted odds of each region were divided by the quotient of its weight and that of what surrounds it,"
    assert f"{told} to the power 0.5. Predicted" in text
    assert "were scored by region" in text
    without = make_plan(data={"classes": regions}, training={"class_weights": [1.0, 2.5, 7.0], "loss": "dice"})
    assert "minimising soft Dice loss (of sigmoids) with" in methods_paragraph(without, ONE)[0]


def test_many_class_weights_are_a_range(make_plan: MakePlan) -> None:
    classes = [{"value": value, "name": f"c{value}"} for value in range(10)]
    plan = make_plan(data={"classes": classes}, training={"class_weights": [1.0, *([2.5] * 9)]})
    assert "(class weights from 1 to 2.5)" in methods_paragraph(plan, ONE)[0]


@pytest.mark.parametrize("networks", [("unet",), ("unet", "sepres", "attention")])
def test_what_is_cited_is_listed_and_nothing_else(make_plan: MakePlan, networks: tuple[str, ...]) -> None:
    choice = Choice(networks, candidates=2 ** len(networks) - 1, cases=5, tested=len(networks) > 1)
    done = study(*(training(name) for name in networks), choice=choice)
    text, references = methods_paragraph(make_plan(network={"deep_supervision": True}), done)
    names = [reference.split()[0].rstrip(",") for reference in references[1:]]
    years = [re.findall(r"\((\d{4})\)", reference)[0] for reference in references[1:]]
    cited = [re.search(rf"\b{name}\b[\w\s.]*\(?{year}\b", text) for name, year in zip(names, years, strict=True)]
    places = [match.start() for match in cited if match is not None]
    assert len(places) == len(names)
    assert places == sorted(places)
    assert ("Oktay" in names) == ("attention" in networks)
    assert ("Holm" in names) == (len(networks) > 1)
    assert {"Islam", "Isensee", "Lee", "Paszke", "Loshchilov"} <= set(names)
    assert "Hall" not in names
    assert len(names) == len(set(references)) - 1


def test_no_plural_is_left_to_the_reader(make_plan: MakePlan) -> None:
    plans = [make_plan(), make_plan(view={"adjacent_slices": 1}), make_plan(preprocessing={"crop": "nonzero"})]
    for plan in plans:
        for name in NETWORKS:
            assert "(s)" not in methods_paragraph(plan, study(training(name)))[0]


def test_what_trainings_started_from_and_what_is_known_of_it(make_plan: MakePlan) -> None:
    def said(*trainings: Training) -> list[str]:
        lines = sentences_of(make_plan(), study(*trainings))
        return [line for line in lines if "started" in line or "these" in line or "multiplied" in line]

    made = {"weights_sha256": "a" * 64, "name": "unet, fold 0 of b", "epochs": 9, "minutes": 1, "channels_kept": True}
    known = Origin.model_validate({**made, "classes_kept": False, "learnt_from": ()})
    unknown = Origin.model_validate({**made, "classes_kept": True})
    told = "started from trained weights (unet, fold 0 of b after 9 epochs, with last layers of its own)."
    assert said(training()) == []
    honest = "None of these had been learnt from the scans that were held out."
    assert said(training(origin=known)) == [f"Training {told}", honest]
    assert said(training(origin=known, held_out=0)) == [f"Training {told}"]
    assert said(training(), training(fold=1, origin=known)) == [f"One of two trainings {told}", honest]
    assert said(training(origin=unknown, rate_factor=0.3)) == [
        "Training started from trained weights (unet, fold 0 of b after 9 epochs).",
        "Learning rates were multiplied by 0.3 there.",
        "It was not recorded whether these had been learnt from scans that were held out.",
    ]


def test_label_maps_that_were_predicted_and_corrected_are_told(make_plan: MakePlan) -> None:
    trainings = (
        training(fold=0, revision=2, adopted=("a", "b"), corrected=("c",)),
        training(fold=1, revision=1, adopted=("a",)),
    )
    text, _ = methods_paragraph(make_plan(), study(*trainings))
    assert (
        "Of the segmentations that were learnt from, three had been predicted by an earlier model and were corrected or "
        "confirmed by a person (2 further scans and one in place of an earlier reference). One of the trainings preceded "
        "the last of these."
    ) in text
    without, _ = methods_paragraph(make_plan(), study(training(revision=2)))
    assert "predicted by an earlier model" not in without
