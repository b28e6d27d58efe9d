from pathlib import Path

import pytest

from autoseg.data.dataset import LabelClass
from autoseg.errors import WorkspaceError
from autoseg.inference.table import PredictionRow, read_table, write_table

CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=4, name="grey, matter"), LabelClass(value=9, name="CSF"))
ROWS = tuple(
    PredictionRow(case, "in", "model", "out", volumes_ml={"grey, matter": 1.25, "CSF": 0.0})
    for case in ("IBSR_02", "IBSR_10")
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    assert read_table(path, classes=CLASSES) == {}
    write_table(path, ROWS, classes=CLASSES)
    assert read_table(path, classes=CLASSES) == {row.case: row for row in ROWS}


def test_a_table_of_other_classes_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_table(path, ROWS, classes=CLASSES)
    with pytest.raises(WorkspaceError, match="another output folder"):
        read_table(path, classes=CLASSES[:2])


@pytest.mark.parametrize(
    "spoilt", ["IBSR_02,in,model,out,1.25,none\n", "IBSR_02,in,model,out\n"], ids=["no number", "short"]
)
def test_a_spoilt_line_is_named(tmp_path: Path, spoilt: str) -> None:
    path = tmp_path / "predictions.csv"
    write_table(path, (), classes=CLASSES)
    path.write_text(path.read_text(encoding="utf-8") + spoilt, encoding="utf-8")
    with pytest.raises(WorkspaceError, match="line 2"):
        read_table(path, classes=CLASSES)
