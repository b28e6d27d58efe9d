from pathlib import Path

import pytest

from autoseg.model.identity import ModelId, folders_inside, model_folders


def test_a_model_is_named_in_three_ways() -> None:
    model = ModelId("unet", "0")
    assert (model.folder, model.file_stem, model.title) == ("unet/fold_0", "unet_fold_0", "unet, fold 0")
    assert (model.place_stem, model.place_title) == ("fold_0", "fold 0")


def test_a_seed_is_named_where_it_is_part_of_the_place() -> None:
    model = ModelId("unet", "full", seed=12)
    assert model.folder == "unet/fold_full/seed_12"
    assert (model.file_stem, model.title) == ("unet_fold_full_seed_12", "unet, fold full, seed 12")
    assert (model.place_stem, model.place_title) == ("fold_full_seed_12", "fold full, seed 12")


@pytest.mark.parametrize(("fold", "numbered"), [("0", True), ("12", True), ("full", False), ("official", False)])
def test_only_numbered_folds_belong_to_the_cross_validation(fold: str, numbered: bool) -> None:
    assert ModelId("unet", fold).is_numbered is numbered


def test_folders_of_models_are_found_and_nothing_else(tmp_path: Path) -> None:
    models = [ModelId("sepres", "full", seed=1), ModelId("unet", "0"), ModelId("unet", "0", seed=1)]
    for model in models:
        (tmp_path / model.folder).mkdir(parents=True)
    for other in ("unet/notes", "unet/fold_0/validation", "unet/fold_0/copy"):
        (tmp_path / other).mkdir()
    folders = [tmp_path / model.folder for model in (ModelId("sepres", "full"), *models)]
    assert sorted(model_folders(tmp_path)) == folders
    assert list(folders_inside(tmp_path / "unet" / "fold_0")) == [tmp_path / "unet" / "fold_0" / "seed_1"]
