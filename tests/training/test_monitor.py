import dataclasses
import json
import math
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracles.heard import Heard

from autoseg import catalogue
from autoseg.data.display import COLOURS, rgb
from autoseg.errors import UsageError, WorkspaceError
from autoseg.events import Silent
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.training import monitor
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.history import EpochRecord, read_history
from autoseg.training.loop import train
from autoseg.training.monitor import (
    OPACITY,
    TRACKERS,
    TrackedRun,
    Tracker,
    TrackerKind,
    Untracked,
    check_installed,
    scalars,
    side_by_side,
    tracking,
)
from autoseg.training.run_state import RunState
from autoseg.training.validation import SampleSlice

MakePlan = Callable[..., Plan]
KINDS = get_args(catalogue.Tracker)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


class Spy:
    """A tracker that writes down what it is told, and breaks in the epoch it is told to break in."""

    def __init__(self, *, breaks_in: int | None = None, breaks_at_the_end: bool = False) -> None:
        self.seen: list[tuple[int, int]] = []
        self.closed = 0
        self._breaks_in, self._breaks_at_the_end = breaks_in, breaks_at_the_end

    def epoch_ended(self, record: EpochRecord, samples: Sequence[SampleSlice]) -> None:
        if record.epoch == self._breaks_in:
            raise OSError("No space left on device")
        self.seen.append((record.epoch, len(samples)))

    def close(self) -> None:
        self.closed += 1
        if self._breaks_at_the_end:
            raise OSError("No space left on device")


def record(epoch: int, **changes: Any) -> EpochRecord:
    values: dict[str, Any] = {
        "epoch": epoch,
        "seconds": 10.0 * epoch,
        "learning_rate": 0.5 / epoch,
        "slices_per_s": 8.0,
        "training_loss": 1.0 / epoch,
        "training_dice": 0.25,
        "validation_loss": 2.0 / epoch,
        "validation_dice": 0.75,
        "class_dice": {"white matter": 0.75},
    }
    return EpochRecord.model_validate(values | changes)


def sample(case: int = 0, *, shape: tuple[int, int] = (4, 5)) -> SampleSlice:
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    classes = (pixels % 3).astype(np.int16)
    return SampleSlice(case=case, index=7, image=pixels, prediction=classes, reference=classes)


def a_run(folder: Path, *, epochs: int = 0) -> TrackedRun:
    return TrackedRun(folder=folder, name="unet, fold 0", settings={"seed": 3}, cases=("IBSR_01", "IBSR_03"), epochs=epochs)


def track(kind: catalogue.Tracker, folder: Path, *, epochs: range) -> None:
    """A run of some epochs, each with two images."""
    run = a_run(folder, epochs=epochs.start - 1)
    with tracking(kind, run, events=Silent(), images_every_s=0.0) as tracker:
        for epoch in epochs:
            tracker.epoch_ended(record(epoch), [sample(0), sample(1)])


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Spy]:
    """Puts a spy in TensorBoard's place."""

    def install(**habits: Any) -> Spy:
        installed = Spy(**habits)
        monkeypatch.setitem(TRACKERS, "tensorboard", TrackerKind(lambda: None, lambda _package, _run: installed))
        return installed

    return install


def test_the_table_names_what_a_user_may_ask_for() -> None:
    assert set(TRACKERS) == set(KINDS)


def test_scalars_are_named_and_undefined_ones_left_out() -> None:
    assert scalars(record(2)) == {
        "loss/training": 0.5,
        "loss/validation": 1.0,
        "dice/training": 0.25,
        "dice/validation": 0.75,
        "dice/validation white matter": 0.75,
        "learning_rate": 0.25,
        "slices_per_s": 8.0,
    }
    unwatched = record(1, validation_loss=math.nan, validation_dice=math.nan, class_dice={"white matter": math.nan})
    assert set(scalars(unwatched)) == {"loss/training", "dice/training", "learning_rate", "slices_per_s"}


def test_a_picture_shows_scan_prediction_and_reference_side_by_side() -> None:
    classes = {"prediction": [[0, 1], [2, 8]], "reference": [[1, 0], [0, 2]]}
    maps = {name: np.array(values, dtype=np.int16) for name, values in classes.items()}
    pixels = np.array([[-50.0, 50.0], [50.0, -50.0]], dtype=np.float32)
    drawn = side_by_side(SampleSlice(0, 0, pixels, **maps))
    assert (drawn.shape, drawn.dtype) == ((2, 6, 3), np.uint8)

    def filled(number: int, scan: tuple[int, int, int]) -> list[int]:
        return [round((1 - OPACITY) * s + OPACITY * c) for s, c in zip(scan, rgb(COLOURS[number - 1]), strict=True)]

    assert drawn[:, :2].tolist() == [[list(BLACK), list(WHITE)], [list(WHITE), list(BLACK)]]
    assert drawn[:, 2:4].tolist() == [[list(BLACK), filled(1, WHITE)], [filled(2, WHITE), filled(1, BLACK)]]
    assert drawn[:, 4:].tolist() == [[filled(1, BLACK), list(WHITE)], [list(WHITE), filled(2, BLACK)]]


def test_an_even_slice_is_drawn_black_and_a_single_bright_voxel_leaves_the_rest_visible() -> None:
    nothing = np.zeros((20, 20), dtype=np.int16)
    even = side_by_side(SampleSlice(0, 0, np.full((20, 20), 3.0, np.float32), nothing, nothing))
    assert not even.any()
    pixels = np.tile(np.linspace(0, 1, 20, dtype=np.float32), (20, 1))
    pixels[0, 0] = 1e6
    assert side_by_side(SampleSlice(0, 0, pixels, nothing, nothing))[10, 10, 0] > 100


def read_events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()


def test_tensorboard_holds_every_epoch_and_image(tmp_path: Path) -> None:
    threads = threading.active_count()
    track("tensorboard", tmp_path, epochs=range(1, 4))
    assert threading.active_count() == threads  # nobody is left writing
    events = read_events(tmp_path / "tensorboard")
    assert set(events.Tags()["scalars"]) == set(scalars(record(1)))
    for name in scalars(record(1)):
        seen = {event.step: event.value for event in events.Scalars(name)}
        assert seen == {epoch: pytest.approx(scalars(record(epoch))[name]) for epoch in (1, 2, 3)}
    assert set(events.Tags()["images"]) == {"slices/IBSR_01, slice 7", "slices/IBSR_03, slice 7"}
    images = events.Images("slices/IBSR_03, slice 7")
    assert [(image.step, image.height, image.width) for image in images] == [(epoch, 4, 15) for epoch in (1, 2, 3)]
    assert np.array_equal(decoded(images[0].encoded_image_string), side_by_side(sample()))


def decoded(png: bytes) -> NDArray[Any]:
    from io import BytesIO

    from PIL import Image

    return np.asarray(Image.open(BytesIO(png)))


def test_tensorboard_shows_an_epoch_as_soon_as_it_has_ended(tmp_path: Path) -> None:
    with tracking("tensorboard", a_run(tmp_path), events=Silent()) as tracker:
        tracker.epoch_ended(record(1), [sample()])
        assert [event.step for event in read_events(tmp_path / "tensorboard").Scalars("loss/training")] == [1]


def test_tensorboard_goes_on_with_the_same_steps_and_forgets_what_is_repeated(tmp_path: Path) -> None:
    track("tensorboard", tmp_path, epochs=range(1, 4))
    track("tensorboard", tmp_path, epochs=range(3, 5))  # the third epoch's checkpoint was lost
    seen = read_events(tmp_path / "tensorboard").Scalars("loss/training")
    assert [event.step for event in seen] == [1, 2, 3, 4]


def read_steps(path: Path) -> list[dict[str, Any]]:
    """The history in a `.wandb` file: LevelDB's log format, with one protocol buffer per record."""
    from wandb.proto import wandb_internal_pb2

    content, place, steps, parts = path.read_bytes(), 7, [], b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:  # no record begins where its head does not fit
            place += left
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in {1, 4}:  # whole, or the last part
            entry = wandb_internal_pb2.Record.FromString(parts)
            parts = b""
            if entry.HasField("history"):
                steps.append(
                    {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in entry.history.item}
                )
    return steps


@pytest.mark.gate
def test_wandb_records_offline_goes_on_in_the_same_run_and_sends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {f"WANDB_{place}_DIR": str(tmp_path / "home") for place in ("CACHE", "CONFIG", "DATA")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    with socket.create_server(("127.0.0.1", 0)) as way_out:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            environment[name] = f"http://127.0.0.1:{way_out.getsockname()[1]}"
        process = subprocess.run(
            [sys.executable, __file__, folder], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        way_out.settimeout(0.1)
        with pytest.raises(TimeoutError):  # nobody called
            way_out.accept()
    assert (process.stdout, process.stderr, process.returncode) == ("", "", 0)
    first, second = sorted(folder.glob("wandb/offline-run-*"))
    earlier, later = (path for run in (first, second) for path in run.glob("*.wandb"))
    assert earlier.name == later.name  # the same id, therefore the same run
    steps = [*read_steps(earlier), *read_steps(later)]
    assert [step["_step"] for step in steps] == [1, 2, 3]
    for epoch, step in enumerate(steps, start=1):
        assert {name: step[name] for name in scalars(record(epoch))} == scalars(record(epoch))
        assert step["slices/IBSR_03, slice 7/width"] == 15
    assert len(list(first.glob("files/media/images/**/*.png"))) == 4


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], None),
        (["latest-run", "debug.log"], None),
        (["offline-run-20260101_120000-abc"], "abc"),
        (["run-20260103_120000-x-y", "offline-run-20260102_120000-old"], "x-y"),
    ],
)
def test_a_wandb_run_is_known_by_its_folder(tmp_path: Path, names: list[str], expected: str | None) -> None:
    for name in names:
        (tmp_path / "wandb" / name).mkdir(parents=True)
    assert monitor._earlier_id(tmp_path) == expected


@pytest.mark.parametrize(
    ("chosen", "mode", "reporting"),
    [(None, "offline", "false"), ("offline", "offline", "false"), ("online", "online", None)],
)
def test_wandb_stays_offline_and_silent_unless_the_user_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str | None, mode: str, reporting: str | None
) -> None:
    environment = {"WANDB_MODE": chosen} if chosen else {}
    monkeypatch.setattr(os, "environ", environment)
    asked: dict[str, Any] = {}

    def init(**arguments: Any) -> SimpleNamespace:
        asked.update(arguments)
        return SimpleNamespace(finish=lambda: None)

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Settings=dict))  # type: ignore[arg-type]
    with tracking("wandb", a_run(tmp_path), events=Silent()):
        pass
    assert (asked["mode"], environment.get("WANDB_ERROR_REPORTING")) == (mode, reporting)
    assert (asked["dir"], asked["project"], asked["name"]) == (tmp_path, "autoseg", "unet, fold 0")
    assert asked["config"] == {"seed": 3}


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_package_names_the_command_that_installs_it(
    kind: catalogue.Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}[kind], None)  # type: ignore[arg-type]
    with pytest.raises(
        UsageError, match=r"packages for --track are not installed; .* `pip install '\.\[tracking\]'"
    ) as failure:
        check_installed(kind)
    assert failure.value.exit_code == 2
    with pytest.raises(UsageError), tracking(kind, a_run(tmp_path), events=Silent()):
        pytest.fail("nothing to train")


def test_a_tracker_that_cannot_begin_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("in the way", encoding="utf-8")
    with (
        pytest.raises(WorkspaceError, match="tensorboard could not begin"),
        tracking("tensorboard", a_run(tmp_path), events=Silent()),
    ):
        pytest.fail("nothing to train")


def test_nobody_asked_means_nothing_written(tmp_path: Path) -> None:
    check_installed(None)
    with tracking(None, a_run(tmp_path), events=Silent()) as tracker:
        tracker.epoch_ended(record(1), [sample()])
    assert isinstance(tracker, Untracked)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [None, KeyboardInterrupt, WorkspaceError("full", remedy="Make room.")])
def test_a_tracker_is_closed_however_the_run_ends(spy: Callable[..., Spy], tmp_path: Path, ending: Any) -> None:
    inner = spy()

    def run() -> None:
        with tracking("tensorboard", a_run(tmp_path), events=Silent()):
            if ending is not None:
                raise ending

    if ending is None:
        run()
    else:
        with pytest.raises(ending if isinstance(ending, type) else type(ending)):
            run()
    assert inner.closed == 1


def test_a_tracker_that_breaks_is_closed_and_warned_about_once(spy: Callable[..., Spy], tmp_path: Path) -> None:
    inner, events = spy(breaks_in=2, breaks_at_the_end=True), Heard()
    with tracking("tensorboard", a_run(tmp_path), events=events) as tracker:
        for epoch in (1, 2, 3):
            tracker.epoch_ended(record(epoch), [])
    assert [epoch for epoch, _ in inner.seen] == [1]
    assert inner.closed == 1
    (warning,) = events.warnings
    assert "tensorboard failed" in warning
    assert "No space left on device" in warning


def test_a_tracker_that_breaks_at_the_end_is_warned_about(spy: Callable[..., Spy], tmp_path: Path) -> None:
    spy(breaks_at_the_end=True)
    events = Heard()
    with tracking("tensorboard", a_run(tmp_path), events=events):
        pass
    assert len(events.warnings) == 1


def test_an_interruption_inside_a_tracker_is_not_swallowed(spy: Callable[..., Spy], tmp_path: Path) -> None:
    inner = spy()

    def interrupted(record: EpochRecord, samples: Sequence[SampleSlice]) -> None:
        raise KeyboardInterrupt

    inner.epoch_ended = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt), tracking("tensorboard", a_run(tmp_path), events=Silent()) as tracker:
        tracker.epoch_ended(record(1), [])
    assert inner.closed == 1


def test_pictures_come_no_more_often_than_agreed(
    spy: Callable[..., Spy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, now_s = spy(), 100.0
    monkeypatch.setattr(monitor, "time", SimpleNamespace(monotonic=lambda: now_s))
    with tracking("tensorboard", a_run(tmp_path), events=Silent(), images_every_s=30.0) as tracker:
        for epoch, now_s in enumerate([100.0, 110.0, 129.0, 130.0, 159.0, 200.0], start=1):  # noqa: B007 - read above
            tracker.epoch_ended(record(epoch), [sample()])
    assert inner.seen == [(1, 1), (2, 0), (3, 0), (4, 1), (5, 0), (6, 1)]


def trained(plan: Plan, data: FoldData, folder: Path, *, tracker: Tracker, **choices: Any) -> RunState:
    config = TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32"} | choices)
    compute = Compute(torch.device("cpu"), bfloat16=False)
    return train(plan, config, data, context=RunContext(folder, compute, 0, Silent(), tracker=tracker))


def test_training_tells_its_tracker_every_epoch_with_its_samples(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path
) -> None:
    watched, unwatched = Spy(), Spy()
    trained(make_plan(), fold, tmp_path / "a", tracker=watched, epochs=3)
    trained(make_plan(), dataclasses.replace(fold, validation=[]), tmp_path / "b", tracker=unwatched, epochs=2)
    assert watched.seen == [(1, 1), (2, 1), (3, 1)]
    assert unwatched.seen == [(1, 0), (2, 0)]


def test_training_outlives_its_tracker_and_ends_the_same(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, spy: Callable[..., Spy]
) -> None:
    spy(breaks_in=1)
    events = Heard()
    with tracking("tensorboard", a_run(tmp_path), events=events) as tracker:
        broken = trained(make_plan(), fold, tmp_path / "broken", tracker=tracker, epochs=3)
    untracked = trained(make_plan(), fold, tmp_path / "untracked", tracker=Untracked(), epochs=3)
    assert len(events.warnings) == 1
    assert [epoch.training_loss for epoch in broken.epochs] == [epoch.training_loss for epoch in untracked.epochs]
    assert len(read_history(tmp_path / "broken" / "history.csv")) == 3


class _Stopped(Spy):
    """Ctrl-C while the first epoch is being told."""

    def epoch_ended(self, record: EpochRecord, samples: Sequence[SampleSlice]) -> None:
        raise KeyboardInterrupt


def test_a_resumed_run_goes_on_counting(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(make_plan(), fold, tmp_path, tracker=_Stopped(), epochs=3)
    rest = Spy()
    trained(make_plan(), fold, tmp_path, tracker=rest, epochs=3)
    assert [epoch for epoch, _ in rest.seen] == [2, 3]


def test_a_missing_package_is_noticed_before_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoseg.commands.train import TrainOptions, run

    monkeypatch.setitem(sys.modules, "wandb", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="pip install"):  # not that there is no plan
        run(TrainOptions(architecture="unet", workspace=tmp_path / "nowhere", track="wandb"), Silent())


@pytest.fixture
def workspace(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A planned workspace."""
    from autoseg.commands.plan import PlanOptions
    from autoseg.commands.plan import run as plan

    monkeypatch.chdir(tmp_path)
    return plan(PlanOptions(cohort, jobs=1), Silent()).workspace.root


def test_the_command_tracks_and_a_repeated_one_goes_on(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoseg.commands.train import TrainOptions
    from autoseg.commands.train import run as train_command

    runs: list[TrackedRun] = []
    spies = [_Stopped(), Spy()]

    def begin(_package: Any, run: TrackedRun) -> Spy:
        runs.append(run)
        return spies[len(runs) - 1]

    monkeypatch.setitem(TRACKERS, "wandb", TrackerKind(lambda: None, begin))
    command = TrainOptions(architecture="unet", workspace=workspace, epochs=2, precision="float32", track="wandb")
    with pytest.raises(KeyboardInterrupt):
        train_command(command, Silent())
    train_command(command, Silent())
    assert [run.epochs for run in runs] == [0, 1]
    assert [spy.closed for spy in spies] == [1, 1]
    assert runs[0].folder == workspace / "models" / "unet" / "fold_0"
    assert runs[0].settings["run"]["epochs"] == 2
    assert "track" not in runs[0].settings["run"]
    assert spies[1].seen == [(2, len(runs[0].cases))]


if __name__ == "__main__":  # in a process of its own, because wandb calls home when its process ends
    for part in (range(1, 3), range(3, 4)):
        track("wandb", Path(sys.argv[1]), epochs=part)
