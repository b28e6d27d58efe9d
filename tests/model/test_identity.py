from pathlib import Path

import pytest

from autoseg.model.identity import ModelId, fold_order, folders_inside, model_folders, of_several_networks


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


def test_folds_are_in_the_order_of_their_numbers_and_names_last() -> None:
    folds = ["official", "10", "2", "full", "0", "11", "1"]
    assert sorted(folds, key=fold_order) == ["0", "1", "2", "10", "11", "full", "official"]


def test_a_view_is_named_where_it_has_a_network_of_its_own() -> None:
    model = ModelId("unet", "0", seed=1, view="coronal")
    assert model.folder == "unet/fold_0/coronal/seed_1"
    assert model.title == "unet, fold 0, coronal, seed 1"


def test_folders_of_models_are_found_and_nothing_else(tmp_path: Path) -> None:
    models = [ModelId("sepres", "full", seed=1), ModelId("unet", "0"), ModelId("unet", "0", seed=1)]
    models[1:1] = [ModelId("sepres", "full", view="axial"), ModelId("sepres", "full", view="axial", seed=3)]
    for model in models:
        (tmp_path / model.folder).mkdir(parents=True)
    for other in ("unet/notes", "unet/fold_0/validation", "unet/fold_0/copy"):
        (tmp_path / other).mkdir()
    folders = [tmp_path / model.folder for model in (ModelId("sepres", "full"), *models)]
    assert sorted(model_folders(tmp_path)) == sorted(folders)
    assert set(folders_inside(folders[0])) == {folders[0] / "seed_1", folders[0] / "axial"}
    assert list(folders_inside(tmp_path / "unet" / "fold_0")) == [tmp_path / "unet" / "fold_0" / "seed_1"]


def test_models_of_several_networks_are_told_from_folds_of_one() -> None:
    first = ModelId("unet", "0")
    for other in (
        ModelId("sepres", "0"),
        ModelId("sepres", "1"),
        ModelId("unet", "0", 3),
        ModelId("unet", "1", view="axial"),
    ):
        assert of_several_networks([first, other])
    for others in ([], [ModelId("unet", "1")], [ModelId("unet", "1", 3), ModelId("unet", "full")]):
        assert not of_several_networks([first, *others])
