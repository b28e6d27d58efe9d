from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoseg.data.dataset import LabelClass
from autoseg.errors import WorkspaceError
from autoseg.images.geometry import Geometry
from autoseg.images.image import LabelMap
from autoseg.inference.table import PredictionRow, append_row, read_table, volumes_ml, write_table

CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=4, name="grey, matter"), LabelClass(value=9, name="CSF"))
ROWS = tuple(
    PredictionRow(
        case,
        "in",
        "model",
        "out",
        volumes_ml={"grey, matter": 1.25, "CSF": 0.0},
        predicted_dice=dice,
        warnings=warnings,
        model="a: unet (1)",
    )
    for case, dice, warnings in (("IBSR_02", {}, ""), ("IBSR_10", {"CSF": 0.875}, 'spacing 3 mm; "odd", very'))
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    assert read_table(path, classes=CLASSES).rows == {}
    write_table(path, ROWS, classes=CLASSES)
    assert read_table(path, classes=CLASSES).rows == {row.case: row for row in ROWS}


def test_rows_of_a_model_with_other_classes_survive_whole(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_table(path, ROWS, classes=CLASSES)
    fewer = read_table(path, classes=CLASSES[:2]).rows
    assert fewer["IBSR_10"].volumes_ml == {"grey, matter": 1.25}
    new = PredictionRow("IBSR_03", "in", "model 2", "out", {"grey, matter": 2.5}, {}, "")
    write_table(path, [*fewer.values(), new], classes=CLASSES[:2])
    again = read_table(path, classes=CLASSES).rows
    assert [again.pop("IBSR_03").volumes_ml, again] == [{"grey, matter": 2.5}, {row.case: row for row in ROWS}]


def test_digests_of_what_lies_beside_label_maps_have_columns_where_there_are_any(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    drawn = replace(ROWS[0], extras_sha256={"picture": "ab"})
    write_table(path, [drawn, ROWS[1]], classes=CLASSES)
    assert path.read_text(encoding="utf-8").splitlines()[0].endswith(",warnings,picture_sha256")
    assert read_table(path, classes=CLASSES).rows == {"IBSR_02": drawn, "IBSR_10": ROWS[1]}


@pytest.mark.parametrize("scan", [("../scans/a.nii.gz",), ("a_0000.nii", "a, 1.nii"), ("[odd].nii",), ()])
def test_estimate_and_scan_have_columns_where_there_are_any(tmp_path: Path, scan: tuple[str, ...]) -> None:
    path = tmp_path / "predictions.csv"
    row = replace(ROWS[0], estimated_dice=0.25, scan=scan)
    write_table(path, [row, ROWS[1]], classes=CLASSES)
    assert ("estimated_dice,scan" in path.read_text(encoding="utf-8")) == bool(scan)
    assert read_table(path, classes=CLASSES).rows == {"IBSR_02": row, "IBSR_10": ROWS[1]}


def test_columns_added_by_hand_survive(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_table(path, ROWS, classes=CLASSES)
    header, first, second = path.read_text(encoding="utf-8").splitlines()
    path.write_text(f"rater,{header},grade\nme,{first},1.0\n,{second},good\n", encoding="utf-8")
    rows = read_table(path, classes=CLASSES).rows
    assert rows["IBSR_02"].others == {"rater": "me", "grade": "1.0"}
    write_table(path, list(rows.values()), classes=CLASSES)
    assert path.read_text(encoding="utf-8") == f"{header},rater,grade\n{first},me,1.0\n{second},,good\n"


def test_fewer_columns_are_read_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("case,model_digest,input_sha256,output_sha256,CSF_ml\nIBSR_02,model,in,out,1.5\n")
    [row] = read_table(path, classes=CLASSES).rows.values()
    assert row == PredictionRow("IBSR_02", "in", "model", "out", {"CSF": 1.5}, {}, "")


def test_the_table_of_0_1_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "fixtures" / "v0_1" / "results" / "predictions.csv").read_text()
    path = tmp_path / "predictions.csv"
    path.write_text(text.rstrip() + "spacing\n")  # the last column, remarks
    classes = [LabelClass(value=value, name=name) for value, name in enumerate(("background", "CSF", "GM", "WM"))]
    row = read_table(path, classes=classes).rows["IBSR_05"]
    assert row.volumes_ml == {"CSF": 38.288, "GM": 861.481, "WM": 631.7527}
    assert row.predicted_dice == {"CSF": 0.6376, "GM": 0.6549, "WM": 0.6921}
    assert (row.warnings, row.others) == ("spacing", {})
    write_table(path, [row], classes=classes)
    assert read_table(path, classes=classes).rows == {"IBSR_05": row}


def test_volumes_are_counts_times_voxel_volume() -> None:
    # 3 x 2 x 0.5 mm make a voxel of 3 mm3 = 0.003 ml; class 4 has five voxels, class 9 none, 7 is not declared.
    array = np.zeros((2, 3, 4), np.uint16)
    array[0, 0, :] = 4
    array[1, 2, 3] = 4
    array[1, 0, 0] = 7
    geometry = Geometry(shape=(2, 3, 4), spacing_mm=(3.0, 2.0, 0.5))
    volumes = volumes_ml(LabelMap(array, geometry), CLASSES)
    assert volumes == pytest.approx({"grey, matter": 0.015, "CSF": 0.0})


def test_numbers_keep_their_digits_and_those_of_microscopy_are_no_zeros(tmp_path: Path) -> None:
    row = replace(
        ROWS[0],
        volumes_ml={"grey, matter": 0.1 + 0.2, "CSF": 1.152e-06},
        predicted_dice={"CSF": 2 / 3},
        estimated_dice=1 / 3,
    )
    columns = write_table(tmp_path / "predictions.csv", [row], classes=CLASSES)
    assert append_row(tmp_path / "predictions.csv", replace(row, case="b"), columns=columns, classes=CLASSES)
    found = read_table(tmp_path / "predictions.csv", classes=CLASSES).rows
    assert found == {"IBSR_02": row, "b": replace(row, case="b")}


def test_the_file_as_users_see_it(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_table(path, ROWS[::-1], classes=CLASSES)
    assert path.read_text(encoding="utf-8") == (
        'case,input_sha256,model_digest,output_sha256,model,"grey, matter_ml",CSF_ml,'
        '"grey, matter_predicted_dice",CSF_predicted_dice,warnings\n'
        "IBSR_02,in,model,out,a: unet (1),1.25,0.0,,,\n"
        'IBSR_10,in,model,out,a: unet (1),1.25,0.0,,0.875,"spacing 3 mm; ""odd"", very"\n'
    )


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", None], ids=["empty", "binary", "folder"])
def test_what_is_no_table_is_not_overwritten(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "predictions.csv"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(WorkspaceError, match="move this file away"):
        read_table(path, classes=CLASSES)


@pytest.mark.parametrize(
    "corrupted",
    [
        "IBSR_02,in,model,out,unet,1.25,none,,,\n",
        "IBSR_02,in,model,out,unet,1.25,0,high,,\n",
        "IBSR_02,in,model,out\n",
        "IBSR_02,in,model,out,unet,1,25,0,,,fine\n",
    ],
    ids=["no volume", "no Dice", "short", "long"],
)
def test_a_corrupted_line_is_named(tmp_path: Path, corrupted: str) -> None:
    path = tmp_path / "predictions.csv"
    write_table(path, (), classes=CLASSES)
    path.write_text(path.read_text(encoding="utf-8") + corrupted, encoding="utf-8")
    with pytest.raises(WorkspaceError, match="line 2"):
        read_table(path, classes=CLASSES)


def test_a_line_is_added_as_the_table_would_have_it(tmp_path: Path) -> None:
    grown, whole = tmp_path / "grown.csv", tmp_path / "whole.csv"
    columns = write_table(grown, ROWS[:1], classes=CLASSES)
    assert append_row(grown, ROWS[1], columns=columns, classes=CLASSES)
    write_table(whole, ROWS, classes=CLASSES)
    assert grown.read_bytes() == whole.read_bytes()
    stored = read_table(grown, classes=CLASSES)
    assert (stored.columns, stored.in_order) == (columns, True)
    assert not append_row(grown, replace(ROWS[1], extras_sha256={"picture": "ab"}), columns=columns, classes=CLASSES)
    assert not append_row(grown, ROWS[1], columns=columns[:-1], classes=CLASSES)
    assert grown.read_bytes() == whole.read_bytes()
    assert append_row(grown, replace(ROWS[0], warnings="later"), columns=columns, classes=CLASSES)
    again = read_table(grown, classes=CLASSES)
    assert (again.rows["IBSR_02"].warnings, again.in_order) == ("later", False)


def test_no_half_line_is_taken_for_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    last = replace(ROWS[1], case='IBSR_10 "a,\nb"', warnings='spacing,\n"odd", \u00e4')
    columns = write_table(path, ROWS[:1], classes=CLASSES)
    before = path.read_bytes()
    append_row(path, last, columns=columns, classes=CLASSES)
    whole = path.read_bytes()
    assert read_table(path, classes=CLASSES).rows == {"IBSR_02": ROWS[0], last.case: last}
    for size in range(len(before), len(whole)):
        path.write_bytes(whole[:size])
        for interrupted in ({last.case}, None):
            stored = read_table(path, classes=CLASSES, interrupted=interrupted)
            assert stored.rows == {"IBSR_02": ROWS[0]}
            assert stored.in_order == (size == len(before))
            assert bool(stored.columns) == (size == len(before))


def test_a_table_that_was_edited_by_hand_needs_no_break_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_table(path, ROWS, classes=CLASSES)
    path.write_bytes(path.read_bytes().rstrip())
    for interrupted in (set(), {"IBSR_99"}):
        stored = read_table(path, classes=CLASSES, interrupted=interrupted)
        assert stored.rows == {row.case: row for row in ROWS}
        assert not stored.columns  # nothing can be added to it as it is
    assert list(read_table(path, classes=CLASSES, interrupted={"IBSR_10"}).rows) == ["IBSR_02"]
