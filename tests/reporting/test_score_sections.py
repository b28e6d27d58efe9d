"""What the section of scores says, on what version 0.1 stored."""

from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.events import Silent
from autoseg.reporting.blocks import Plots, Table
from autoseg.reporting.data import ReportData, gather
from autoseg.reporting.materials import Materials
from autoseg.reporting.page import Section
from autoseg.reporting.score_sections import scores_section
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"


@pytest.fixture(scope="module")
def stored() -> ReportData:
    """Three networks on fold 0; Sep-Res U-Net is selected, without postprocessing."""
    return gather(Workspace(STORED), Silent())


def scores_of(data: ReportData) -> Section:
    return scores_section(data, Materials(data, Silent()).networks, [])


def tables_of(data: ReportData) -> list[Table]:
    return [block for block in scores_of(data).blocks if isinstance(block, Table)]


def test_where_the_best_is_in_bold_the_caption_says_so(stored: ReportData) -> None:
    assert "bold" not in scores_of(stored).lead
    tables = tables_of(stored)
    assert any(table.strong for table in tables)
    assert not all(table.strong for table in tables)
    unet = next(iter(stored.main.scores))
    group = replace(stored.main, models={unet: stored.main.models[unet]}, scores={unet: stored.main.scores[unet]})
    tables += tables_of(replace(stored, selection=None, groups=(group,)))
    assert [bool(table.strong) for table in tables] == ["in bold" in table.caption for table in tables]


def test_what_predicts_is_described_once_and_named_below(stored: ReportData) -> None:
    section, details = scores_of(stored), "(Sep-Res U-Net, fold 0, not postprocessed)"
    assert section.lead.startswith(f"The first table is of the selection {details}: held-out cases")
    first, networks, differences, volumes, *by_case = (table.caption for table in tables_of(stored))
    assert first.startswith("By class, the selection, 2 held-out cases: ")
    assert "(U-Net, Sep-Res U-Net and Attention U-Net: fold 0, not postprocessed, 2 cases)" in networks
    assert differences.startswith("Single networks minus the selection, case by case")
    assert volumes.startswith("Volumes by class, the selection, 2 held-out cases: ")
    columns = "Selection, U-Net, Sep-Res U-Net and Attention U-Net"
    assert by_case[0].startswith(f"Table 3: Dice, mean over the classes, by case: {columns};")
    assert by_case[1].startswith(f"Normalised surface Dice, mean over the classes, by case: {columns}")
    assert not any("fold 0" in caption for caption in (first, differences, volumes, *by_case))
    (dots,) = (block for block in section.blocks if isinstance(block, Plots))
    assert [name for _, name in dots.legend] == ["Selection", "U-Net", "Sep-Res U-Net", "Attention U-Net"]


def test_everything_of_an_edited_selection_is_said_to_be_of_before(stored: ReportData) -> None:
    assert stored.selection is not None
    edited = replace(stored, selection=stored.selection.model_copy(update={"decided_sha256": "0" * 64}))
    before = "selection before it was edited"
    (dots,) = (block for block in scores_of(edited).blocks if isinstance(block, Plots))
    assert dots.legend[0][1] == f"S{before[1:]}"
    of_networks = "For comparison, single networks"
    captions = [table.caption.lower() for table in tables_of(edited) if not table.caption.startswith(of_networks)]
    assert [caption for caption in captions if before not in caption] == []
