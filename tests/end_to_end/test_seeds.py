"""Models of several seeds: beside one another, averaged as one network, in every command."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from oracles.processes import start, wait_until

import autoseg
from autoseg.images.image import read_image
from autoseg.model.description import read_document

NAMES = ("unet/fold_0", "unet/fold_0/seed_7", "unet/fold_1", "unet/fold_1/seed_7")


@pytest.fixture(scope="module")
def seeded(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two seeds of the U-Net on both folds, and of the Sep-Res U-Net one on fold 0."""
    root = Path(shutil.copytree(trained, tmp_path_factory.mktemp("seeds") / "run"))
    autoseg.train("unet", fold="all", seed=[0, 7], workspace=root, epochs=3, precision="float32")
    return root


def test_each_seed_has_a_place_of_its_own(seeded: Path, trained: Path) -> None:
    documents = [read_document(seeded / "models" / name) for name in NAMES]
    assert [document.id.folder for document in documents] == list(NAMES)
    assert [document.provenance.seed for document in documents] == [0, 7, 0, 7]
    assert len({document.weights_sha256 for document in documents}) == 4
    for name in NAMES[::2]:
        assert read_document(seeded / "models" / name) == read_document(trained / "models" / name)


def test_training_again_trains_nothing(seeded: Path) -> None:
    models = autoseg.train("unet", fold="all", seed=[7, 0], workspace=seeded, epochs=3, precision="float32").models
    assert [model.seed for model in models] == [7, 0, 7, 0]
    assert not any(model.trained_now for model in models)


def test_seeds_are_averaged_as_one_network(seeded: Path, cohort: Path) -> None:
    scan = read_image([next((cohort / "Test_Set").rglob("*.nii.gz"))], channels=1)

    def probabilities(*names: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        model = autoseg.load_model(folders=[seeded / "models" / name for name in names], precision="float32")
        found = model.predict(
            scan.array, spacing_mm=scan.geometry.spacing_mm, direction=scan.geometry.direction, with_probabilities=True
        ).probabilities
        assert found is not None
        return found

    one, other, sepres = (probabilities(name) for name in ("unet/fold_0", "unet/fold_0/seed_7", "sepres/fold_0"))
    together = probabilities("unet/fold_0", "unet/fold_0/seed_7", "sepres/fold_0")
    np.testing.assert_allclose(together, ((one + other) / 2 + sepres) / 2, atol=1e-5)


def test_they_are_selected_reported_exported_and_described(seeded: Path, cohort: Path, tmp_path: Path) -> None:
    selection = autoseg.select(seeded).selection
    stored = json.loads((seeded / "selection.json").read_text(encoding="utf-8"))
    unet = [model for model in stored["models"] if model["architecture"] == "unet"]
    assert [(model["fold"], model["seed"]) for model in unet] in ([], [("0", None), ("0", 7), ("1", None), ("1", 7)])
    assert {candidate.networks for candidate in selection.candidates} == {("unet",), ("sepres",), ("unet", "sepres")}
    assert "sepres: fold 1 not trained and scored to its end" in selection.missing
    assert not any(line.startswith("unet") for line in selection.missing)
    assert selection.quality.seeds == {name: {"unet": 2, "sepres": 1}[name] for name in selection.candidates[0].networks}
    assert selection.reasons[-1] == f"Dice is predicted from what {selection.quality.basis} expect"

    page = autoseg.report(seeded, output=tmp_path / "report").page.read_text(encoding="utf-8")
    assert "U-Net, fold 1, seed 7" in page
    assert "--fold 1 --epochs 3 --seed 7" in page
    assert "Some were trained with several random seeds, up to two." in page
    header = (tmp_path / "report" / "tables" / "table_3_dice.csv").read_text(encoding="utf-8").splitlines()[0]
    assert all(f'"U-Net, seed {seed}",' in header for seed in (0, 7))

    (seeded / "selection.json").unlink()
    file = tmp_path / "brain.autoseg"
    autoseg.export(file, workspace=seeded)
    described = autoseg.info(file).description
    assert tuple(described.bundles) == tuple(f"models/{name}" for name in ("sepres/fold_0", *NAMES))
    assert list(described.document.scores) == ["unet, seed 0", "unet, seed 7", "sepres"]
    scans = cohort / "Test_Set"
    from_file = autoseg.predict(scans, tmp_path / "file", model=file, precision="float32")
    from_workspace = autoseg.predict(scans, tmp_path / "workspace", workspace=seeded, precision="float32")
    assert from_file.models == from_workspace.models == ("sepres/fold_0", *NAMES)
    assert from_file.rows[0].model_digest == from_workspace.rows[0].model_digest


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.gate
def test_killed_seeds_go_on_with_the_weights_of_seeds_in_turn(cohort: Path, tmp_path: Path) -> None:
    turn = tmp_path / "turn"
    autoseg.plan(cohort, workspace=turn, folds=2, overrides=["training.steps_per_epoch=5", "network.features=[4, 8]"])
    side = Path(shutil.copytree(turn, tmp_path / "side"))
    autoseg.train(seed=[1, 2], epochs=40, precision="float32", workspace=turn)

    command = ("--seed", "1,2", "--precision", "float32", "--epochs", "40", "--jobs", "2", "-w", str(side))
    process = start("train", *command)
    folders = [side / "models" / "unet" / "fold_0" / f"seed_{seed}" for seed in (1, 2)]
    wait_until(lambda: all((folder / "checkpoint.json").exists() for folder in folders), process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)

    again = start("train", *command)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert "continuing after epoch" in errors
    for folder in folders:
        same = turn / folder.relative_to(side)
        assert read_document(folder).weights_sha256 == read_document(same).weights_sha256
