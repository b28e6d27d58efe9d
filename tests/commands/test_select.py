"""What `select` says: the best candidates and what is kept; everything that was tried only on request."""

from pathlib import Path
from typing import Any

import pytest
from oracles.exported_models import SCORE, estimate, selection_of

from autoseg.cli.layout import laid_out
from autoseg.commands.select import SelectResult, describe
from autoseg.options.command import Table
from autoseg.planning.plan import Plan
from autoseg.postprocessing.selection import Selection

STEP = {"type": "drop_small", "label": 2, "min_volume_ml": 0.05}


def made(plan: Plan, **changes: Any) -> SelectResult:
    candidates = [
        {"networks": [name], "score": SCORE, "difference": estimate(-0.1) if number else None, "p": 0.03 if number else None}
        for number, name in enumerate(["unet", "sepres", "attention"] * 3)
    ]
    trial = {"step": STEP, "reason": "why", "before": SCORE, "after": SCORE}
    tried = [{**trial, "phrase": f"disc: step {number}", "kept": number == 3} for number in range(10)]
    reasons = ["unet: it scored best", "postprocessing kept: disc: step 3"]
    document = {**selection_of(plan, "a" * 64), "candidates": candidates, "tried": tried, "reasons": reasons, **changes}
    return SelectResult(Path("selection.json"), Selection.model_validate(document), Path("selection"))


def test_the_best_and_what_is_kept_are_shown_and_the_rest_is_counted(tiny_plan: Plan) -> None:
    said = describe(made(tiny_plan))
    networks, kept = said.tables
    assert len(networks.rows) == 7
    assert [row[0] for row in kept.rows] == ["disc: step 3"]
    assert "Not shown: 2 candidates with lower scores (--full)" in said.text
    assert "Tried and not kept: 9 steps of postprocessing (--full)" in said.text
    assert "  unet: it scored best" in said.text
    assert "postprocessing kept" not in said.text
    assert "Using 1 model: sepres (fold 0)" in said.text


def test_the_shift_of_the_prior_is_no_step_of_postprocessing(tiny_plan: Plan) -> None:
    shift = {"log_shift": [0.0, -0.5], "phrase": "disc -0.50", "reason": "why", "before": SCORE, "after": SCORE}
    kept = describe(made(tiny_plan, shift={**shift, "kept": True}, log_shift=[0.0, -0.5], postprocessing=[], tried=[]))
    assert kept.tables[1].title == "Shift and postprocessing kept"
    assert [row[0] for row in kept.tables[1].rows] == ["prior: disc -0.50"]
    assert "not kept" not in kept.text
    dropped = describe(made(tiny_plan, shift={**shift, "kept": False}))
    assert [row[0] for row in dropped.tables[1].rows] == ["disc: step 3"]
    assert "Tried and not kept: the shift of the prior and 9 steps of postprocessing (--full)" in dropped.text
    tried = dropped.details[1]
    assert tried.title == "Shift and postprocessing tried"
    assert [(row[0], row[-1]) for row in tried.rows][:2] == [
        ("prior: disc -0.50", "not kept: why"),
        ("disc: step 0", "not kept: why"),
    ]


def test_scores_are_of_an_average_where_networks_share_a_fold(tiny_plan: Plan) -> None:
    models = made(tiny_plan).selection.model_dump(mode="json")["models"]
    folds = describe(made(tiny_plan, models=[*models, {**models[0], "fold": "1"}]))
    assert "Averaging 2 models: sepres (folds 0, 1)" in folds.text
    assert "  scores, postprocessed, on 2 held-out cases" in folds.text  # each case was held out by one of them
    networks = describe(made(tiny_plan, models=[*models, {**models[0], "architecture": "unet"}]))
    assert "  scores of their average, postprocessed, on 2 held-out cases" in networks.text


def test_everything_is_in_the_details_and_in_the_document(tiny_plan: Plan) -> None:
    result = made(tiny_plan)
    said = describe(result)
    networks, tried = said.details
    assert (len(networks.rows), len(tried.rows)) == (9, 10)
    assert tried.rows[0][-1] == "not kept: why"
    assert said.document["selection"] == result.selection.model_dump(mode="json")


def test_scores_say_what_they_are_of(tiny_plan: Plan) -> None:
    said = describe(made(tiny_plan))
    assert said.tables[0].title == "Networks on 1 held-out case, before shift and postprocessing"
    told = "Dice 0.8000 (0.7000 to 0.9000), HD 4.00 mm (3.90 to 4.10)"
    assert f"  scores, postprocessed, on 2 held-out cases: {told}" in said.text
    plain = describe(made(tiny_plan, postprocessing=[]))
    assert f"  scores, not postprocessed, on 2 held-out cases: {told}" in plain.text
    shifted = describe(made(tiny_plan, log_shift=[0.0, 0.5]))
    assert "  scores, prior shifted, postprocessed, on" in shifted.text
    assert "sepres/fold_0, prior shifted, not postprocessed, Dice" in repr(
        made(tiny_plan, log_shift=[0.0, 0.5], postprocessing=[])
    )
    assert "sepres/fold_0, postprocessed, Dice 0.8000 on the cases held out" in repr(made(tiny_plan))


def test_without_steps_there_is_one_table(tiny_plan: Plan) -> None:
    said = describe(made(tiny_plan, tried=[]))
    assert len(said.tables) == 1
    assert "not kept" not in said.text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_width_breaks_a_cell(tiny_plan: Plan, width: int) -> None:
    said = describe(made(tiny_plan))
    for table in [*said.tables, *said.details]:
        lines = shown(table, width)
        assert max(map(len, lines)) <= width
        for row in table.rows:
            assert all(any(cell in line for line in lines) for cell in row[1:4])


def shown(table: Table, width: int) -> list[str]:
    head, body = laid_out(table.columns, table.rows, headings=table.headings, width=width)
    return head + body
