"""What the section of scores says, on what version 0.1 stored."""

from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.events import Silent
from autoseg.reporting.blocks import Table
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
