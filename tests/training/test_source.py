"""Runs as on a GPU, tried on the CPU: batches made on the device, steps recorded, batches that the memory does not hold."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
import torch
from oracles.heard import Heard

from autoseg.errors import TrainingError
from autoseg.events import Progress, Silent
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.model.recording import TensorFunction
from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.device_batches import uncut_bytes
from autoseg.training.halving import with_halved_batches
from autoseg.training.learner import Forward, Learner
from autoseg.training.loop import train
from autoseg.training.run_state import BatchPlace, RunState, read_state
from autoseg.training.source import _place

MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)


class _Recorder:
    """Replays by calling the function again, with all that it changes besides."""

    recorded = 0

    def warm_up(self, function: TensorFunction, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return function(*inputs)

    def record(
        self, function: TensorFunction, inputs: Sequence[torch.Tensor]
    ) -> tuple[Callable[[], None], tuple[torch.Tensor, ...]]:
        _Recorder.recorded += 1
        results: list[torch.Tensor] = []

        def replay() -> None:
            results[:] = function(*inputs)

        return replay, cast("tuple[torch.Tensor, ...]", results)  # places that stay, while what is in them changes


class _Interrupted(Silent):
    """Interrupts training in its fifth step, the second one of its second epoch."""

    steps = 0

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        yield self

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self.steps += "lr" in fields
        if self.steps == 5:
            raise KeyboardInterrupt


def run(
    plan: Plan, fold: FoldData, folder: Path, *, batches: BatchPlace | None = "device", events: Silent | None = None
) -> RunState:
    config = TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32", "epochs": 3})
    return train(plan, config, fold, context=RunContext(folder, CPU, 0, events or Silent(), batches=batches))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_bundle(folder).network.state_dict())


def same(first: Path, second: Path) -> bool:
    one, other = weights(first), weights(second)
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_on_batches_of_the_device_repeats_and_resumes_bit_by_bit(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path
) -> None:
    whole, again, parts, host = (tmp_path / name for name in ("whole", "again", "parts", "host"))
    assert run(make_plan(), fold, whole).batches == "device"
    run(make_plan(), fold, again)
    with pytest.raises(KeyboardInterrupt):
        run(make_plan(), fold, parts, events=_Interrupted())
    assert run(make_plan(), fold, parts, batches=None).batches == "device"  # as it was begun, whatever suits best now
    assert same(whole, again)
    assert same(whole, parts)
    assert run(make_plan(), fold, host, batches=None).batches == "host"
    assert not same(whole, host)


def test_recorded_steps_are_the_steps(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(training={"steps_per_epoch": 4})
    run(plan, fold, tmp_path / "plain")
    monkeypatch.setattr(Compute, "recorder", lambda _: _Recorder())
    before = _Recorder.recorded
    run(plan, fold, tmp_path / "recorded")
    assert _Recorder.recorded == before + 2  # making batches, and learning from them
    assert same(tmp_path / "plain", tmp_path / "recorded")


def test_where_steps_cannot_be_recorded_the_run_says_so_and_is_the_same(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        msg = "operation not permitted when stream is capturing"
        raise RuntimeError(msg)

    run(make_plan(), fold, tmp_path / "plain")
    monkeypatch.setattr(Compute, "recorder", lambda _: _Recorder())
    monkeypatch.setattr(_Recorder, "record", fails)
    heard = Heard()
    run(make_plan(), fold, tmp_path / "not_recorded", events=heard)
    assert [text for text in heard.infos if "cannot be recorded (operation not permitted" in text]
    assert same(tmp_path / "plain", tmp_path / "not_recorded")


# A device whose memory is too small.


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Pretends that the device holds steps on so many slices, and not on more."""

    def pretend(most: int) -> None:
        levels_of = Learner._levels_of

        def limited(learner: Learner, images: torch.Tensor, target: torch.Tensor, *, forward: Forward) -> list[torch.Tensor]:
            if len(images) > most:
                raise torch.OutOfMemoryError
            return levels_of(learner, images, target, forward=forward)

        monkeypatch.setattr(Learner, "_levels_of", limited)
        monkeypatch.setattr(Compute, "free_bytes", lambda _: 10**9)

    return pretend


@pytest.mark.parametrize("place", ["host", "device"])
def test_a_batch_that_the_memory_does_not_hold_is_halved_before_the_first_step(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, small_memory: Callable[[int], None], place: BatchPlace
) -> None:
    plan, heard = make_plan(view={"batch_size": 12}), Heard()
    small_memory(4)
    with pytest.raises(KeyboardInterrupt):
        run(plan, fold, tmp_path, batches=place, events=_Interrupted())
    assert (read_state(tmp_path) or RunState.model_construct()).halvings == 2
    state = run(plan, fold, tmp_path, batches=place, events=heard)
    assert (state.halvings, state.finished) == (2, True)  # as it was begun
    assert not any("memory" in text for text in heard.warnings)
    assert state.plan_digest == plan.digest
    run(plan, fold, tmp_path / "whole", batches=place, events=heard)
    assert any("does not hold a step on 12 slices, as planned; this run takes 3" in text for text in heard.warnings)
    assert same(tmp_path, tmp_path / "whole")
    with (tmp_path / "steps.csv").open(newline="", encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 9


def test_where_not_even_two_slices_fit_the_memory_is_too_small(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, small_memory: Callable[[int], None]
) -> None:
    small_memory(1)
    with pytest.raises(torch.OutOfMemoryError):  # which the command explains
        run(make_plan(), fold, tmp_path)


def test_trying_a_step_changes_nothing_of_the_network(make_plan: MakePlan, small_memory: Callable[[int], None]) -> None:
    plan = make_plan()
    learner = Learner(plan, architecture="unet", compute=CPU)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    assert learner.fits_into_memory(plan.views[0])
    small_memory(3)
    assert not learner.fits_into_memory(plan.views[0])
    assert all(torch.equal(value, before[name]) for name, value in learner.network.state_dict().items())
    assert all(weight.grad is None for weight in learner.network.parameters())


def test_halved_batches_have_two_slices_at_least(make_plan: MakePlan) -> None:
    plan = make_plan(views=[{"plane": "axial", "batch_size": 12}, {"plane": "coronal", "batch_size": 1}])
    sizes = [[view.batch_size for view in with_halved_batches(plan, times).views] for times in range(5)]
    assert sizes == [[12, 1], [6, 1], [3, 1], [2, 1], [2, 1]]


def test_augmentations_of_ones_own_keep_batches_on_the_host(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    gpu, heard = Compute(torch.device("cuda"), bfloat16=True), Heard()
    context = RunContext(tmp_path, gpu, 0, heard)
    plan = make_plan()
    assert _place(plan, fold.training, context, title="unet") == "device"
    own = plan.model_copy(update={"augmentation": plan.augmentation.model_copy(update={"additional": ("mine",)})})
    assert _place(own, fold.training, context, title="unet") == "host"
    assert heard.infos == ["unet: the host makes its batches, because augmentations of one's own work there (mine)"]


def test_slices_far_larger_than_patches_are_cut_on_the_host(
    make_plan: MakePlan, make_case: Callable[..., StoredCase], tmp_path: Path
) -> None:
    heard = Heard()
    context = RunContext(tmp_path, Compute(torch.device("cuda"), bfloat16=True), 0, heard)
    sizes = [("tall", (1000, 1200)), ("wide", (800, 2000))]
    cases = [(name, make_case(0, slices=1, shape=shape)) for name, shape in sizes]
    needed = 4 * 1000 * 2000 * (4 + 2)  # four slices of one channel and labels, each as large as what holds all
    assert uncut_bytes(cases, make_plan()) == needed
    for memory_gb, place in ((12.001 * needed / 1e9, "device"), (11.999 * needed / 1e9, "host")):
        assert _place(make_plan(inputs={"memory_gb": memory_gb}), cases, context, title="unet") == place
    (told,) = heard.infos
    assert told.startswith("unet: the host makes its batches, because the largest slices")


def test_a_broken_loss_on_batches_of_the_device_is_named(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    fold.training[0][1].stack(0).image[:] = float("nan")
    with pytest.raises(TrainingError, match="case0 slice"):
        run(make_plan(augmentation={"intensity_probability": 0.0}), fold, tmp_path)


@pytest.mark.parametrize(("side", "place"), [(30, "device"), (60, "host")])
def test_a_few_slices_that_are_far_larger_are_left_to_the_host(
    make_plan: MakePlan, make_case: Callable[..., StoredCase], tmp_path: Path, side: int, place: BatchPlace
) -> None:
    context = RunContext(tmp_path, Compute(torch.device("cuda"), bfloat16=False), 0, Silent())
    cases = [("usual", make_case(0, slices=9, shape=(20, 20))), ("large", make_case(1, slices=1, shape=(side, side)))]
    assert _place(make_plan(inputs={"memory_gb": 8.0}), cases, context, title="unet") == place
