"""The report on what version 0.1 stored: which files there are, and what becomes of those of an earlier report."""

import csv
import math
from pathlib import Path

import pytest
from oracles.version_0_1 import copy_of_0_1

from autoseg.errors import UsageError
from autoseg.evaluation.tables import read_cases
from autoseg.events import Silent
from autoseg.postprocessing.scoring import case_means
from autoseg.reporting.report import ReportResult, write_report
from autoseg.reporting.tables import table_names
from autoseg.runs.workspace import Workspace
from autoseg.storage import files

NOT_ITS_OWN = (
    "figures/mine.txt",
    "figures/figure_9.png",
    "figures/attention_overview.png",
    "figures/calibration_scanner.svg",
    "figures/figure_2_dice_annotated.svg",
    "tables/table_3_dice.docx",
    "tables/table_3_dice_edited.tex",
    "tables/table_3_dice_official.md",
    "notes.md",
)
STALE = ("figures/attention_fold_3.png", "figures/figure_3_curves_fold_7.svg", "tables/table_3_dice_official.csv")
CHANGED_SINCE = "tables/table_3_dice_official.tex"
OF_OTHERS = (*NOT_ITS_OWN, *STALE, CHANGED_SINCE)


def write_files_of_others(folder: Path) -> None:
    for name in OF_OTHERS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three networks, finished on fold 0; a selection; an earlier report of other models."""
    root = copy_of_0_1(tmp_path_factory.mktemp("v0_1"))
    report = root / "workspace" / "report"
    write_files_of_others(report)
    digests = {name: files.sha256_file(report / name) for name in STALE}
    digests |= {CHANGED_SINCE: files.sha256_bytes(b"before"), "notes.md": files.sha256_file(report / "notes.md")}
    digests |= {"../workspace/dataset.json": files.sha256_file(root / "workspace" / "dataset.json")}
    (report / "report.sha256").write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    return Workspace(root / "workspace")


@pytest.fixture(scope="module")
def report(workspace: Workspace) -> ReportResult:
    return write_report(workspace, None, Silent())


@pytest.fixture(scope="module")
def elsewhere(report: ReportResult, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> ReportResult:
    """The report again, in a folder of files that no list names."""
    assert report.written
    folder = tmp_path_factory.mktemp("paper")
    write_files_of_others(folder)
    return write_report(workspace, folder, Silent())


def test_page_tables_and_figures_lie_where_users_look(report: ReportResult, workspace: Workspace) -> None:
    assert report.page == workspace.root / "report.html"
    assert report.folder == workspace.root / "report"
    names = [path.relative_to(report.folder).as_posix() for path in report.written]
    of_metrics = ("table_3_dice", "table_nsd", "table_4_hausdorff", "table_hausdorff95_mm", "table_assd_mm")
    tables = [f"tables/{name}.{kind}" for name in of_metrics for kind in ("csv", "md", "tex")]
    figures = [
        f"figures/{name}.{kind}"
        for name in ("figure_1_data", "figure_2_dice", "figure_2_hausdorff", "figure_3_curves_fold_0", "figure_4_planes",
                     "attention_fold_0", "calibration")
        for kind in ("png", "svg")
    ]  # fmt: skip
    assert names == tables + figures
    assert all(path.stat().st_size > 50 for path in report.written)
    assert [path.name for path in report.models] == ["fold_0"] * 3


def test_what_an_earlier_report_made_goes_and_nothing_else(report: ReportResult, workspace: Workspace) -> None:
    assert not any((report.folder / name).exists() for name in STALE)
    assert all((report.folder / name).read_text() == name for name in (*NOT_ITS_OWN, CHANGED_SINCE))
    assert (workspace.root / "dataset.json").exists()


def test_what_was_written_is_listed_with_digests(report: ReportResult) -> None:
    listed = [line.split("  ") for line in (report.folder / "report.sha256").read_text().splitlines()]
    assert listed == [[files.sha256_file(path), path.relative_to(report.folder).as_posix()] for path in report.written]


def test_a_folder_without_a_list_loses_nothing(elsewhere: ReportResult) -> None:
    assert all((elsewhere.folder / name).read_text() == name for name in OF_OTHERS)


def test_a_page_of_others_is_not_replaced(report: ReportResult, workspace: Workspace, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<p>Another report</p>")
    with pytest.raises(UsageError, match=r"report\.html: .*page that autoseg did not write.*--output"):
        write_report(workspace, tmp_path, Silent())
    assert [path.read_text() for path in tmp_path.iterdir()] == ["<p>Another report</p>"]
    assert b"autoseg" in report.page.read_bytes()  # by which it is told


def test_tables_hold_the_scores_of_training(report: ReportResult, workspace: Workspace) -> None:
    with (report.folder / "tables" / "table_3_dice.csv").open(newline="") as stream:
        rows = {row["case"]: row for row in csv.DictReader(stream)}
    scores = read_cases(workspace.models / "unet" / "fold_0" / "validation" / "metrics.csv")
    assert rows.keys() == {case.id for case in scores}
    for case in scores:
        assert float(rows[case.id]["U-Net"]) == pytest.approx(sum(label.dice for label in case.classes) / len(case.classes))


def test_tables_begin_with_what_was_selected_and_say_what_each_column_is_of(
    report: ReportResult, workspace: Workspace
) -> None:
    selected = {case.id: case for case in read_cases(workspace.selected / "metrics.csv")}
    for name, metric in table_names().items():
        with (report.folder / "tables" / f"{name}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert list(rows[0])[:4:2] == ["case", "Selection: undefined classes"]
        assert {row["case"]: row["Selection"] for row in rows} == {
            case: "" if math.isnan(mean) else str(mean)
            for case, mean in zip(selected, case_means(list(selected.values()), metric), strict=True)
        }
        for kind in ("md", "tex"):
            text = (report.folder / "tables" / f"{name}.{kind}").read_text()
            assert "Selection: Sep-Res U-Net, fold 0, not postprocessed, 2 cases; " in text
            assert "U-Net, Sep-Res U-Net and Attention U-Net: fold 0, not postprocessed, 2 cases" in text


def test_the_page_tells_of_what_it_is(report: ReportResult) -> None:
    title = "the selection (Sep-Res U-Net, fold 0, not postprocessed)"
    assert report.verdict.scores_of == title
    page = report.page.read_text(encoding="utf-8")
    assert f"Verdict, scores and images at the top are of {title}." in page
    assert "By class, the selection, 2 held-out cases: means over cases ± standard deviation" in page
    assert "For comparison, single networks by class (U-Net, Sep-Res U-Net and Attention U-Net: fold 0, not post" in page
    assert "Single networks minus the selection, case by case" in page


def test_the_same_workspace_gives_the_same_bytes(report: ReportResult, elsewhere: ReportResult) -> None:
    assert elsewhere.page == elsewhere.folder / "report.html"
    for first, second in zip((report.page, *report.written), (elsewhere.page, *elsewhere.written), strict=True):
        assert first.read_bytes() == second.read_bytes()
