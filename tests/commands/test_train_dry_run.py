"""`autoseg train --dry-run`: what is said before anything is done; nothing is trained here but what `workspace` holds."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.commands import train
from autoseg.commands.train import forecast as train_forecast
from autoseg.commands.train import runs as train_runs
from autoseg.commands.train.forecast_text import forecast_lines, forecast_table
from autoseg.commands.train.result import TrainedModel
from autoseg.errors import DatasetError, UsageError, WorkspaceError
from autoseg.events import Silent
from autoseg.model.identity import ModelId
from autoseg.runs import earlier
from autoseg.runs.earlier import Pace
from autoseg.storage.locks import lock
from autoseg.training.remaining import Costs, Remaining
from autoseg.training.run_state import read_state

Snapshot = dict[Path, tuple[int, bytes]]


def state_of(root: Path) -> Snapshot:
    """Everything below a folder, with its times, but for locks, whose holders give signs of life."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.startswith(".lock")]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def dry(root: Path, **choices: Any) -> train.TrainResult:
    defaults = {"architecture": "unet", "fold": 0, "epochs": 3, "precision": "float32"}
    return train.run(train.TrainOptions(workspace=root, dry_run=True, **{**defaults, **choices}), Silent())


def text(result: train.TrainResult) -> str:
    return train.describe(result).text


def forget_hardware(root: Path) -> None:
    """As if everything had been trained by a version that recorded no machine."""
    for path in root.glob("models/*/fold_*/checkpoint.json"):
        document = json.loads(path.read_text())
        document["state"]["computed_on"] = None
        path.write_text(json.dumps(document))


def test_nothing_is_written_and_no_lock_is_wanted(workspace: Path) -> None:
    shutil.rmtree(workspace / "preprocessed")
    (workspace / "checksums.json").unlink()
    before = state_of(workspace)
    with lock(workspace / "models" / "unet" / "fold_0" / ".lock"), lock(workspace / ".lock"):
        result = dry(workspace, architecture="all", fold="all", minutes=1.0, epochs=None, restart=True)
    assert state_of(workspace) == before
    assert result.models == ()
    assert result.forecast is not None
    assert result.forecast.missing_arrays == 6  # labelled cases, of which two are the data set's own validation
    assert "  preprocessed first: 6 cases, " in text(result)
    assert "(without preprocessing)" in text(result)
    assert not any(run.preprocessing_counts for run in result.forecast.runs)


def test_what_preprocessing_takes_off_the_minutes_of_a_single_run_is_said(workspace: Path) -> None:
    shutil.rmtree(workspace / "preprocessed")
    said = text(dry(workspace, architecture="attention", minutes=600.0, epochs=None))
    assert "  the time of that is taken off the 10 h; `autoseg preprocess`\n  beforehand leaves them to" in said
    assert "  up to " in said
    assert "(without" not in said  # the minutes end when they did
    both = dry(workspace, architecture="attention", minutes=600.0)
    assert "is taken off the 10 h" in text(both)
    assert "(without preprocessing)" in text(both)  # its epochs are done before
    assert train.describe(both).document["forecast"]["runs"][0]["preprocessing_counts"]
    for choices in ({}, {"epochs": None}):
        said = text(dry(workspace, architecture="attention", **choices))
        assert "taken off" not in said
        assert "up to" not in said
        assert "(without preprocessing)" in said


def test_a_finished_run_leaves_nothing_to_do(workspace: Path) -> None:
    result = dry(workspace)
    assert result.forecast is not None
    assert [run.status for run in result.forecast.runs] == ["done"]
    assert text(result).startswith("nothing is left to do")


def test_one_more_run_is_told_by_those_of_this_machine(workspace: Path) -> None:
    result = dry(workspace, architecture="attention")
    (run,) = result.forecast.runs if result.forecast else ()
    state = read_state(workspace / "models" / "unet" / "fold_0")
    assert state is not None
    assert state.scoring_s is not None
    assert run.left is not None
    assert 0 < run.left.training_s < 10 * state.elapsed_s
    assert run.left.scoring_s == pytest.approx(
        len(state.members.validation)
        * train_forecast.scored_case_s(train_forecast.on_same_hardware(*session_and_runs(workspace)))
    )
    said = text(result).splitlines()
    assert said[0] == "forecast for attention, fold 0: 2 cases to learn from, 2 held out"
    assert said[1] == "  3 epochs"
    assert said[2].endswith(" was here")
    assert said[3].startswith("  memory: about ")
    assert ["Dice" in line for line in said[4:8]] == [False, True, True, True]
    assert said[8].startswith("  done about ")
    assert max(map(len, said)) <= 80


def session_and_runs(root: Path) -> tuple[Any, Any]:
    seen: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        original = train_forecast.on_same_hardware
        patch.setattr(train_forecast, "on_same_hardware", lambda *given: seen.append(given) or original(*given))
        dry(root)
    return seen[-1]


def test_the_speed_of_another_machine_is_none_of_this_one(workspace: Path) -> None:
    forget_hardware(workspace)
    result = dry(workspace, architecture="attention")
    assert result.forecast is not None
    assert result.forecast.left_s is None
    said = text(result)
    assert "speed: known after the first ten steps" in said
    assert "done about" not in said


def test_the_speed_that_the_plan_recorded_is_used(workspace: Path) -> None:
    forget_hardware(workspace)
    path = workspace / "plan.json"
    plan = json.loads(path.read_text())
    plan["inputs"].update(minutes=1.0, speed_kpx_s=1024.0)
    path.write_text(json.dumps(plan))
    result = dry(workspace, architecture="attention", epochs=None, minutes=2.0)
    (run,) = result.forecast.runs if result.forecast else ()
    assert run.left is not None
    assert run.left.training_s == 120.0
    assert "by the speed that the plan recorded" in text(result)
    assert "(without scoring)" in text(result)


def test_a_run_on_fewer_threads_than_were_measured_takes_as_much_longer(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier, "usable_cores", lambda: 4)
    forget_hardware(workspace)
    path = workspace / "plan.json"
    plan = json.loads(path.read_text())
    plan["inputs"].update(minutes=1.0, speed_kpx_s=1024.0)
    path.write_text(json.dumps(plan))
    left = []
    for threads in (4, 1):
        result = dry(workspace, architecture="attention", threads=threads)
        (run,) = result.forecast.runs if result.forecast else ()
        assert run.left is not None
        left.append(run.left.training_s)
        assert ("on 1 of 4 threads" in text(result)) == (threads == 1)
    assert left[1] == pytest.approx(4 * left[0])


def test_several_runs_are_a_table_and_data(workspace: Path) -> None:
    said = train.describe(dry(workspace, architecture="all", fold="all"))
    (table,) = said.tables
    assert [(row[0], row[1]) for row in table.rows] == [
        ("unet, fold 0", "done"),
        ("sepres, fold 0", "done"),
        ("attention, fold 0", "new"),
        ("unet, fold 1", "done"),
        ("sepres, fold 1", "new"),
        ("attention, fold 1", "new"),
    ]
    assert "forecast for 3 runs, one after another (3 of 6 need nothing)" in said.text
    document = json.loads(json.dumps(said.document))["forecast"]
    times = [run["training_s"] + run["scoring_s"] for run in document["runs"] if run["status"] == "new"]
    assert document["seconds"] == pytest.approx(sum(times), abs=1)
    assert document["runs"][0]["status"] == "done"
    assert document["disk_gb"] < document["free_gb"]
    assert [set(run) for run in document["finished"]] == [{"model", "dice", "minutes", "epochs"}] * 3


def test_what_goes_on_and_what_is_only_to_be_scored(workspace: Path) -> None:
    record = workspace / "models" / "sepres" / "fold_0" / "validation" / "record.json"
    record.unlink()
    path = workspace / "models" / "unet" / "fold_0" / "checkpoint.json"
    document = json.loads(path.read_text())
    document["state"]["finished"] = False
    path.write_text(json.dumps(document))
    forecast = dry(workspace, architecture="all").forecast
    assert forecast is not None
    assert [run.status for run in forecast.runs] == ["goes on", "to be scored", "new"]
    unfinished, unscored, new = (run.left for run in forecast.runs)
    assert unfinished is not None
    assert unscored is not None
    assert new is not None
    assert unfinished.training_s == unscored.training_s == 0.0  # all of three epochs are done
    assert unscored.scoring_s == new.scoring_s > 0


def test_errors_are_those_of_the_training(workspace: Path, cohort: Path) -> None:
    with pytest.raises(UsageError, match="no such fold"):
        dry(workspace, fold=7)
    with pytest.raises(WorkspaceError, match=r"begun differently: epochs \(3 before, 5 now\)"):
        dry(workspace, epochs=5)
    with pytest.raises(UsageError, match="needs the address of a scheduler"):
        dry(workspace, executor="dask")
    with pytest.raises(WorkspaceError, match="no such workspace"):
        dry(workspace / "nowhere")
    moved = json.loads((workspace / "dataset.json").read_text())
    moved["root"] = str(cohort.parent / "gone")
    (workspace / "dataset.json").write_text(json.dumps(moved))
    with pytest.raises(DatasetError, match="is not there any more; found no"):
        dry(workspace, fold=1, architecture="sepres")


def test_one_of_several_runs_that_cannot_be_done_is_named(workspace: Path) -> None:
    events = Recorder()
    options = train.TrainOptions("all", fold=1, workspace=workspace, dry_run=True, epochs=5, precision="float32")
    result = train.run(options, events)
    assert result.forecast is not None
    assert [run.status for run in result.forecast.runs] == ["refused", "new", "new"]
    (warning,) = events.warnings
    assert warning.startswith("unet, fold 1: ")
    assert "begun differently" in warning


def test_another_executor_says_what_cannot_be_known_here(workspace: Path) -> None:
    result = dry(workspace, architecture="sepres", fold=1, executor="dask", scheduler="tcp://192.0.2.1:8786")
    assert result.forecast is not None
    assert result.forecast.left_s is None
    assert "speed and memory of the workers are not known here (executor dask)" in text(result)


def test_a_disk_that_is_too_small_is_warned_of(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_forecast.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    events = Recorder()
    options = train.TrainOptions("sepres", fold=1, workspace=workspace, dry_run=True, epochs=3, precision="float32")
    train.run(options, events)
    (warning,) = events.warnings
    assert "free some space" in warning


def test_a_training_says_the_same_before_it_begins(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def pretend(session: Any, target: Any, *, events: Any, started: float, slot: int = 0) -> TrainedModel:
        begun.append(f"{target.model.title}: a case takes {session.scored_case_s > 0}")
        return TrainedModel(target.model, 0, workspace, 3, 1.0, True, None)

    monkeypatch.setattr(train_runs, "train_one", pretend)
    events = Recorder()
    options = train.TrainOptions("sepres", fold=1, workspace=workspace, epochs=3, precision="float32")
    result = train.run(options, events)
    assert begun == ["sepres, fold 1: a case takes True"]
    assert result.forecast is not None
    notes = [note for note in events.notes if "forecast for sepres, fold 1" in note or "done about" in note]
    assert len(notes) == 2


def test_one_case_and_one_epoch_are_singular() -> None:
    run = train_forecast.RunForecast(
        id=ModelId("unet", "0"), status="new", training_cases=1, held_out=0, epochs_done=0, epochs=1, minutes=1.0,
        left=Remaining(0.5, 60.0, cut_short=True), pace=None, step_gb=1.0, disk_bytes=0,
    )  # fmt: skip
    forecast = train_forecast.TrainForecast(
        runs=(run,), side_by_side=1, elsewhere=None, missing_arrays=1, arrays_bytes=0, free_bytes=10**9, reached=(),
        made_at=0.0,
    )  # fmt: skip
    said = forecast_lines(forecast)
    assert said[:2] == ["forecast for unet, fold 0: 1 case to learn from, 0 held out", "  about 0.5 of 1 epoch in 60 s"]
    assert any(line.startswith("  preprocessed first: 1 case, ") for line in said)
    whole, further = replace(run, left=None), replace(run, left=None, after_epochs=3)
    trained = replace(run, status="done", epochs_done=1)
    for each, length in (
        (whole, "1 epoch, at most 60 s"),
        (further, "1 more epoch, at most 60 s"),
        (trained, "1 epoch, trained"),
    ):
        assert forecast_table(replace(forecast, runs=(each,))).rows[0][2] == length
    model = TrainedModel(run.id, 0, Path("models"), 1, 1.0, trained_now=True, summary=None)
    assert "1 epoch in 1.0 min" in repr(model)


def test_minutes_and_epochs_are_told_in_words() -> None:
    pace = Pace(Costs(0.1, 1.0, 60.0), "as fast as unet, fold 1 was here", scoring_known=True)
    run = train_forecast.RunForecast(
        id=ModelId("unet", "0"), status="new", training_cases=8, held_out=2, epochs_done=0, epochs=None, minutes=60.0,
        left=Remaining(174.4, 3600.0, 60.0), pace=pace, step_gb=1.23, disk_bytes=250_000_000,
    )  # fmt: skip
    reached = tuple(train_forecast.Reached(ModelId("unet", str(fold)), 0.9, 60.0, 170) for fold in range(1, 6))
    forecast = train_forecast.TrainForecast(
        runs=(run,), side_by_side=1, elsewhere=None, missing_arrays=0, arrays_bytes=0, free_bytes=63_000_000_000,
        reached=reached, made_at=0.0,
    )  # fmt: skip
    said = forecast_lines(forecast)
    assert said[:4] == [
        "forecast for unet, fold 0: 8 cases to learn from, 2 held out",
        "  about 174 epochs in 60 min",
        "  as fast as unet, fold 1 was here",
        "  memory: about 1.2 GB a step; disk: about 0.2 GB more, 63.0 GB are free",
    ]
    assert said[5:8] == [f"    unet, fold {fold}: Dice 0.900 after 60 min (170 epochs)" for fold in (1, 2, 3)]
    assert said[8] == "    and 2 more"
    assert said[9].endswith("in 61 min")
