"""What the verdict says, on scores and runs made by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.events import Silent
from autoseg.model.identity import ModelId
from autoseg.reporting.data import FinishedRun, ReportData, gather
from autoseg.reporting.verdict import Verdict, verdict
from autoseg.runs.inventory import ComparedNetwork
from autoseg.runs.workspace import Workspace
from autoseg.training.config import TrainConfig
from autoseg.training.run_state import Stretch

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"
NAN = float("nan")
GOOD = [0.92, 0.91, 0.93, 0.9, 0.94, 0.92, 0.91, 0.93, 0.92, 0.9]
"""Ten cases without an outlier."""


@pytest.fixture(scope="module")
def stored() -> ReportData:
    """Three networks on fold 0, of 8 epochs of 10 steps each; a selection."""
    return gather(Workspace(STORED), Silent())


def cases_of(dice: Mapping[str, Sequence[float]], *, distance: float = 1.0) -> tuple[CaseMetrics, ...]:
    """Cases by the Dice of each class."""
    count = len(next(iter(dice.values())))
    return tuple(
        CaseMetrics(
            f"case_{number}",
            tuple(
                ClassMetrics(value, name, {"dice": values[number], "hausdorff_mm": distance})
                for value, (name, values) in enumerate(dice.items(), start=1)
            ),
        )
        for number in range(count)
    )


def long_enough(run: FinishedRun) -> FinishedRun:
    """The same run with as many steps as any could need, and nothing more to learn."""
    assert run.state is not None
    epochs = [epoch.model_copy(update={"training_dice": 0.9, "class_dice": {"CSF": 0.9}}) for epoch in run.state.epochs]
    config = run.state.config.model_copy(update={"epochs": len(epochs), "minutes": None})
    return replace(run, state=run.state.model_copy(update={"epochs": epochs, "steps_taken": 100_000, "config": config}))


def too_short(run: FinishedRun) -> FinishedRun:
    """The same with 50 steps."""
    assert run.state is not None
    return replace(run, state=run.state.model_copy(update={"steps_taken": 50}))


def on_fold(run: FinishedRun, fold: int) -> FinishedRun:
    return replace(run, model=replace(run.model, id=ModelId("unet", str(fold))))


def judged(stored: ReportData, dice: Mapping[str, Sequence[float]], *, distance: float = 1.0) -> Verdict:
    """One network with these scores, trained for long enough, nothing selected."""
    (group,) = stored.groups
    unet = ComparedNetwork("unet")
    group = replace(group, models={unet: group.models[unet]}, scores={unet: cases_of(dice, distance=distance)})
    runs = [long_enough(run) for run in stored.runs if run.model.architecture == "unet"]
    return verdict(replace(stored, runs=runs, skipped=(), groups=(group,), selection=None, selected=()))


@pytest.mark.parametrize(
    ("dice", "sentence"),
    [
        ({"GM": GOOD, "WM": GOOD}, "Good for GM and WM."),
        ({"GM": GOOD, "WM": GOOD, "CSF": GOOD}, "Good for every class."),
        ({"CSF": [0.65, 0.69, *[0.9] * 8], "GM": GOOD, "WM": GOOD}, "Good for GM and WM; CSF unsure in 2 of 10."),
        ({"CSF": [0.7] * 10, "GM": [0.8] * 10}, "Good for GM; fair for CSF."),  # the limits themselves are enough
        ({"CSF": [0.6, *[0.9] * 9], "GM": [0.5, 0.6, *[0.9] * 8]}, "CSF unsure in 1 of 10 and GM in 2 of 10."),
        ({"CSF": [0.5] * 10, "GM": GOOD}, "Good for GM; poor for CSF (mean Dice 0.50)."),
        ({"CSF": [0.05] * 10, "GM": GOOD}, "Good for GM; CSF never found."),
        ({"CSF": [0.05] * 9 + [0.3], "GM": GOOD}, "Good for GM; poor for CSF (mean Dice 0.07)."),
        ({"CSF": [NAN] * 10, "GM": GOOD}, "Good for GM; CSF in none of the held-out cases."),
        ({"CSF": [NAN] * 4 + [0.6] + [0.9] * 5}, "CSF unsure in 1 of 6."),
        ({"GM": GOOD[:3]}, "Good for GM; all this rests on 3 held-out cases."),
        ({"GM": GOOD[:6]}, "Good for GM."),
        ({f"organ {number}": [0.75] * 10 for number in range(7)}, "Fair for organ 0, organ 1, organ 2, organ 3 and 3 more."),
    ],
)  # fmt: skip
def test_classes_are_judged_by_their_dice(stored: ReportData, dice: Mapping[str, Sequence[float]], sentence: str) -> None:
    assert judged(stored, dice).sentence == sentence


def test_good_scores_of_many_cases_are_no_cause_for_a_warning(stored: ReportData) -> None:
    found = judged(stored, {"GM": GOOD, "WM": GOOD})
    assert found.warnings == ()
    assert [(each.name, each.grade, each.cases) for each in found.classes] == [("GM", "good", 10), ("WM", "good", 10)]


def test_outliers_and_undefined_distances_are_named(stored: ReportData) -> None:
    warnings = judged(stored, {"GM": [*GOOD[:9], 0.75]}, distance=NAN).warnings
    assert "case_9 scores far below the others (mean Dice 0.750): look at it first." in warnings
    (undefined,) = (line for line in warnings if "no mean distance" in line)
    assert undefined.startswith("U-Net: no mean distance of case_0, case_1")


def test_cases_without_a_class_in_the_reference_are_not_told_as_missed(stored: ReportData) -> None:
    volumes = {"healthy": (0.0, 0.0), "invented": (1.0, 0.0), "missed": (0.0, 1.0)}
    scores = [
        CaseMetrics(name, (ClassMetrics(1, "GM", {"dice": dice, "volume_ml": of[0], "reference_volume_ml": of[1]}),))
        for (name, of), dice in zip(volumes.items(), (NAN, 0.0, 0.0), strict=True)
    ]
    (group,) = stored.groups
    group = replace(group, scores={ComparedNetwork("unet"): scores})
    warnings = verdict(replace(stored, groups=(group,), selection=None, selected=())).warnings
    missed, nothing = (line for line in warnings if "distance" in line)
    assert missed == "U-Net: no mean distance of missed, where a class was not found; the others' mean leaves them out."
    assert nothing.startswith("U-Net: no distances of healthy, invented, nothing in the reference: Dice is 0")


def test_short_runs_are_named_by_what_tells_them_apart(stored: ReportData) -> None:
    (group,) = stored.groups
    unet = next(run for run in stored.runs if run.model.architecture == "unet")
    good, short = long_enough(unet), too_short(long_enough(unet))

    def sentence(*runs: FinishedRun) -> str:
        scores = dict.fromkeys(group.scores, cases_of({"GM": GOOD}))
        return verdict(replace(stored, runs=runs, groups=(replace(group, scores=scores),), selection=None)).sentence

    assert sentence(good) == "Good for GM."
    assert sentence(short) == "Good for GM; trained too short."
    assert sentence(on_fold(good, 0), on_fold(short, 3)) == "Good for GM; fold 3 trained too short."
    assert sentence(short, replace(good, model=stored.runs[0].model)) == "Good for GM; U-Net, fold 0 trained too short."
    assert sentence(*(on_fold(short, fold) for fold in range(5))) == "Good for GM; every run trained too short."
    some = [*(on_fold(short, fold) for fold in range(3)), on_fold(good, 3)]
    assert sentence(*some) == "Good for GM; 3 of 4 runs trained too short."


def test_short_runs_are_told_what_to_do(stored: ReportData) -> None:
    runs = [too_short(run) for run in stored.runs]
    about = [line for line in verdict(replace(stored, runs=runs)).warnings if "is probably far from converged" in line]
    titles = ["Attention U-Net, fold 0", "Sep-Res U-Net, fold 0", "U-Net, fold 0"]
    assert [line.partition(" is ")[0] for line in about] == titles
    assert all("it took only 50 steps" in line and "--continue" in line for line in about)


def test_a_class_hardly_found_in_training_is_no_matter_of_length(stored: ReportData) -> None:
    (group,) = stored.groups
    run = long_enough(next(run for run in stored.runs if run.model.architecture == "unet"))
    assert run.state is not None
    last = run.state.epochs[-1].model_copy(update={"class_dice": {"CSF": 0.0}})
    run = replace(run, state=run.state.model_copy(update={"epochs": [*run.state.epochs[:-1], last]}))
    scores = dict.fromkeys(group.scores, cases_of({"GM": GOOD}))
    found = verdict(replace(stored, runs=[run], groups=(replace(group, scores=scores),), selection=None))
    assert found.sentence == "Good for GM."
    assert any("CSF is hardly found" in line for line in found.warnings)


def test_runs_that_stopped_by_the_rule_are_not_short(stored: ReportData) -> None:
    (group,) = stored.groups
    unet = too_short(next(run for run in stored.runs if run.model.architecture == "unet"))
    assert unet.state is not None
    epochs = [epoch.model_copy(update={"validation_loss": 1.0, "class_dice": {}}) for epoch in unet.state.epochs]
    unet = replace(unet, state=unet.state.model_copy(update={"epochs": epochs}))
    training = stored.plan.training.model_copy(update={"early_stopping_patience": len(epochs) - 1})
    plan = stored.plan.model_copy(update={"training": training})
    scores = dict.fromkeys(group.scores, cases_of({"GM": GOOD}))
    data = replace(stored, plan=plan, runs=[unet], groups=(replace(group, scores=scores),), selection=None)
    assert verdict(data).sentence == "Good for GM."


def test_a_run_that_was_trained_further_is_judged_as_train_judges_it(stored: ReportData) -> None:
    (group,) = stored.groups
    unet = long_enough(next(run for run in stored.runs if run.model.architecture == "unet"))
    plan = stored.plan.model_copy(
        update={"training": stored.plan.training.model_copy(update={"steps_per_epoch": 50, "early_stopping_patience": None})}
    )
    scores = dict.fromkeys(group.scores, cases_of({"GM": GOOD}))
    state = unet.state
    assert state is not None
    done, cut = (state.config.model_copy(update=length) for length in ({"epochs": 4}, {"epochs": 20, "minutes": 0.5}))

    def of_calls(first: TrainConfig, last: TrainConfig) -> Verdict:
        stretches = (Stretch(config=first), Stretch(config=last, after_epochs=4, after_steps=200))
        changed = state.model_copy(update={"config": first, "stretches": stretches, "steps_taken": 400})
        groups = (replace(group, scores=scores),)
        return verdict(
            replace(stored, plan=plan, runs=[replace(unet, state=changed)], groups=groups, skipped=(), selection=None)
        )

    assert (of_calls(cut, done).sentence, of_calls(cut, done).warnings) == ("Good for GM.", ())
    found = of_calls(done, cut)
    assert found.sentence == "Good for GM; trained too short."
    (line,) = found.warnings
    assert line == (
        "U-Net, fold 0 is probably far from converged: its time was up after 4 epochs, 200 of 1000 steps. "
        "Train it further, with --continue and a number of --epochs or --minutes."
    )


def test_the_best_of_several_on_the_cases_that_chose_it_is_optimistic(stored: ReportData) -> None:
    assert stored.selection is not None
    alone = stored.selection.model_copy(update={"candidates": stored.selection.candidates[:1]})
    assert any("are optimistic" in line for line in verdict(stored).warnings)
    assert not any("are optimistic" in line for line in verdict(replace(stored, selection=alone)).warnings)


def test_scores_of_an_edited_selection_are_said_to_be_of_before(stored: ReportData) -> None:
    assert stored.selection is not None
    edited = replace(stored, selection=stored.selection.model_copy(update={"decided_sha256": "0" * 64}))
    told = "The selection was edited by hand: the scores are those of what had been decided, not of what predicts now."
    assert told in verdict(edited).warnings
    assert told not in verdict(stored).warnings
    assert verdict(edited).scores_of.startswith("the selection before it was edited (")


def test_what_an_older_selection_left_out_is_said_to_be_of_then(stored: ReportData) -> None:
    assert stored.selection is not None
    without = stored.selection.model_copy(update={"missing": ("sepres: not trained on any fold",)})
    told = "Not taking part in the selection{}: sepres: not trained on any fold."
    assert told.format("") in verdict(replace(stored, selection=without)).warnings
    older = verdict(replace(stored, selection=without, outdated="1 model trained since, such as sepres, fold 0")).warnings
    assert told.format(" when it was made") in older
    assert told.format("") not in older


def test_a_workspace_is_judged_whatever_was_done_in_it(stored: ReportData) -> None:
    nothing = replace(stored, runs=(), groups=(), skipped=(), selection=None, selected=())
    assert verdict(nothing) == Verdict(
        "Nothing is trained yet: there are only the data and the plan to look at.", ("Nothing is trained yet.",)
    )
    runs = [long_enough(run) for run in stored.runs]
    unscored = verdict(replace(stored, runs=runs, groups=(), selection=None, selected=()))
    assert unscored.sentence == "3 models trained, but no held-out case is scored yet."
