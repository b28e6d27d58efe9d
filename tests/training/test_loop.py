import csv
import dataclasses
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracles.heard import Heard
from oracles.stopping import StopAfter

from autoseg.errors import BundleError, TrainingError, WorkspaceError
from autoseg.events import Progress, Silent
from autoseg.inference.ensemble import load_ensemble
from autoseg.jobs.machine import processor_name
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.model.description import Hardware
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.preprocessing.stored import StoredCase
from autoseg.preprocessing.views import axis_order
from autoseg.training.batches import SliceBatches, TrainingBatch
from autoseg.training.clock import Stopwatch
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.first_steps import MEASURED_STEPS
from autoseg.training.history import EpochRecord, StepRecord, read_history, read_steps
from autoseg.training.loop import train
from autoseg.training.run_state import RunState, read_state
from autoseg.training.unread import UnreadSteps

MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)


def config(**choices: Any) -> TrainConfig:
    return TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32"} | choices)


def run(plan: Plan, fold: FoldData, folder: Path, *, workers: int = 0, **choices: Any) -> RunState:
    return train(plan, config(**choices), fold, context=RunContext(folder, CPU, workers, Silent()))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_bundle(folder).network.state_dict())


def same(first: Path, second: Path) -> bool:
    one, other = weights(first), weights(second)
    return all(torch.equal(one[name], other[name]) for name in one)


def losses(folder: Path) -> list[float]:
    return [step.loss for step in read_steps(folder / "steps.csv")]


def test_a_network_of_one_view_learns_as_under_a_plan_of_that_view(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path
) -> None:
    views = [{}, {"plane": "coronal", "patch_px": [8, 12], "adjacent_slices": 1}]
    plan = make_plan(views=views, network={"shared_by_views": False})
    alone = make_plan(views=views[1:], network={"shared_by_views": False})

    def turned(cases: Sequence[tuple[str, StoredCase]]) -> list[tuple[str, StoredCase]]:
        order = axis_order(plan.views[0], plan.views[1])
        return [(name, StoredCase((case.stack(0), case.stack(0).turned(order)))) for name, case in cases]

    both = FoldData(fold.keys, turned(fold.training), turned(fold.validation))
    state = run(plan, both, tmp_path / "a", view="coronal")
    expected = run(alone, both.of_view("coronal", planes=plan.planes), tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert [epoch.validation_loss for epoch in state.epochs] == [epoch.validation_loss for epoch in expected.epochs]
    assert same(tmp_path / "a", tmp_path / "b")
    document = load_bundle(tmp_path / "a").document
    assert (document.id.folder, document.plan, document.seen.views) == ("unet/fold_0/coronal", plan, alone.views)
    with pytest.raises(WorkspaceError, match=r"view \('coronal' before, 'axial' now\)"):
        run(plan, both, tmp_path / "a", view="axial")


def test_training_learns_and_leaves_everything_behind(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    state = run(make_plan(), fold, tmp_path, epochs=12)
    assert state.finished
    assert state.epochs[-1].validation_loss < state.epochs[0].validation_loss
    assert state.epochs[-1].validation_dice > 0.8
    assert len(read_history(tmp_path / "history.csv")) == 12
    with (tmp_path / "steps.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in rows] == list(range(1, 37))
    assert float(rows[-1]["learning_rate"]) < float(rows[10]["learning_rate"])
    bundle = load_bundle(tmp_path)
    assert bundle.document.provenance.epochs == 12
    assert bundle.document.provenance.validation_cases == ("held-out",)
    assert bundle.document.provenance.hardware == Hardware(processor=processor_name(), threads=1)
    assert not list(tmp_path.glob(".*"))


def test_the_same_seed_gives_the_same_bits_with_any_number_of_workers(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path
) -> None:
    run(make_plan(), fold, tmp_path / "a")
    run(make_plan(), fold, tmp_path / "b", workers=2)
    run(make_plan(), fold, tmp_path / "c", seed=1)
    assert same(tmp_path / "a", tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


REGIONS = {
    "data": {
        "classes": [
            {"value": 0, "name": "background"},
            {"value": 2, "name": "disc", "values": [2, 5], "order": 0},
            {"value": 5, "name": "hole", "values": [5], "order": 1},
        ]
    },
    "training": {"class_weights": [1.0, 2.0, 5.0]},
}


MATRICES = {"network": {"features": [16, 32]}, "training": {"optimiser": "muon"}}


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [("unet", {}), ("sepres", {}), ("attention", {}), ("unet", REGIONS), ("unet", MATRICES), ("attention", MATRICES)],
)
def test_an_interrupted_run_ends_with_the_same_bits(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, architecture: str, changes: dict[str, dict[str, Any]]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    uninterrupted = run(make_plan(**changes), fold, whole, epochs=3, architecture=architecture)
    for steps in (2, 4, 5):
        with pytest.raises(KeyboardInterrupt):
            train(
                make_plan(**changes),
                config(epochs=3, architecture=architecture),
                fold,
                context=RunContext(parts, CPU, 0, StopAfter(steps)),
            )
    resumed = run(make_plan(**changes), fold, parts, epochs=3, architecture=architecture)
    assert same(whole, parts)
    assert losses(parts) == losses(whole)
    assert [epoch.validation_loss for epoch in resumed.epochs] == [e.validation_loss for e in uninterrupted.epochs]


@pytest.mark.parametrize("workers", [0, 2])
def test_interruptions_at_random_batches_leave_no_trace(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, workers: int
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    uninterrupted = run(make_plan(), fold, whole, epochs=6)
    dice, interruptions = random.Random(workers), 0  # noqa: S311
    while interruptions < 12:
        context = RunContext(parts, CPU, workers, StopAfter(dice.randint(1, 5)))
        with pytest.raises(KeyboardInterrupt):  # an epoch has three batches: in the first, in a later one, after the last
            train(make_plan(), config(epochs=6), fold, context=context)
        interruptions += 1
        if len((read_state(parts) or uninterrupted).epochs) == 5:
            break
    resumed = run(make_plan(), fold, parts, epochs=6, workers=2 - workers)
    assert interruptions >= 5
    assert same(whole, parts)
    assert losses(parts) == losses(whole)
    unchanging = {"exclude": {"seconds", "slices_per_s"}}
    assert [epoch.model_dump(**unchanging) for epoch in resumed.epochs] == [
        epoch.model_dump(**unchanging) for epoch in uninterrupted.epochs
    ]
    probabilities = [
        load_ensemble([folder], compute=CPU, mirror=True).passes[0].probabilities(held_out(fold), darkest=())
        for folder in (whole, parts)
    ]
    np.testing.assert_array_equal(*probabilities)


def held_out(fold: FoldData) -> NDArray[np.float32]:
    return np.asarray(fold.validation[0][1].stack(0).image)


def test_rules_with_a_memory_resume_where_they_were(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    plateau = {"schedule": "plateau", "lr_patience": 1, "learning_rate": 0.5, "best_model": "validation_loss"}
    plan = make_plan(training=plateau)
    run(plan, fold, tmp_path / "whole", epochs=15)
    with pytest.raises(KeyboardInterrupt):
        train(plan, config(epochs=15), fold, context=RunContext(tmp_path / "parts", CPU, 0, StopAfter(35)))
    run(plan, fold, tmp_path / "parts", epochs=15)
    rates, uninterrupted = (
        [step.learning_rate for step in read_steps(tmp_path / name / "steps.csv")] for name in ("parts", "whole")
    )
    assert rates == uninterrupted
    assert len(set(rates)) > 1
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_another_configuration_plan_or_data_is_refused_and_named(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path
) -> None:
    run(make_plan(), fold, tmp_path, epochs=1)
    with pytest.raises(WorkspaceError, match=r"seed \(0 before, 5 now\).*--restart"):
        run(make_plan(), fold, tmp_path, epochs=1, seed=5)
    with pytest.raises(WorkspaceError, match=r"plan\.json"):
        run(make_plan(training={"learning_rate": 0.5}), fold, tmp_path, epochs=1)
    with pytest.raises(WorkspaceError, match="training data"):
        run(make_plan(), dataclasses.replace(fold, keys=DataKeys(all_labelled="other")), tmp_path, epochs=1)


def test_data_that_changed_are_refused_case_by_case(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    ids = [case for case, _ in (*fold.training, *fold.validation)]
    keys = DataKeys(cases=dict.fromkeys(ids, "1"), all_labelled="x")
    run(make_plan(), dataclasses.replace(fold, keys=keys), tmp_path, epochs=1)
    more = DataKeys(cases={**keys.cases, "new": "2"}, all_labelled="y")
    assert run(make_plan(), dataclasses.replace(fold, keys=more), tmp_path, epochs=1).finished
    changed = DataKeys(cases={**keys.cases, ids[0]: "2", ids[-1]: "2"}, all_labelled="x")
    with pytest.raises(WorkspaceError, match=f"the data of {', '.join(sorted((ids[0], ids[-1])))}"):
        run(make_plan(), dataclasses.replace(fold, keys=changed), tmp_path, epochs=1)


def test_a_time_budget_is_kept_and_the_learning_rate_comes_down(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    readings = count()
    stopwatch = Stopwatch(started=0.0, now=lambda: next(readings) / 100)  # each look at the clock takes a hundredth
    context = RunContext(tmp_path, CPU, 0, Silent(), stopwatch)
    state = train(make_plan(training={"epochs": None, "minutes": 60}), config(minutes=0.05), fold, context=context)
    assert state.finished
    assert 2.0 < state.epochs[-1].seconds <= 3.0
    rates = [step.learning_rate for step in read_steps(tmp_path / "steps.csv")]
    assert rates[-1] < 0.1 * max(rates)


def test_early_stopping_ends_a_run(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    plan = make_plan(training={"early_stopping_patience": 2, "learning_rate": 1e-12, "best_model": "validation_loss"})
    state = run(plan, fold, tmp_path, epochs=50)
    assert len(state.epochs) < 50


def test_the_model_is_that_of_the_best_epoch(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    plan = make_plan(training={"learning_rate": 0.3, "best_model": "validation_loss", "warmup_fraction": 0.0})
    state = run(plan, fold, tmp_path, epochs=6)
    best = min(range(6), key=lambda index: state.epochs[index].validation_loss)
    assert load_bundle(tmp_path).document.provenance.epochs == best + 1


def test_nothing_held_out_means_that_training_itself_is_watched(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    state = run(make_plan(), FoldData(DataKeys(all_labelled="tiny"), fold.training, []), tmp_path)
    assert math.isnan(state.epochs[-1].validation_loss)
    stored = read_state(tmp_path)
    assert stored is not None
    assert math.isnan(stored.epochs[-1].validation_dice)


def test_a_loss_that_is_not_finite_names_cases_and_slices(
    make_plan: MakePlan, make_case: Callable[..., StoredCase], tmp_path: Path
) -> None:
    case = make_case(0)
    case.stack(0).image[:] = np.nan
    with pytest.raises(TrainingError, match=r"broken slice \d") as failure:
        run(make_plan(), FoldData(DataKeys(all_labelled="tiny"), [("broken", case)], []), tmp_path)
    assert failure.value.exit_code == 8


@pytest.mark.parametrize("place", [0, 24, 44])
def test_the_first_bad_batch_is_named_though_losses_are_read_later(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    made, broken = SliceBatches.__getitem__, []

    def batch(batches: SliceBatches, address: tuple[int, int]) -> TrainingBatch:
        found = made(batches, address)
        if address == (1, place):
            found.images[0, 0, 0, 0] = math.inf
            broken.extend(f"{case} slice {number}" for case, number in found.sources)
        return found

    monkeypatch.setattr(SliceBatches, "__getitem__", batch)
    with pytest.raises(TrainingError) as failure:
        run(make_plan(training={"steps_per_epoch": 45}), fold, tmp_path, epochs=3)
    assert f"the loss became nan in step {46 + place}, on: {', '.join(broken)}" in str(failure.value)
    state = read_state(tmp_path)
    assert state is not None
    assert (len(state.epochs), state.steps_taken, len(losses(tmp_path))) == (1, 45, 45)
    assert load_bundle(tmp_path).document.provenance.epochs == 1
    assert all(bool(tensor.isfinite().all()) for tensor in weights(tmp_path).values())


def test_losses_are_read_every_twentieth_step_once_the_first_ones_were_timed(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, together = UnreadSteps.read, []

    def counted(unread: UnreadSteps) -> list[StepRecord]:
        steps = read(unread)
        together.append(len(steps))
        return steps

    monkeypatch.setattr(UnreadSteps, "read", counted)
    run(make_plan(training={"steps_per_epoch": 55}), fold, tmp_path, epochs=2)
    assert together == [1] * MEASURED_STEPS + [20, 20, 5] + [20, 20, 15]
    assert len(losses(tmp_path)) == 110


def test_steps_that_are_lost_are_said_to_be(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    told = _Told()
    with pytest.raises(KeyboardInterrupt):
        train(make_plan(), config(epochs=3), fold, context=RunContext(tmp_path, CPU, 0, StopAfter(5)))
    (tmp_path / "steps.csv").unlink()
    train(make_plan(), config(epochs=3), fold, context=RunContext(tmp_path, CPU, 0, told))
    assert any("steps.csv has 0 of the 3 steps so far" in line for line in told.warnings)
    assert [step.step for step in read_steps(tmp_path / "steps.csv")] == list(range(4, 10))


@pytest.mark.parametrize("stem", ["plain", "space_to_depth"])
def test_a_run_begins_at_half_resolution_and_resumes_where_it_was(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, stem: str
) -> None:
    shape: dict[str, Any] = {"network": {"features": [2, 4, 4], "stem": stem}, "view": {"patch_px": [16, 12]}}
    plan = make_plan(training={"half_resolution_fraction": 0.5}, **shape)
    whole = run(plan, fold, tmp_path / "whole", epochs=3)
    assert (whole.steps_taken, whole.half_resolution_steps) == (9, 5)  # steps 1 to 5 began before half of 9 were done
    for steps in (4, 4):
        with pytest.raises(KeyboardInterrupt):
            train(plan, config(epochs=3), fold, context=RunContext(tmp_path / "parts", CPU, 0, StopAfter(steps)))
    parts = run(plan, fold, tmp_path / "parts", epochs=3)
    assert parts.half_resolution_steps == 5
    assert same(tmp_path / "whole", tmp_path / "parts")
    run(make_plan(**shape), fold, tmp_path / "full", epochs=3)
    assert not same(tmp_path / "whole", tmp_path / "full")


def test_every_epoch_is_reported(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    seen: list[int] = []

    def note(epochs: "list[EpochRecord]") -> None:
        seen.append(len(epochs))

    train(make_plan(), config(), fold, context=RunContext(tmp_path, CPU, 0, Silent(), on_epoch=note))
    assert seen == [1, 2]


def test_a_changed_checkpoint_is_noticed(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    run(make_plan(), fold, tmp_path, epochs=1)
    for path in tmp_path.glob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    with pytest.raises(BundleError, match="changed"):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match="changed"):
        run(make_plan(), fold, tmp_path, epochs=1)


def test_held_out_cases_without_a_single_label_are_said_and_do_not_end_a_run(
    make_plan: MakePlan, fold: FoldData, make_case: Callable[..., StoredCase], tmp_path: Path
) -> None:
    case = make_case(9)
    case.stack(0).label[:] = 2
    data = dataclasses.replace(fold, validation=[("held-out", case)])
    told, plan = _Told(), make_plan(data={"ignore": 255}, training={"best_model": "validation_loss"})
    state = train(plan, config(), data, context=RunContext(tmp_path, CPU, 0, told))
    assert state.finished
    assert [epoch.validation_slices for epoch in state.epochs] == [0, 0]
    assert [warning for warning in told.warnings if "has a label" in warning] == [
        "unet, fold 0: no voxel of its held-out cases has a label; its training is watched instead"
    ]


@pytest.mark.parametrize("watched", [True, False], ids=["held out", "nothing held out"])
def test_weights_that_break_in_an_epochs_last_step_do_not_become_the_model(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    steps = torch.optim.AdamW.step
    taken = 0

    def step(optimiser: torch.optim.AdamW) -> None:
        nonlocal taken
        taken += 1
        steps(optimiser)
        if taken == 6:
            with torch.no_grad():
                optimiser.param_groups[0]["params"][0].fill_(math.nan)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    data = fold if watched else FoldData(DataKeys(all_labelled="tiny"), fold.training, [])
    with pytest.raises(TrainingError, match="after epoch 2"):
        run(make_plan(), data, tmp_path, epochs=4)
    assert load_bundle(tmp_path).document.provenance.epochs == 1
    assert all(bool(tensor.isfinite().all()) for tensor in weights(tmp_path).values())


class _Told(Heard):
    """Keeps what a run says, and what its bars are called."""

    def __init__(self) -> None:
        super().__init__()
        self.tracks: list[str] = []

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        self.tracks.append(label)
        with super().track(label, total=total, unit=unit) as progress:
            yield progress


@pytest.fixture
def threads() -> Iterator[int]:
    """Two threads, whatever the machine has; given back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def clocked(folder: Path, events: Silent, *, slow: dict[int, float]) -> RunContext:
    """A clock on which a look takes as long as the number of threads says."""
    elapsed_s = 0.0

    def now() -> float:
        nonlocal elapsed_s
        elapsed_s += slow[torch.get_num_threads()]
        return elapsed_s

    return RunContext(folder, CPU, 0, events, Stopwatch(started=0.0, now=now))


@pytest.mark.parametrize(("slow", "chosen"), [({1: 0.01, 2: 0.05}, 1), ({1: 0.05, 2: 0.01}, 2)])
@pytest.mark.usefixtures("threads")
def test_a_run_measured_in_minutes_takes_the_faster_number_of_threads_and_keeps_it(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, slow: dict[int, float], chosen: int
) -> None:
    told, plan = _Told(), make_plan(training={"epochs": None, "minutes": 60, "steps_per_epoch": 12})
    state = train(plan, config(minutes=0.2), fold, context=clocked(tmp_path, told, slow=slow))
    assert (state.threads, torch.get_num_threads()) == (chosen, chosen)
    [pace] = [line for line in told.infos if "slices/s" in line]
    assert f" slices/s on {chosen} thread" in pace
    assert "epochs of 12 steps fit into 12 s; 84 are recommended" in pace
    assert "scoring 1 held-out case then takes at least" in pace


@pytest.mark.usefixtures("threads")
def test_a_run_measured_in_epochs_takes_all_threads_or_those_asked_for(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path
) -> None:
    told, plan = _Told(), make_plan(training={"steps_per_epoch": 6})
    state = train(plan, config(epochs=2), fold, context=RunContext(tmp_path / "all", CPU, 0, told))
    assert state.threads == 2
    assert any("on 2 threads; 2 epochs will take about" in line for line in told.infos)
    asked = train(plan, config(epochs=2, threads=1), fold, context=RunContext(tmp_path / "one", CPU, 0, told))
    assert (asked.threads, torch.get_num_threads()) == (1, 1)


@pytest.mark.usefixtures("threads")
def test_threads_and_memory_format_are_kept_when_a_run_goes_on(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    last = Compute(torch.device("cpu"), bfloat16=False, layout="channels_last")
    with pytest.raises(KeyboardInterrupt):
        train(make_plan(), config(epochs=3), fold, context=RunContext(tmp_path, last, 0, StopAfter(5)))
    torch.set_num_threads(1)
    state = run(make_plan(), fold, tmp_path, epochs=3)
    assert (state.threads, state.memory_format, torch.get_num_threads()) == (2, "channels_last", 2)
    with pytest.raises(WorkspaceError, match=r"threads \(None before, 1 now\)"):
        run(make_plan(), fold, tmp_path, epochs=3, threads=1)


def by_strides(folder: Path, events: Silent, *, slow: dict[bool, float]) -> RunContext:
    """A clock on which a look takes as long as the order of the last batch in memory says."""
    elapsed_s, last = 0.0, False

    def now() -> float:
        nonlocal elapsed_s
        elapsed_s += slow[last]
        return elapsed_s

    class Noticing(Compute):
        def tensor(self, images: torch.Tensor) -> torch.Tensor:
            nonlocal last
            moved = super().tensor(images)
            last = moved.is_contiguous(memory_format=torch.channels_last)
            return moved

    return RunContext(folder, Noticing(torch.device("cpu"), bfloat16=False), 0, events, Stopwatch(started=0.0, now=now))


@pytest.mark.parametrize(
    ("slow", "chosen"), [({True: 0.01, False: 0.05}, "channels_last"), ({True: 0.05, False: 0.01}, "contiguous")]
)
def test_a_run_measured_in_minutes_takes_the_faster_memory_format_and_keeps_it(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, slow: dict[bool, float], chosen: str
) -> None:
    told, plan = _Told(), make_plan(view={"adjacent_slices": 1}, training={"epochs": None, "minutes": 60})
    state = train(plan, config(minutes=0.2), fold, context=by_strides(tmp_path, told, slow=slow))
    assert state.memory_format == chosen
    [pace] = [line for line in told.infos if "slices/s" in line]
    assert f"1 thread, {chosen.replace('_', ' ')} (" in pace
    stored = read_state(tmp_path)
    assert stored is not None
    assert stored.memory_format == chosen


@pytest.mark.parametrize("faster", ["contiguous", "channels_last"])
def test_views_of_different_sizes_do_not_decide_how_a_run_computes(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, faster: str
) -> None:
    views = [{"adjacent_slices": 1}, {"plane": "coronal", "patch_px": [8, 8], "adjacent_slices": 1}]
    plan = make_plan(views=views, training={"epochs": None, "minutes": 60, "steps_per_epoch": 30})
    order = axis_order(plan.views[0], plan.views[1])
    training = [(name, StoredCase((case.stack(0), case.stack(0).turned(order)))) for name, case in fold.training]
    elapsed_s = 0.0

    class Noticing(Compute):
        def tensor(self, images: torch.Tensor) -> torch.Tensor:
            nonlocal elapsed_s
            moved = super().tensor(images)
            found = "channels_last" if moved.is_contiguous(memory_format=torch.channels_last) else "contiguous"
            elapsed_s += 1e-4 * moved[:, 0].numel() * (1.0 if found == faster else 1.2)
            return moved

    compute = Noticing(torch.device("cpu"), bfloat16=False)
    context = RunContext(tmp_path, compute, 0, Silent(), Stopwatch(started=0.0, now=lambda: elapsed_s))
    assert train(plan, config(minutes=0.02), FoldData(fold.keys, training, []), context=context).memory_format == faster


def test_a_memory_format_is_taken_as_asked_and_refused_where_the_run_has_another(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path
) -> None:
    assert run(make_plan(), fold, tmp_path / "rule").memory_format == "contiguous"
    asked = run(make_plan(), fold, tmp_path / "asked", memory_format="channels_last")
    assert asked.memory_format == "channels_last"
    with pytest.raises(WorkspaceError, match=r"memory_format \('channels_last' before, None now\)"):
        run(make_plan(), fold, tmp_path / "asked")


def test_a_run_that_was_too_short_says_so_in_one_line(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    told = _Told()
    train(make_plan(), config(epochs=1), fold, context=RunContext(tmp_path, CPU, 0, told))
    [line] = told.warnings
    assert line.startswith("unet, fold 0 is probably far from converged: ")
    assert "it took only 3 steps" in line
    assert line.endswith("Train it further, with --continue and a number of --epochs or --minutes")
    assert "\n" not in line


def test_the_slices_of_a_validation_are_recorded(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    state = run(make_plan(), fold, tmp_path, epochs=2)
    slices = len(fold.validation[0][1].stack(0).label)
    assert [epoch.validation_slices for epoch in state.epochs] == [slices] * 2
    assert [row["validation_slices"] for row in read_history(tmp_path / "history.csv")] == [slices] * 2


def test_a_validation_that_takes_a_while_has_a_bar_of_its_own(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _Told()
    train(make_plan(), config(epochs=1), fold, context=RunContext(tmp_path / "short", CPU, 0, told))
    assert told.tracks == ["unet, fold 0"]
    monkeypatch.setattr("autoseg.training.watch.WORTH_A_BAR_S", 0.0)
    train(make_plan(), config(epochs=2), fold, context=RunContext(tmp_path / "long", CPU, 0, told))
    assert told.tracks[2:] == ["unet, fold 0: validating"] * 2
