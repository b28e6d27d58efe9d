from pathlib import Path

import numpy as np
import pytest

from autoseg.data.dataset import LabelClass
from autoseg.data.geometry import Geometry
from autoseg.data.image import LabelMap
from autoseg.errors import WorkspaceError
from autoseg.inference.table import PredictionRow, read_table, volumes_ml, write_table

CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=4, name="grey, matter"), LabelClass(value=9, name="CSF"))
ROWS = tuple(
    PredictionRow(
        case, "in", "model", "out", volumes_ml={"grey, matter": 1.25, "CSF": 0.0}, predicted_dice=dice, remarks=remarks
    )
    for case, dice, remarks in (("IBSR_02", {}, ""), ("IBSR_10", {"CSF": 0.875}, 'spacing 3 mm; "odd", very'))
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


def test_volumes_are_counts_times_voxel_volume() -> None:
    # 3 x 2 x 0.5 mm make a voxel of 3 mm3 = 0.003 ml; class 4 has five voxels, class 9 none, 7 is not declared.
    array = np.zeros((2, 3, 4), np.uint16)
    array[0, 0, :] = 4
    array[1, 2, 3] = 4
    array[1, 0, 0] = 7
    geometry = Geometry(shape=(2, 3, 4), spacing_mm=(3.0, 2.0, 0.5))
    volumes = volumes_ml(LabelMap(array, geometry), CLASSES)
    assert volumes == pytest.approx({"grey, matter": 0.015, "CSF": 0.0})


def test_the_file_as_users_see_it(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_table(path, ROWS[::-1], classes=CLASSES)
    assert path.read_text(encoding="utf-8") == (
        'case,input_sha256,model_digest,output_sha256,"grey, matter_ml",CSF_ml,'
        '"grey, matter_predicted_dice",CSF_predicted_dice,remarks\n'
        "IBSR_02,in,model,out,1.2500,0.0000,,,\n"
        'IBSR_10,in,model,out,1.2500,0.0000,,0.8750,"spacing 3 mm; ""odd"", very"\n'
    )


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", None], ids=["empty", "binary", "folder"])
def test_what_is_no_table_is_not_overwritten(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "predictions.csv"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(WorkspaceError, match="move this file away"):
        read_table(path, classes=CLASSES)


@pytest.mark.parametrize(
    "spoilt",
    [
        "IBSR_02,in,model,out,1.25,none,,,\n",
        "IBSR_02,in,model,out,1.25,0,high,,\n",
        "IBSR_02,in,model,out\n",
        "IBSR_02,in,model,out,1,25,0,,,fine\n",
    ],
    ids=["no volume", "no Dice", "short", "long"],
)
def test_a_spoilt_line_is_named(tmp_path: Path, spoilt: str) -> None:
    path = tmp_path / "predictions.csv"
    write_table(path, (), classes=CLASSES)
    path.write_text(path.read_text(encoding="utf-8") + spoilt, encoding="utf-8")
    with pytest.raises(WorkspaceError, match="line 2"):
        read_table(path, classes=CLASSES)
