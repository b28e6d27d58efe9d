"""What a report is about, in words, on what version 0.1 stored."""

from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.events import Silent
from autoseg.inference.steps import Step
from autoseg.model.identity import ModelId
from autoseg.postprocessing.selection import TriedShift, TriedStep
from autoseg.reporting.data import SELECTED, FinishedRun, ReportData, gather
from autoseg.reporting.study import study_of
from autoseg.reporting.subject import decided, described, folds_in_words, not_what_predicts, subject_of
from autoseg.runs.inventory import ComparedNetwork
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"
STEP = Step(type="fill_holes", label=1)


@pytest.fixture(scope="module")
def stored() -> ReportData:
    """Three networks on fold 0; Sep-Res U-Net is selected, without postprocessing."""
    return gather(Workspace(STORED), Silent())


def with_selection(stored: ReportData, **changes: object) -> ReportData:
    """The same with another selection, which nobody edited."""
    assert stored.selection is not None
    selection = stored.selection.model_copy(update=changes)
    return replace(stored, selection=selection.model_copy(update={"decided_sha256": selection.decision_sha256}))


def on_folds(run: FinishedRun, *folds: str) -> list[FinishedRun]:
    return [replace(run, model=replace(run.model, id=ModelId(run.model.architecture, fold))) for fold in folds]


def test_the_subject_is_the_selection_with_all_that_makes_its_label_maps(stored: ReportData) -> None:
    subject = subject_of(stored)
    assert (subject.name, subject.short) == (SELECTED, "the selection")
    assert subject.title == "the selection (Sep-Res U-Net, fold 0, not postprocessed)"
    assert subject.cases is stored.selected
    assert stored.selection is not None
    (model,) = stored.selection.models
    more = tuple(model.model_copy(update={"architecture": "unet", "fold": fold}) for fold in ("0", "1", "2"))
    shifted = with_selection(
        stored, models=(*more, model), views=("axial",), log_shift=(0.0, 0.1, 0.0, 0.0), postprocessing=(STEP,)
    )
    assert subject_of(shifted).title == (
        "the selection (the average of U-Net and Sep-Res U-Net, folds 0 to 2, axial slices, prior shifted, postprocessed)"
    )


def test_scores_of_an_edited_selection_are_of_what_had_been_decided(stored: ReportData) -> None:
    assert stored.selection is not None
    score, best = stored.selection.score, stored.selection.candidates[0]
    kept, other = (
        TriedStep(step=step, phrase="", kept=step is STEP, reason="", before=score, after=score)
        for step in (STEP, STEP.model_copy(update={"label": 2}))
    )
    shift = TriedShift(log_shift=(0.0, 0.5, 0.0, 0.0), phrase="", kept=True, reason="", before=score, after=score)
    changes = {
        "candidates": (best.model_copy(update={"networks": ("unet", "attention")}), *stored.selection.candidates[1:]),
        "tried": (kept, other),
        "shift": shift,
        "decided_sha256": "0" * 64,
    }
    edited = replace(stored, selection=stored.selection.model_copy(update=changes))
    assert edited.selection is not None
    made = decided(edited.selection)
    assert (made.networks, made.views, made.log_shift, made.steps) == (("unet", "attention"), (), shift.log_shift, (STEP,))
    assert subject_of(edited).title == (
        "the selection before it was edited (the average of U-Net and Attention U-Net, prior shifted, postprocessed)"
    )
    assert described(edited, edited.main)[SELECTED] == (
        "as it was before it was edited, the average of U-Net and Attention U-Net, prior shifted, postprocessed, 2 cases"
    )
    choice = study_of(edited).choice
    assert choice is not None
    assert (choice.networks, len(choice.steps), choice.edited) == (("unet", "attention"), 1, True)
    unshifted = edited.selection.model_copy(update={"shift": shift.model_copy(update={"kept": False})})
    assert decided(unshifted).log_shift == ()


def test_without_a_selection_the_subject_is_the_best_network_alone(stored: ReportData) -> None:
    alone = replace(stored, selection=None)
    subject = subject_of(alone)
    assert subject.name == subject.short == "Sep-Res U-Net"
    assert subject.title == "Sep-Res U-Net (fold 0, not postprocessed)"
    assert list(described(alone, alone.main)) == ["U-Net", "Sep-Res U-Net", "Attention U-Net"]
    assert (study_of(alone).scored_network, study_of(stored).scored_network) == ("Sep-Res U-Net", "")


def test_the_selection_stands_first_beside_networks_of_the_cross_validation_alone(stored: ReportData) -> None:
    official = replace(stored.main, suffix="_official")
    assert list(stored.compared(stored.main)) == [SELECTED, "U-Net", "Sep-Res U-Net", "Attention U-Net"]
    assert stored.compared(official) == official.titled
    assert described(stored, stored.main)[SELECTED] == "Sep-Res U-Net, fold 0, not postprocessed, 2 cases"


def test_scores_of_something_else_than_what_predicts_are_said_to_be(stored: ReportData) -> None:
    assert not_what_predicts(stored) == ""
    several = replace(stored, selection=None)
    assert not_what_predicts(several) == (
        "Nothing is selected: `autoseg predict` averages U-Net, Sep-Res U-Net and Attention U-Net, and that average was not "
        "scored. The scores at the top are of Sep-Res U-Net (fold 0, not postprocessed). Run `autoseg select`."
    )
    unet = ComparedNetwork("unet")
    run = next(run for run in stored.runs if run.model.architecture == "unet")
    group = replace(stored.main, models={unet: stored.main.models[unet]}, scores={unet: stored.main.scores[unet]})
    one = replace(several, groups=(group,), runs=on_folds(run, "0", "1"))
    assert not_what_predicts(one) == ""
    assert not_what_predicts(replace(one, groups=())) == ""
    on_all = not_what_predicts(replace(one, runs=on_folds(run, "official", "full")))
    assert on_all.startswith(
        "Nothing is selected: `autoseg predict` uses what was trained on all cases, which held none out."
    )
    assert not_what_predicts(replace(several, unusable="the selection was made under another plan")) == (
        "The selection was made under another plan: `autoseg predict` refuses it. Run `autoseg select` again."
    )


def test_folds_are_listed_as_people_say_them() -> None:
    assert folds_in_words(["10", "9", "8", "9"]) == "folds 8 to 10"
    assert folds_in_words(["0", "2", "3"]) == "folds 0, 2 and 3"
    assert folds_in_words(["1", "0"]) == "folds 0 and 1"
    assert folds_in_words(["official"]) == "official split"
    assert folds_in_words(["full"]) == "all cases"
