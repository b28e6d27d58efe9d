import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from oracles.heard import Heard

from autoseg.errors import WorkspaceError
from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.reporting.data import SELECTED, ReportData, gather
from autoseg.reporting.subject import Subject, subject_of
from autoseg.reporting.verdict import verdict
from autoseg.runs.inventory import ComparedNetwork
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three networks, finished on fold 0; one more run that is not; a selection."""
    shutil.copytree(STORED / "workspace", tmp_path / "workspace")
    return Workspace(tmp_path / "workspace")


def gathered(workspace: Workspace) -> tuple[ReportData, list[str]]:
    listener = Heard()
    return gather(workspace, listener), listener.said


def test_finished_runs_are_there_with_their_states_and_others_with_a_reason(workspace: Workspace) -> None:
    data, said = gathered(workspace)
    assert [run.title for run in data.runs] == ["Attention U-Net, fold 0", "Sep-Res U-Net, fold 0", "U-Net, fold 0"]
    assert all(run.state is not None and len(run.state.epochs) == 8 for run in data.runs)
    (skipped,) = data.skipped
    assert "unet/fold_1 (not finished" in skipped
    assert any("left out" in line and "unet/fold_1" in line for line in said)


def test_networks_are_in_the_order_of_their_table_with_the_same_cases(workspace: Workspace) -> None:
    data, _ = gathered(workspace)
    (group,) = data.groups
    assert group is data.main
    assert [network.name for network in group.models] == ["unet", "sepres", "attention"]
    assert list(group.titled) == ["U-Net", "Sep-Res U-Net", "Attention U-Net"]
    assert len({tuple(case.id for case in cases) for cases in group.scores.values()}) == 1


def test_scores_of_a_fold_that_held_out_other_cases_are_left_out_and_said(workspace: Workspace) -> None:
    """Fold 1 of Sep-Res was trained before the folds were edited: it held out what fold 0 holds out now."""
    first = workspace.models / "sepres" / "fold_0"
    shutil.copytree(first, first.with_name("fold_1"))
    bundle = first.with_name("fold_1") / "bundle.json"
    bundle.write_text(json.dumps(json.loads(bundle.read_text()) | {"fold": "1"}))
    data, said = gathered(workspace)
    assert [model.fold for model in data.main.models[ComparedNetwork("sepres")]] == ["0"]
    assert [case.id for case in data.main.scores[ComparedNetwork("sepres")]] == ["IBSR_01", "IBSR_04"]
    assert data.main.best_network
    [reason] = [reason for reason in data.skipped if "sepres" in reason]
    assert reason.endswith("fold_1 (held out other cases than its fold does now)")
    assert f"left out: {reason}" in said


def test_the_selection_is_what_is_best(workspace: Workspace) -> None:
    data, _ = gathered(workspace)
    subject = subject_of(data)
    name, cases = subject.name, subject.cases
    assert name == "Selection"
    assert data.selection is not None
    assert {case.id for case in cases} == set(data.selection.compared_cases)
    assert data.prediction_file(cases[0].id) == workspace.root / "selection" / f"{cases[0].id}.nii.gz"


def test_without_a_selection_the_best_network_is(workspace: Workspace) -> None:
    workspace.selection_file.unlink()
    data, _ = gathered(workspace)
    subject = subject_of(data)
    name, cases = subject.name, subject.cases
    assert (name, cases) == ("Sep-Res U-Net", data.main.scores[ComparedNetwork("sepres")])
    assert data.prediction_file(cases[0].id).is_relative_to(workspace.models / "sepres")
    assert data.prediction_file(cases[0].id).exists()


def test_a_network_without_any_defined_dice_is_never_the_best(workspace: Workspace) -> None:
    data, _ = gathered(workspace)
    nothing = [CaseMetrics("a", (ClassMetrics(1, "GM", {"volume_ml": 0.0, "reference_volume_ml": 0.0}),))]
    found = [CaseMetrics("a", (ClassMetrics(1, "GM", {"dice": 0.0, "volume_ml": 1.0, "reference_volume_ml": 0.0}),))]
    unet, sepres = ComparedNetwork("unet"), ComparedNetwork("sepres")
    assert replace(data.main, scores={unet: nothing, sepres: found}).best_network == sepres
    assert replace(data.main, scores={sepres: found, unet: nothing}).best_network == sepres
    assert replace(data.main, scores={unet: nothing, sepres: nothing}).best_network == unet


def test_a_selection_under_another_plan_is_left_out_and_said(workspace: Workspace) -> None:
    document = json.loads(workspace.selection_file.read_text())
    workspace.selection_file.write_text(json.dumps({**document, "plan_digest": "0" * 64}))
    data, said = gathered(workspace)
    assert data.selection is None
    assert any("made under another plan" in line for line in said)
    assert SELECTED not in data.compared(data.main)
    told = "The selection was made under another plan: `autoseg predict` refuses it. Run `autoseg select` again."
    assert told in verdict(data).warnings


def test_models_that_are_newer_than_the_selection_are_said(workspace: Workspace) -> None:
    made = workspace.selection_file.stat().st_mtime
    for network, since_s, outdated in (
        ("attention", -1, ""),
        ("sepres", 1, ""),  # it was selected, and has the same weights
        ("attention", 1, "1 model trained since, such as attention, fold 0"),
    ):
        for bundle in workspace.models.rglob("bundle.json"):
            at = made + (since_s if network in bundle.parts else -1)
            os.utime(bundle, (at, at))
        data, _ = gathered(workspace)
        assert data.selection is not None
        assert data.outdated == outdated
    assert any("older than what is trained (1 model" in line for line in verdict(data).warnings)
    assert not any("older than" in line for line in verdict(replace(data, outdated="")).warnings)
    workspace.selection_file.unlink()
    assert gathered(workspace)[0].outdated == ""


def test_without_models_there_is_nothing_to_be_best(workspace: Workspace) -> None:
    shutil.rmtree(workspace.models)
    workspace.selection_file.unlink()
    data, said = gathered(workspace)
    assert (data.runs, data.groups, subject_of(data)) == ((), (), Subject("", "", "", ()))
    assert not data.main.scores
    assert any("nothing is trained yet" in line for line in said)


def test_a_case_that_is_gone_is_named_with_a_remedy(workspace: Workspace) -> None:
    data, _ = gathered(workspace)
    with pytest.raises(WorkspaceError, match=r"IBSR_99 was held out.*not in the data set any more"):
        data.case("IBSR_99")
