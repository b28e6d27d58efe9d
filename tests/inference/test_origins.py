from pathlib import Path

from oracles.heard import Heard

from autoseg.data.dataset import LabelClass
from autoseg.inference.origins import warn_of_origins
from autoseg.inference.table import TABLE_FILE, PredictionRow, write_table
from autoseg.storage import files

CLASSES = [LabelClass(value=value, name=name) for value, name in enumerate(("background", "CSF"))]


def results(folder: Path, models: dict[str, str]) -> list[Path]:
    """A folder with a label map per scan and a table that names the model of each."""
    rows = []
    for case, model in models.items():
        files.write_text(folder / f"{case}.nii.gz", case)
        sha256 = files.sha256_file(folder / f"{case}.nii.gz")
        rows.append(PredictionRow(case, "in", f"digest of {model}", sha256, {"CSF": 1.0}, {}, "", model=model))
    write_table(folder / TABLE_FILE, rows, classes=CLASSES)
    return [folder / f"{case}.nii.gz" for case in models]


def said(label_maps: list[Path]) -> list[str]:
    listener = Heard()
    warn_of_origins(label_maps, listener)
    return listener.warnings


def test_one_model_that_predicted_what_is_there_is_no_cause_to_warn(tmp_path: Path) -> None:
    assert said(results(tmp_path, {"a": "one", "b": "one"})) == []


def test_label_maps_of_several_models_are_told_of_where_they_take_part(tmp_path: Path) -> None:
    label_maps = results(tmp_path, {"a": "one", "b": "two", "c": "two"})
    [warning] = said(label_maps)
    assert warning == (
        f"the label maps in {tmp_path} stem from 2 different models or settings, so that no mean of their scores describes "
        "one of them: one; two"
    )
    assert said(label_maps[1:]) == []


def test_label_maps_that_were_corrected_since_are_told_of(tmp_path: Path) -> None:
    label_maps = results(tmp_path, {"a": "one", "b": "one"})
    label_maps[1].write_bytes(b"corrected")
    assert said(label_maps) == ["changed since they were predicted, so that the scores are of the changes, too: b"]


def test_label_maps_without_a_table_of_predictions_are_nobodys(tmp_path: Path) -> None:
    for content in (None, "id;dice\n1;2\n"):
        files.write_text(tmp_path / "a.nii.gz", "a")
        if content:
            files.write_text(tmp_path / TABLE_FILE, content)
        assert said([tmp_path / "a.nii.gz"]) == []
