import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from oracles.commands import autoseg as console
from oracles.watched_runs import Recorder

from autoseg.catalogue import NETWORKS, Package
from autoseg.commands import plan as planning
from autoseg.commands import train
from autoseg.commands.train import runs as train_runs
from autoseg.commands.train import status as train_status
from autoseg.commands.train.result import TrainedModel
from autoseg.errors import CasesFailedError, PlanError, TrainingError, UsageError, WorkspaceError
from autoseg.events import Silent
from autoseg.jobs.series import TITLE
from autoseg.runs import minutes, ranks, run, session
from autoseg.runs.restarting import LEAVE_OUT, note_restart


@pytest.fixture(scope="module")
def workspace(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("train") / "run"
    planning.run(planning.PlanOptions(cohort, workspace=root, folds=2), Silent())
    train.run(train.TrainOptions(architecture="unet", fold="1", workspace=root, epochs=1, precision="float32"), Silent())
    return root


@pytest.fixture
def begun(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Names and clocks of the runs, none of which is really trained."""
    begun: list[tuple[str, float]] = []

    def pretend(session: Any, target: Any, *, events: Any, started: float, slot: int = 0) -> TrainedModel:
        begun.append((target.model.title, started))
        return TrainedModel(target.model, target.seed, workspace, 1, 1.0, trained_now=True, summary=None)

    monkeypatch.setattr(train_runs, "train_one", pretend)
    return begun


def command(workspace: Path, **choices: Any) -> train.TrainOptions:
    defaults = {"architecture": "all", "fold": "all", "epochs": 1, "precision": "float32"}
    return train.TrainOptions(workspace=workspace, **{**defaults, **choices})


def titles(result: train.TrainResult) -> list[str]:
    return [model.id.title for model in result.models]


FOLD_BY_FOLD = [f"{network}, fold {fold}" for fold in (0, 1) for network in ("unet", "sepres", "attention")]


def test_a_series_goes_fold_by_fold_after_what_is_finished(workspace: Path, begun: list[tuple[str, float]]) -> None:
    events = Recorder()
    result = train.run(command(workspace), events)
    assert [name for name, _ in begun] == ["unet, fold 1", *(name for name in FOLD_BY_FOLD if name != "unet, fold 1")]
    assert titles(result) == FOLD_BY_FOLD
    assert events.bars[TITLE].moves == [1, 2, 3, 4, 5, 6]
    lines = [note for note in events.notes if note.endswith(f"1 epoch in 1.0 min; {workspace}")]
    assert [line.partition(":")[0] for line in lines] == [name for name in FOLD_BY_FOLD if name != "unet, fold 1"]


def test_seeds_follow_one_another_and_what_is_finished_comes_first(workspace: Path, begun: list[tuple[str, float]]) -> None:
    names = ["unet, fold 1", "unet, fold 1, seed 7", "unet, fold 1, seed 2"]
    result = train.run(command(workspace, architecture="unet", fold="1", seed=[7, 2, 0]), Silent())
    assert [name for name, _ in begun] == names
    assert titles(result) == [*names[1:], names[0]]


def test_an_augmentation_that_nobody_registers_is_refused(workspace: Path, begun: list[tuple[str, float]]) -> None:
    path = workspace / "plan.json"
    as_planned = path.read_text()
    plan = json.loads(as_planned)
    plan["augmentation"]["additional"] = ["ghosts"]
    path.write_text(json.dumps(plan))
    try:
        with pytest.raises(PlanError, match="no augmentation `ghosts`; none is known"):
            train.run(command(workspace), Silent())
    finally:
        path.write_text(as_planned)
    assert not begun


def test_a_network_that_needs_more_than_was_planned_for_is_named(
    workspace: Path, begun: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hungry = replace(NETWORKS["unet"], bytes_per_pixel=lambda *_, **__: 1e9)
    monkeypatch.setattr(NETWORKS, "_registered", {"mine": ()})
    monkeypatch.setitem(NETWORKS._loaded, "mine", hungry)
    monkeypatch.setattr(NETWORKS, "package", lambda name: Package("my-nets", "1.2") if name == "mine" else None)
    events = Recorder()
    train.run(command(workspace, architecture="mine", fold="0"), events)
    assert ["`mine` of the package `my-nets` 1.2" in said for said in events.warnings] == [True]
    assert [name for name, _ in begun] == ["mine, fold 0"]


def test_restarting_forgets_what_is_finished(workspace: Path, begun: list[tuple[str, float]]) -> None:
    train.run(command(workspace, restart=True), Silent())
    assert [name for name, _ in begun] == FOLD_BY_FOLD


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (partial(TrainingError, "diverged", remedy="Again."), "Fix the listed cases and run the same command again;"),
        (KeyboardInterrupt, None),
    ],
    ids=["failure", "interruption"],
)
def test_who_repeats_a_restart_that_has_begun_is_told_to_leave_it_out(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[], BaseException], told: str | None
) -> None:
    def fail(session: Any, target: Any, **_: Any) -> None:
        if target.model.fold == "0":
            note_restart(session, target)
        raise end()

    monkeypatch.setattr(train_runs, "train_one", fail)
    work = command(workspace, architecture="unet", restart=True)
    with pytest.raises((CasesFailedError, KeyboardInterrupt)) as failed:
        train.run(work, Silent())
    advice = f"{LEAVE_OUT} Still to be restarted, on their own: unet, fold 1."
    if told is None:
        assert failed.value.__notes__ == [advice]
    else:
        assert isinstance(failed.value, CasesFailedError)
        assert failed.value.remedy.startswith(told)
        assert failed.value.remedy.endswith(advice)
    arguments = ("train", "--arch", "unet", "--fold", "all", "--epochs", "1", "--precision", "float32")
    for restarted in ([], ["--restart"]):
        answer = console(*arguments, *restarted, "-w", str(workspace), expect=7 if told else 130)
        assert (advice in answer.said) == bool(restarted)


def test_nothing_is_lost_by_restarting_what_could_not_begin(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise TrainingError("no memory", remedy="Again.")

    monkeypatch.setattr(train_runs, "train_one", fail)
    with pytest.raises(TrainingError) as failed:
        train.run(command(workspace, architecture="unet", fold="0", restart=True), Silent())
    assert failed.value.remedy == "Again."


def test_what_a_command_has_restarted_before_is_done_when_its_job_is_begun_again(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = command(workspace, architecture="unet", fold="1", restart=True)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    opened, (_, restarted) = session_of(workspace, replace(work, fold="all"))
    assert not train_status.already_done(opened, restarted)
    note_restart(opened, restarted)
    assert train_status.already_done(opened, restarted)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    forecast = train.run(replace(work, dry_run=True), Silent()).forecast
    assert forecast is not None
    assert [run.status for run in forecast.runs] == ["done"]
    (model,) = train.run(work, Silent()).models
    assert not model.trained_now


def test_what_was_begun_differently_fails_at_once(workspace: Path) -> None:
    work = command(workspace, architecture="unet", epochs=2)
    opened, (first, second) = session_of(workspace, work)
    assert not train_status.already_done(opened, first)
    assert train_status.already_done(opened, second)


@pytest.fixture
def other_folds(workspace: Path) -> Iterator[Path]:
    """The folds, their validation sides exchanged by hand."""
    path = workspace / "splits.json"
    before = path.read_text(encoding="utf-8")
    splits = json.loads(before)
    path.write_text(json.dumps({**splits, "folds": splits["folds"][::-1]}), encoding="utf-8")
    yield path
    path.write_text(before, encoding="utf-8")


def test_a_run_does_not_go_on_with_other_cases(workspace: Path, other_folds: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"begun differently: the cases of its fold \(splits\.json\)\..*--restart"):
        train.run(command(workspace, architecture="unet", fold="1"), Silent())


def test_folds_edited_by_hand_are_used_and_said(workspace: Path, other_folds: Path, begun: list[tuple[str, float]]) -> None:
    events = Recorder()
    train.run(command(workspace, architecture="sepres", fold="0"), events)
    assert "using folds that were edited by hand" in events.notes


def test_planning_again_keeps_folds_edited_by_hand(workspace: Path, cohort: Path, other_folds: Path) -> None:
    config = planning.PlanOptions(cohort, workspace=workspace, folds=2)
    edited = other_folds.read_text(encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"splits\.json: the folds were edited by hand.*--force"):
        planning.run(config, Silent())
    assert other_folds.read_text(encoding="utf-8") == edited
    planning.run(replace(config, force=True), Silent())
    assert other_folds.read_text(encoding="utf-8") != edited


def test_a_finished_run_without_scores_is_not_over_at_once(workspace: Path, tmp_path: Path) -> None:
    opened, (_, second) = session_of(workspace, command(workspace, architecture="unet"))
    assert train_status.already_done(opened, second)
    mark = workspace / "models" / "unet" / "fold_1" / "validation" / "record.json"
    aside = mark.rename(tmp_path / "mark")
    assert not train_status.already_done(opened, second)
    aside.rename(mark)


def test_only_minutes_of_a_single_run_count_from_the_start_of_the_command(
    workspace: Path, begun: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: -1e9))  # long ago
    counted = []
    for choices in ({"minutes": 1.0}, {"minutes": 1.0, "epochs": None}, {}, {"epochs": None}):
        train.run(command(workspace, architecture="unet", fold="0", **choices), Silent())
        counted.append(begun[-1][1] == -1e9)
    assert counted == [True, True, False, False]
    train.run(command(workspace, architecture="unet", minutes=1.0), Silent())
    assert [started == -1e9 for _, started in begun[4:]] == [False, False]


def test_a_run_that_preprocessing_left_no_time_begins_when_it_is_asked_for_again(
    workspace: Path, begun: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(workspace / "preprocessed")
    asked, clock = command(workspace, architecture="sepres", fold="0", epochs=None, minutes=1.0), iter([0.0, 31.0])
    with monkeypatch.context() as slow:
        slow.setattr(minutes, "preprocess_missing", partial(minutes.preprocess_missing, now=lambda: next(clock)))
        with pytest.raises(UsageError, match=r"sepres, fold 0: preprocessing took 31 s, and the run had 60 s"):
            train.run(asked, Silent())
    assert begun == []
    events = Recorder()
    train.run(asked, events)
    assert [name for name, _ in begun] == ["sepres, fold 0"]
    assert "preprocessing" not in events.bars
    assert not [said for said in events.warnings if "preprocess" in said]


def test_a_finished_run_says_so_and_keeps_its_scores(workspace: Path) -> None:
    events = Recorder()
    (model,) = train.run(command(workspace, architecture="unet", fold="1"), events).models
    assert not model.trained_now
    assert model.summary is not None
    assert any("finished earlier" in note for note in events.notes)
    assert not events.bars  # no overview of one run, and nothing to score


@pytest.mark.parametrize(("cores", "jobs", "share"), [(8, 1, 8), (8, 2, 4), (8, 3, 2), (2, 4, 1), (16, 100, 2)])
def test_runs_side_by_side_share_the_cores(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, cores: int, jobs: int, share: int
) -> None:
    seen: dict[str, Any] = {}

    def keep(runs: Any, *, jobs: int, initialise: partial[None], **_: Any) -> list[str]:
        seen.update(jobs=jobs, share=initialise.args, sessions={run.work.args[0].cores for run in runs})
        return []

    monkeypatch.setattr(session, "usable_cores", lambda: cores)
    monkeypatch.setattr(train_runs, "run_series", keep)
    train.run(command(workspace, jobs=jobs), Silent())
    assert seen == {"jobs": min(jobs, 6), "share": (share,), "sessions": {share}}


def session_of(workspace: Path, work: train.TrainOptions) -> tuple[Any, Any]:
    """What `run` gives to each run, and the runs."""
    seen: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_runs, "run_series", lambda runs, **_: seen.update(runs=runs) or [])
        train.run(work, Silent())
    opened = seen["runs"][0].work.args[0]
    targets = [run.work.args[1] for run in seen["runs"]]
    return opened, targets


@pytest.mark.parametrize(
    ("device", "jobs", "expected"),
    [("cpu", "auto", (1, ("cpu",))), ("cpu,cpu", "auto", (2, ("cpu", "cpu"))), ("cpu,cpu", 4, (4, ("cpu", "cpu")))],
)
def test_as_many_runs_at_a_time_as_devices_unless_told_otherwise(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, device: str, jobs: Any, expected: tuple[int, tuple[str, ...]]
) -> None:
    seen: dict[str, Any] = {}

    def keep(runs: Any, *, jobs: int, initialise: partial[None], **_: Any) -> list[str]:
        seen.update(jobs=jobs, devices=runs[0].work.args[0].devices)
        return []

    monkeypatch.setattr(train_runs, "run_series", keep)
    train.run(command(workspace, device=device, jobs=jobs), Silent())
    assert (seen["jobs"], seen["devices"]) == expected


def test_a_run_goes_on_elsewhere_when_its_gpu_is_gone(workspace: Path) -> None:
    """A checkpoint names no device: whatever computes in the same number format continues it."""
    folder = workspace / "models" / "unet" / "fold_1"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"no cuda:7 device here; found cpu.*Choose another --device"):
        train.run(command(workspace, architecture="unet", fold="1", device="cuda:7"), Silent())
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert b"cuda" not in before[folder / "checkpoint.json"]
    assert b'"cpu"' not in before[folder / "checkpoint.json"]
    (model,) = train.run(command(workspace, architecture="unet", fold="1", device="cpu"), Silent()).models
    assert not model.trained_now


def test_one_run_on_several_devices_has_a_process_for_each_unless_it_is_done(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def keep(session: Any, _work: Any, *, title: str, **_: Any) -> str:
        seen.append((title, session.devices, session.cores))
        return "the model"

    monkeypatch.setattr(train_runs, "on_every_device", keep)
    monkeypatch.setattr(session, "usable_cores", lambda: 6)
    (model,) = train.run(command(workspace, architecture="unet", fold="1", device="cpu,cpu"), Silent()).models
    assert (model.trained_now, seen) == (False, [])
    assert train.run(command(workspace, architecture="unet", fold="full", device="cpu,cpu"), Silent()).models == (
        "the model",
    )
    assert seen == [("unet, fold full", ("cpu", "cpu"), 3)]


STARTED_TOGETHER = {
    "RANK": "0",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "a",
    "MASTER_PORT": "1",
}


@pytest.mark.parametrize(("rank", "restarts", "expected"), [(0, 0, True), (1, 0, False), (0, 1, False)])
def test_what_torchrun_starts_discards_all_runs_of_a_series_at_the_first_start(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, rank: int, restarts: int, *, expected: bool
) -> None:
    work = command(workspace, architecture="unet", restart=True)
    opened, targets = session_of(workspace, work)
    discarded: list[Any] = []

    def pretend(options: Any, _at: Any, *, check: Any, **_: Any) -> tuple[Any, tuple[()]]:
        check(replace(opened, choices=options), targets)
        return opened.workspace, ()

    monkeypatch.setattr(ranks, "as_one_of_ranks", pretend)
    monkeypatch.setattr(run, "working_on", lambda _, target, **__: discarded.append(target) or nullcontext())
    for name, value in {
        **STARTED_TOGETHER,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "TORCHELASTIC_RESTART_COUNT": str(restarts),
    }.items():
        monkeypatch.setenv(name, value)
    train.run(work, Silent())
    assert discarded == (targets if expected else [])

    def fail(*_: Any, **__: Any) -> None:
        raise TrainingError("diverged", remedy="Again.")

    monkeypatch.setattr(ranks, "as_one_of_ranks", fail)
    with pytest.raises(TrainingError) as failed:
        train.run(work, Silent())
    assert failed.value.remedy == (f"Again. {LEAVE_OUT}" if restarts else "Again.")


def test_processes_that_were_started_together_are_no_work_for_a_cluster(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in STARTED_TOGETHER.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="no work for the executor slurm"):
        train.run(command(workspace, executor="slurm"), Silent())
