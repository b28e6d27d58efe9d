"""The page stays small however many cases there are; what is left out is in files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.comparison import compare
from autoseg.events import Silent
from autoseg.metrics.table import METRICS
from autoseg.reporting import case_sections, paper_figures, score_sections, sections
from autoseg.reporting.blocks import Table, Warnings
from autoseg.reporting.data import SELECTED, ReportData, gather
from autoseg.reporting.materials import Materials
from autoseg.reporting.page import Page, Section, render
from autoseg.reporting.score_sections import worst
from autoseg.reporting.verdict import verdict
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"
MakeData = Callable[[int], ReportData]


def score(number: int, classes: list[tuple[int, str]], *, dice: float, undefined: bool = False) -> CaseMetrics:
    numbers = {**dict.fromkeys(METRICS, dice), **({"hausdorff_mm": float("nan")} if undefined else {})}
    return CaseMetrics(f"case_{number:05d}", tuple(ClassMetrics(value, name, numbers) for value, name in classes))


@pytest.fixture
def data_of() -> MakeData:
    """Report data of so many cases, one in twenty of which is an outlier, and one in ten without distances."""

    stored = gather(Workspace(STORED), Silent())
    classes = [(label.value, label.name) for label in stored.plan.data.classes[1:]]

    def make(count: int) -> ReportData:
        generator = np.random.default_rng(0)
        scores = tuple(
            score(number, classes, dice=0.1 if number % 20 == 0 else generator.uniform(0.8, 1), undefined=number % 10 == 0)
            for number in range(count)
        )
        group, selection = stored.groups[0], stored.selection
        assert selection is not None
        case, point = stored.fingerprint.cases[0], selection.quality.points[0]
        points = tuple(
            point.model_copy(update={"case": each.id, "name": name, "predicted": 0.9, "reached": each.classes[0].dice})
            for each in scores
            for _, name in classes
        )
        quality = selection.quality.model_copy(update={"points": points})
        cases = tuple(case.model_copy(update={"id": each.id}) for each in scores)
        return replace(
            stored,
            fingerprint=stored.fingerprint.model_copy(update={"cases": cases}),
            groups=(replace(group, scores=dict.fromkeys(group.scores, scores)),),
            selection=selection.model_copy(update={"quality": quality}),
            selected=scores,
        )

    return make


def text_of(data: ReportData) -> str:
    made = (
        sections._data(data, []),
        Section("warnings", "Warnings", "", [Warnings(verdict(data).warnings)]),
        score_sections.scores_section(data, [*data.main.titled, SELECTED], []),
        Section("cases", "Cases", "", [case_sections._case_table(data.selected, {}, title="the selection")]),
        score_sections.selection_section(data, []),
    )
    return render(Page("title", "subtitle", made))


def test_the_page_of_many_cases_is_as_long_as_that_of_some(data_of: MakeData) -> None:
    some, many = text_of(data_of(400)), text_of(data_of(1_200))
    assert len(many) < 1.03 * len(some)  # of the worst cases that are shown, more say why they have no distance
    assert "the 200 worst of 1,200 cases" in many
    assert "all are in fingerprint.json" in many
    assert "So do 40 more, less far" in many
    assert text_of(data_of(150)).count(">case_00149<") == 2 + len(score_sections.table_metrics())  # none is left out of few


@pytest.mark.parametrize("stem", ["figure_2_dice", "calibration"])
def test_figures_of_many_cases_are_pixels(data_of: MakeData, tmp_path: Path, stem: str) -> None:
    sizes = []
    for count in (600, 2_400):
        (drawing, *_) = paper_figures.FIGURES[stem](Materials(data_of(count), Silent()))
        drawing[1](tmp_path / f"{count}.svg")
        sizes.append((tmp_path / f"{count}.svg").stat().st_size)
    assert sizes[1] < 1.5 * sizes[0]


@pytest.mark.parametrize(("metric", "expected"), [("dice", ("a", "c")), ("hausdorff_mm", ("b", "d"))])
def test_the_worst_cases_are_those_that_a_metric_calls_so(metric: str, expected: tuple[str, ...]) -> None:
    scores = []
    for case, value in zip("abcd", (0.1, 0.9, 0.2, 0.8), strict=True):
        scores.append(CaseMetrics(case, (ClassMetrics(1, "x", dict.fromkeys(METRICS, value)),)))
    comparison = compare({"one": scores}, metric=metric)
    assert worst(comparison, most=2) == expected
    assert worst(comparison, most=4) == ("a", "b", "c", "d")


def test_missed_cases_are_the_worst_and_cases_with_nothing_in_the_reference_come_last() -> None:
    missed = {"dice": 0.0, "volume_ml": 0.0, "reference_volume_ml": 1.0}
    nothing = {"volume_ml": 0.0, "reference_volume_ml": 0.0}
    bad = {"dice": 0.1, "hausdorff_mm": 9.0, "volume_ml": 1.0, "reference_volume_ml": 1.0}
    scores = [CaseMetrics(name, (ClassMetrics(1, "x", numbers),)) for name, numbers in
              [("healthy_1", nothing), ("healthy_2", nothing), ("bad", bad), ("missed", missed)]]  # fmt: skip
    dice, distance = (compare({"one": scores}, metric=metric) for metric in ("dice", "hausdorff_mm"))
    assert [worst(dice, most=count) for count in (1, 2)] == [("missed",), ("bad", "missed")]
    assert [worst(distance, most=count) for count in (1, 2)] == [("missed",), ("bad", "missed")]


def test_a_table_is_looked_through_once_for_its_columns_of_numbers() -> None:
    class Rows(list[list[str]]):
        looked_through = 0

        def __iter__(self) -> Any:
            self.looked_through += 1
            return super().__iter__()

    rows = Rows([["a", "1"]] * 100)
    table = Table("caption", ["case", "number"], rows)
    before = rows.looked_through
    render(Page("title", "subtitle", [Section("scores", "Scores", "", [table])]))
    assert rows.looked_through - before < 5
