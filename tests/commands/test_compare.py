"""Comparing workspaces, models, tables of scores and label maps of any tool."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import autoseg
from autoseg.cli.app import app
from autoseg.errors import CasesFailedError, UsageError, WorkspaceError
from autoseg.evaluation.folders import evaluate_folders
from autoseg.evaluation.judged import problems_of
from autoseg.evaluation.judged_files import write_judged
from autoseg.evaluation.paired import PairedComparison, compare_sides
from autoseg.evaluation.tables import write_scores
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.postprocessing.sides import Judging, find_sides

CASES = ("a", "b", "c")


def square(*, rows: int, value: int = 2) -> np.ndarray:
    labels = np.zeros((3, 12, 12), np.uint8)
    labels[1, 2 : 2 + rows, 2:10] = value
    return labels


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """References of three cases, label maps of two tools, one of which has rows too many, and nothing else."""
    geometry = Geometry(shape=(3, 12, 12), spacing_mm=(2.0, 1.0, 1.0))
    for number, case in enumerate(CASES):
        for folder, excess in {"references": 0, "ours": 1, "theirs": 1 + number}.items():
            (tmp_path / folder).mkdir(exist_ok=True)
            name = f"{case}_seg" if folder == "references" else case
            write_labels(tmp_path / folder / f"{name}.nii.gz", square(rows=4 + excess), geometry)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judge(folder: str, *, tolerance_mm: float = 1.0) -> None:
    """What `evaluate` writes beside label maps, without plots."""
    found = evaluate_folders(
        Path(folder), Path("references"), classes=None, tolerances_mm=tolerance_mm, ignore=None, events=Silent()
    )
    write_scores(Path(folder) / "evaluation", found.cases)
    write_judged(Path(folder) / "evaluation", found.judged)


def draw(path: str, *, rows: int) -> None:
    write_labels(Path(path), square(rows=rows), Geometry(shape=(3, 12, 12), spacing_mm=(2.0, 1.0, 1.0)))


def mean_dice(comparison: PairedComparison) -> list[tuple[float, float]]:
    """Of every case, on both sides."""
    [dice] = [each for each in comparison.results if (each.metric, each.label) == ("dice", None)]
    return [(case.baseline, case.compared) for case in dice.cases]


def compared(*places: str, **judging: Any) -> PairedComparison:
    """What `compare` compares, without writing and drawing it."""
    return compare_sides(find_sides({place: Path(place) for place in places}, Judging(**judging), Silent()).sides)


def test_label_maps_of_two_tools_are_judged_and_compared(home: Path) -> None:
    result = autoseg.compare(["ours", "theirs"], references="references")
    assert [path.name for path in result.written] == [
        "differences.csv", "statistics.csv", "comparison.json", "differences.svg", "differences.png",
    ]  # fmt: skip
    assert all((home / path).stat().st_size > 100 for path in result.written)
    [dice] = [each for each in result.comparison.results if (each.metric, each.label) == ("dice", "class 2")]
    # References have 4 rows of pixels, ours 5 (Dice 8/9), theirs 5, 6 and 7 (8/9, 8/10, 8/11).
    assert [case.difference for case in dice.cases] == pytest.approx([0, 8 / 10 - 8 / 9, 8 / 11 - 8 / 9])
    assert repr(result).startswith("<CompareResult: Mean Dice of theirs minus ours: -0.08")
    rows = result.to_pandas()
    assert rows[(rows["metric"] == "dice") & (rows["class"] == "class 2")]["difference"].tolist() == [
        case.difference for case in dice.cases
    ]
    [distance] = [each for each in result.comparison.results if (each.metric, each.label) == ("hausdorff_mm", None)]
    assert [case.compared for case in distance.cases] == [1.0, 2.0, 3.0]


def test_the_command_shows_a_table_and_a_verdict(home: Path) -> None:
    said = CliRunner().invoke(app, ["compare", "ours", "theirs", "--references", "references", "-o", "out"])
    assert said.exit_code == 0, said.output
    assert "theirs against ours on 3 cases" in said.stdout
    assert "no difference can be told from chance" in said.stdout
    told = CliRunner().invoke(app, ["compare", "ours", "theirs", "--references", "references", "-o", "out", "--json"])
    document = json.loads(told.stdout)
    assert (document["baseline"], document["compared"], document["cases"]) == ("ours", ["theirs"], list(CASES))


def test_a_case_of_one_side_alone_is_named_and_the_others_are_compared(home: Path) -> None:
    (home / "theirs" / "b.nii.gz").unlink()
    with pytest.raises(CasesFailedError, match=r"b: is not in theirs") as failed:
        autoseg.compare(["ours", "theirs"], references="references", output="out")
    assert (failed.value.exit_code, failed.value.done) == (7, 2)
    assert [table.title for table in failed.value.result.tables] == ["theirs against ours on 2 of 3 cases"]
    assert json.loads((home / "out" / "comparison.json").read_text())["missing"] == {"b": ["theirs"]}


def test_all_that_is_written_and_said_counts_the_references_as_evaluate_does(home: Path) -> None:
    draw("references/d_seg.nii.gz", rows=4)
    draw("ours/d.nii.gz", rows=4)
    draw("theirs/d.nii.gz", rows=4)
    draw("theirs/without.nii.gz", rows=4)
    (home / "ours" / "a.nii.gz").write_bytes(b"not an image")
    (home / "theirs" / "c.nii.gz").unlink()
    with pytest.raises(CasesFailedError) as failed:
        autoseg.compare(["ours", "theirs"], references="references", output="out")
    assert [case for case, _ in failed.value.failures] == ["a", "without.nii.gz", "c"]
    assert [table.title for table in failed.value.result.tables] == ["theirs against ours on 2 of 4 cases"]
    assert "Difference to ours, 2 of 4 cases" in (home / "out" / "differences.svg").read_text()
    stored = json.loads((home / "out" / "comparison.json").read_text())
    assert (stored["cases"], stored["total"], stored["missing"]) == (["b", "d"], 4, {"a": ["ours"], "c": ["theirs"]})
    header, *rows = (home / "out" / "statistics.csv").read_text().splitlines()
    assert {row.split(",")[header.split(",").index("total")] for row in rows} == {"4"}
    with pytest.raises(CasesFailedError) as alone:
        autoseg.evaluate("theirs", "references")
    assert alone.value.result.table.title.endswith("over 3 of 4 cases")


def test_a_reference_that_no_side_predicted_counts_and_stored_scores_count_themselves(home: Path) -> None:
    draw("references/d_seg.nii.gz", rows=4)
    (home / "theirs" / "c.nii.gz").unlink()
    judge("ours")
    judge("theirs")
    assert compared("ours", "theirs", references=Path("references")).total == 4
    assert compared("ours/evaluation", "theirs", references=Path("references")).total == 4
    assert compared("ours/evaluation", "theirs/evaluation").total == 3


def test_a_label_map_that_cannot_be_read_is_named_and_missing_once(home: Path) -> None:
    (home / "theirs" / "b.nii.gz").write_bytes(b"not an image")
    places = {"ours": Path("ours"), "theirs": Path("theirs")}
    found = find_sides(places, Judging(references=Path("references")), Silent())
    assert [case for case, _ in found.failures] == ["b"]
    assert [case for case, _ in problems_of(found.failures, compare_sides(found.sides))] == ["b"]


def test_scores_that_are_there_are_compared_with_label_maps_at_their_tolerance(home: Path) -> None:
    judge("ours", tolerance_mm=2.0)
    found = compared("ours/evaluation", "theirs", references=Path("references"))
    assert not found.warnings
    [nsd] = [each for each in found.results if (each.metric, each.label) == ("nsd", "class 2")]
    assert [case.baseline for case in nsd.cases] == [1.0, 1.0, 1.0]
    assert [case.compared for case in nsd.cases][:2] == [1.0, 1.0]
    assert nsd.cases[2].compared < 1.0  # 3 mm off
    asked = compared("ours/evaluation", "theirs", references=Path("references"), tolerance_mm=1.0)
    assert not [each for each in asked.results if each.metric == "nsd"]
    assert "no normalised surface Dice" in asked.warnings[0]


def test_a_folder_that_was_evaluated_is_taken_by_its_scores(home: Path) -> None:
    judge("ours")
    judge("theirs")
    by_scores = compared("ours", "theirs/evaluation/metrics.csv")
    judged = compared("ours", "theirs", references=Path("references"))
    assert repr(by_scores.results).replace("/evaluation/metrics.csv", "") == repr(judged.results)


def test_scores_of_label_maps_that_were_replaced_since_are_refused_until_they_are_scored_again(home: Path) -> None:
    autoseg.evaluate("ours", "references")
    judge("theirs")
    assert mean_dice(compared("ours", "theirs"))[0] == pytest.approx((8 / 9, 8 / 9))
    draw("ours/a.nii.gz", rows=4)  # predicted again
    for place in ("ours", "ours/evaluation", "ours/evaluation/metrics.csv"):
        with pytest.raises(WorkspaceError, match=r"label maps were changed .* a\. Score them again with `autoseg evaluate`"):
            compared(place, "theirs")
    assert mean_dice(compared("ours", "theirs", references=Path("references")))[0] == pytest.approx((1, 8 / 9))
    (home / "ours" / "b.nii.gz").write_bytes(b"not an image")
    with pytest.raises(CasesFailedError):
        autoseg.evaluate("ours", "references")
    assert np.ravel(mean_dice(compared("ours", "theirs"))) == pytest.approx([1, 8 / 9, 8 / 9, 8 / 11])  # of a and c


def test_a_table_beside_its_label_maps_and_plots_gives_way_to_references(home: Path) -> None:
    for _ in range(2):  # its own plots are no label maps, whatever was there before
        autoseg.evaluate("ours", "references", output="ours")
    assert (home / "ours" / "dice.png").exists()
    judge("theirs")
    draw("ours/a.nii.gz", rows=4)
    with pytest.raises(WorkspaceError, match="label maps were changed"):
        compared("ours", "theirs")
    places = {"ours": Path("ours"), "theirs": Path("theirs/evaluation")}
    found = find_sides(places, Judging(references=Path("references")), Silent())
    assert found.failures == ()
    assert mean_dice(compare_sides(found.sides))[0] == pytest.approx((1, 8 / 9))


def test_scores_and_plots_alone_are_taken_where_others_are_judged(home: Path) -> None:
    autoseg.evaluate("ours", "references", output="scores")
    found = compared("scores", "theirs", references=Path("references"))
    assert mean_dice(found)[1] == pytest.approx((8 / 9, 8 / 10))


def test_scores_whose_label_maps_are_gone_or_that_name_none_are_taken_as_they_are(home: Path) -> None:
    judge("ours")
    judge("theirs")
    before = repr(compared("ours", "theirs"))
    for path in (home / "ours").glob("*.nii.gz"):
        path.unlink()
    assert repr(compared("ours", "theirs")) == before
    (home / "theirs" / "evaluation" / "judged.json").unlink()
    draw("theirs/a.nii.gz", rows=4)
    assert repr(compared("ours", "theirs")) == before


def test_scores_against_references_that_were_corrected_in_between_are_not_compared(home: Path) -> None:
    judge("ours")
    mirrored = square(rows=4)[:, ::-1]  # of the same volume
    write_labels(home / "references" / "a_seg.nii.gz", mirrored, Geometry(shape=(3, 12, 12), spacing_mm=(2.0, 1.0, 1.0)))
    judge("theirs")
    with pytest.raises(WorkspaceError, match=r"ours.*references were changed .* for a\."):
        compared("ours", "theirs")
    (home / "references" / "a_seg.nii.gz").unlink()
    with pytest.raises(UsageError, match="not judged against the same references as those of ours: a;"):
        compared("ours", "theirs")


def test_a_class_in_the_files_of_one_side_alone_is_empty_on_the_other(home: Path) -> None:
    geometry = Geometry(shape=(3, 12, 12), spacing_mm=(2.0, 1.0, 1.0))
    write_labels(home / "theirs" / "a.nii.gz", square(rows=4) + square(rows=1, value=3), geometry)
    found = compared("ours", "theirs", references=Path("references"))
    assert {each.label for each in found.results} == {None, "class 2", "class 5"}


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (["ours"], "nothing to compare with; found 1 place"),
        (["ours", "nowhere"], "nowhere: there is no such file or folder"),
        (["ours", "theirs"], "ours: holds no scores; expected a workspace, a model, or a table metrics.csv"),
        (["ours", "theirs/../ours"], "is named twice"),
    ],
)
def test_what_cannot_be_compared_is_said(home: Path, places: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        autoseg.compare(places)
    assert not (home / "comparison").exists()
