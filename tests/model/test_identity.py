from pathlib import Path

import pytest

from autoseg.model.identity import FOLDERS, ModelId


def test_a_model_is_named_in_three_ways() -> None:
    model = ModelId("unet", "0")
    assert (model.folder, model.file_stem, model.title) == ("unet/fold_0", "unet_fold_0", "unet, fold 0")


@pytest.mark.parametrize(("fold", "numbered"), [("0", True), ("12", True), ("full", False), ("official", False)])
def test_only_numbered_folds_belong_to_the_cross_validation(fold: str, numbered: bool) -> None:
    assert ModelId("unet", fold).is_numbered is numbered


def test_the_pattern_finds_folders_of_models(tmp_path: Path) -> None:
    models = [ModelId("sepres", "full"), ModelId("unet", "0")]
    for model in models:
        (tmp_path / model.folder).mkdir(parents=True)
    (tmp_path / "unet" / "notes").mkdir()
    assert sorted(tmp_path.glob(FOLDERS)) == [tmp_path / model.folder for model in models]
