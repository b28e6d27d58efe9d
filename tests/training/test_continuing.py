"""A finished run that is trained further: what goes on, what begins again, and that one run or the other is there whole."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from oracles.stopping import StopAfter

from autoseg.events import Silent
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.model.description import read_document
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.preprocessing.stored import StoredCase
from autoseg.storage import files
from autoseg.training import continuing
from autoseg.training.checkpoint import read_checkpoint
from autoseg.training.clock import Stopwatch
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.history import EpochRecord, read_history, read_steps
from autoseg.training.loop import train
from autoseg.training.run_state import CONTINUED_FOLDER, HELD_OUT_FOLDER, RunState, read_state, run_folder
from autoseg.training.validation import ValidationResult
from autoseg.training.watch import Watch

MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)


def config(**choices: Any) -> TrainConfig:
    return TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32"} | choices)


def run(plan: Plan, fold: FoldData, folder: Path, *, epochs: int | None = None, **context: Any) -> RunState:
    return train(plan, config(epochs=epochs), fold, context=RunContext(folder, CPU, 0, Silent(), **context))


def train_further(plan: Plan, fold: FoldData, model: Path, *, epochs: int = 2, **context: Any) -> RunState:
    """Begin or go on, as the command does, without letting it take the run's place."""
    if not (model / CONTINUED_FOLDER / "checkpoint.json").exists():
        continuing.begin(model, config(epochs=epochs), fold)
    return run(plan, fold, model / CONTINUED_FOLDER, epochs=epochs, **context)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_bundle(folder).network.state_dict())


def same(first: Path, second: Path) -> bool:
    one, other = weights(first), weights(second)
    return all(torch.equal(one[name], other[name]) for name in one)


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): files.sha256_file(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def finished(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> Path:
    """The folder of a run of two epochs, with a held-out case."""
    run(make_plan(), fold, tmp_path / "model")
    files.write_text(tmp_path / "model" / HELD_OUT_FOLDER / "record.json", "of the old weights")
    return tmp_path / "model"


def test_numbers_go_on_and_the_rate_starts_again_from_a_lower_one(
    make_plan: MakePlan, fold: FoldData, finished: Path
) -> None:
    before = content(finished)
    state = train_further(make_plan(), fold, finished)
    assert {name: digest for name, digest in content(finished).items() if not name.startswith("continued")} == before
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3, 4]
    assert (state.steps_taken, state.stretch.after_epochs, state.stretch.after_steps, state.trained_times) == (12, 2, 6, 2)
    assert state.epochs[2].seconds > state.epochs[1].seconds
    assert continuing.complete(finished)
    assert not (finished / CONTINUED_FOLDER).exists()
    assert not (finished / HELD_OUT_FOLDER).exists()
    steps = read_steps(finished / "steps.csv")
    assert [step.step for step in steps] == list(range(1, 13))
    first, second = ([step.learning_rate for step in steps[part]] for part in (slice(6), slice(6, 12)))
    assert second == pytest.approx([continuing.RATE_FACTOR * rate for rate in first], rel=1e-4)
    assert [(row["epoch"], row["stretch"]) for row in read_history(finished / "history.csv")] == [
        (1, 1), (2, 1), (3, 2), (4, 2),
    ]  # fmt: skip
    found = read_document(finished).provenance
    assert (found.epochs, [(each.first_epoch, each.epochs) for each in found.stretches]) == (4, [(1, 2), (3, 2)])
    assert sum(each.minutes for each in found.stretches) == pytest.approx(found.minutes)
    assert read_state(finished) == state
    assert run(make_plan(), fold, finished).epochs == state.epochs  # the first command finds it finished


def test_it_goes_on_from_the_last_weights_and_moments(make_plan: MakePlan, fold: FoldData, finished: Path) -> None:
    continuing.begin(finished, config(epochs=1), fold)
    before, begun = read_checkpoint(finished), read_checkpoint(finished / CONTINUED_FOLDER)
    assert before is not None
    assert begun is not None
    assert begun.tensors.keys() == before.tensors.keys()
    assert all(torch.equal(begun.tensors[name], tensor) for name, tensor in before.tensors.items())
    one = train_further(make_plan(), fold, finished, epochs=1)
    assert one.epochs[2].training_loss < one.epochs[0].training_loss


def test_an_interrupted_continuation_ends_with_the_same_bits(make_plan: MakePlan, fold: FoldData, finished: Path) -> None:
    plan = make_plan()
    whole = Path(shutil.copytree(finished, finished.with_name("whole")))
    train_further(plan, fold, whole, epochs=3)
    continuing.begin(finished, config(epochs=3), fold)
    for steps in (1, 4, 5):
        context = RunContext(finished / CONTINUED_FOLDER, CPU, 0, StopAfter(steps))
        with pytest.raises(KeyboardInterrupt):
            train(plan, config(epochs=3), fold, context=context)
        assert not continuing.complete(finished)
    train_further(plan, fold, finished, epochs=3)
    assert same(whole / CONTINUED_FOLDER, finished / CONTINUED_FOLDER)
    one, other = (read_steps(each / CONTINUED_FOLDER / "steps.csv") for each in (whole, finished))
    assert [step.loss for step in one] == [step.loss for step in other]


def test_it_shows_slices_at_full_resolution(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    plan = make_plan(training={"half_resolution_fraction": 0.5})
    assert run(plan, fold, tmp_path).half_resolution_steps == 3
    assert train_further(plan, fold, tmp_path).half_resolution_steps == 3


def test_time_is_its_own(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    now = 0.0

    def tick() -> float:
        nonlocal now
        now += 0.1
        return now

    plan = make_plan(training={"epochs": None, "minutes": 0.2})
    first = run(plan, fold, tmp_path, stopwatch=Stopwatch(started=0.0, now=tick))
    continuing.begin(tmp_path, config(minutes=0.1), fold)
    started = tick()
    state = train(
        plan,
        config(minutes=0.1),
        fold,
        context=RunContext(tmp_path / CONTINUED_FOLDER, CPU, 0, Silent(), stopwatch=Stopwatch(started=started, now=tick)),
    )
    assert first.elapsed_s <= 12.0
    assert 4.0 <= state.elapsed_s - first.elapsed_s <= 6.5  # a tick for every look at the clock


def changed(fold: FoldData, make_case: Callable[..., StoredCase], *, held_out: str) -> FoldData:
    """The same fold with a case more, and another held-out case where it has another name."""
    return replace(
        fold,
        keys=DataKeys(all_labelled="changed"),
        revision=3,
        training=[*fold.training, ("more", make_case(20))],
        validation=[(held_out, make_case(21))],
    )


def test_other_data_are_learnt_from_and_recorded(
    make_plan: MakePlan, fold: FoldData, make_case: Callable[..., StoredCase], finished: Path
) -> None:
    more = changed(fold, make_case, held_out="held-out")
    state = train_further(make_plan(), more, finished)
    continuing.complete(finished)
    assert state.members == more.members
    assert state.keys == more.keys
    made = read_document(finished).provenance
    assert made.training_cases == ("case0", "case1", "case2", "more")
    assert (made.revision, [stretch.revision for stretch in made.stretches]) == (3, [0, 3])


@pytest.mark.parametrize("rule", ["validation_loss", "validation_dice"])
def test_a_worse_continuation_leaves_the_better_model(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, rule: str
) -> None:
    plan = make_plan(training={"best_model": rule})
    run(plan, fold, tmp_path, epochs=6)
    best, document = weights(tmp_path), read_document(tmp_path)
    with mock.patch.object(continuing, "RATE_FACTOR", 1e3):  # destroys what was learnt
        state = train_further(plan, fold, tmp_path)
    continuing.complete(tmp_path)
    assert all(torch.equal(best[name], tensor) for name, tensor in weights(tmp_path).items())
    assert read_document(tmp_path) == document
    assert read_state(tmp_path) == state


def test_scores_on_other_held_out_cases_do_not_compete(
    make_plan: MakePlan, fold: FoldData, make_case: Callable[..., StoredCase], tmp_path: Path
) -> None:
    plan = make_plan(training={"best_model": "validation_loss"})
    run(plan, fold, tmp_path, epochs=6)
    before = read_document(tmp_path).weights_sha256
    with mock.patch.object(continuing, "RATE_FACTOR", 1e3):
        train_further(plan, changed(fold, make_case, held_out="another"), tmp_path, epochs=1)
    continuing.complete(tmp_path)
    assert read_document(tmp_path).weights_sha256 != before
    assert read_document(tmp_path).provenance.epochs == 7


def test_scores_of_earlier_data_do_not_compete_with_later_continuations_either(
    make_plan: MakePlan, fold: FoldData, make_case: Callable[..., StoredCase], tmp_path: Path
) -> None:
    plan, other = make_plan(training={"best_model": "validation_loss"}), changed(fold, make_case, held_out="another")

    def best_after(losses: Sequence[float], call: Callable[[], RunState]) -> int:
        """The epoch that gives the model when those of a call have some validation losses."""
        looks = [ValidationResult(loss, (0.5,), slices=1) for loss in losses]
        with mock.patch.object(Watch, "look", side_effect=looks):
            call()
        continuing.complete(tmp_path)
        return read_document(tmp_path).provenance.epochs

    assert best_after([0.4, 0.2], lambda: run(plan, fold, tmp_path)) == 2
    assert best_after([0.6, 0.5], lambda: train_further(plan, other, tmp_path)) == 4
    assert best_after([0.45, 0.35], lambda: train_further(plan, other, tmp_path)) == 6
    assert best_after([0.4], lambda: train_further(plan, other, tmp_path, epochs=1)) == 6


def test_without_held_out_cases_epochs_compete_that_learnt_from_the_same_cases(
    fold: FoldData, make_case: Callable[..., StoredCase]
) -> None:
    keys = DataKeys(all_labelled="tiny", cases={name: "as it was" for name, _ in fold.training})
    alone = replace(fold, keys=keys, validation=[])
    state = RunState(plan_digest="", data_key="tiny", case_keys=keys.cases, members=alone.members, config=config())
    more = replace(alone, training=[*alone.training, ("more", make_case(20))])
    corrected = replace(alone, keys=DataKeys(all_labelled="tiny", cases={**keys.cases, "case1": "corrected"}))
    competes = [continuing.next_stretch(state, config(), data).stretch.same_held_out for data in (alone, more, corrected)]
    assert competes == [True, False, False]


def test_a_run_that_stopped_early_has_its_patience_again(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    plan = make_plan(training={"early_stopping_patience": 1, "learning_rate": 1e-7, "epochs": 30})
    stopped = run(plan, fold, tmp_path)
    continuing.begin(tmp_path, config(epochs=1), fold)
    state = run(plan, fold, tmp_path / CONTINUED_FOLDER, epochs=1)
    assert len(stopped.epochs) < 30
    assert len(state.epochs) == len(stopped.epochs) + 1


def test_without_the_tensors_of_the_checkpoint_it_goes_on_from_the_model(
    make_plan: MakePlan, fold: FoldData, finished: Path
) -> None:
    for path in finished.glob("checkpoint-*.safetensors"):
        path.unlink()
    continuing.begin(finished, config(epochs=1), fold)
    assert same(finished, finished / CONTINUED_FOLDER)
    state = run(make_plan(), fold, finished / CONTINUED_FOLDER, epochs=1)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3]


@contextmanager
def failing_at(number: int) -> Iterator[list[str]]:
    """Let the file operation of a number fail, and every later one, as after a kill; lists those that took place."""
    done: list[str] = []

    def guarded(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if len(done) >= number:
                raise OSError(28, "killed here")
            done.append(f"{name} {arguments[0]}")
            return operation(*arguments, **more)

        return call

    with (
        mock.patch.object(Path, "replace", guarded("replace", Path.replace)),
        mock.patch.object(Path, "unlink", guarded("unlink", Path.unlink)),
        mock.patch.object(shutil, "rmtree", guarded("rmtree", shutil.rmtree)),
        mock.patch("os.link", guarded("link", __import__("os").link)),
    ):
        yield done


def told(model: Path) -> tuple[Any, ...]:
    """What whoever reads a model sees of it."""
    state, document = read_state(model), read_document(model)
    assert state is not None
    record = run_folder(model) / HELD_OUT_FOLDER / "record.json"
    load_bundle(model)
    history = [int(row["epoch"]) for row in read_history(run_folder(model) / "history.csv")]
    return state.finished, len(state.epochs), history[-1], document.provenance.epochs, record.exists()


OLD, NEW = (True, 2, 2, 2, True), (True, 4, 4, 4, False)


def test_wherever_it_is_killed_the_old_run_or_the_new_one_is_there_and_the_rest_is_made_good(
    make_plan: MakePlan, fold: FoldData, finished: Path, tmp_path: Path
) -> None:
    train_further(make_plan(), fold, finished)
    seen = [told(finished)]
    for number in range(1000):
        model = Path(shutil.copytree(finished, tmp_path / f"killed{number}"))
        with failing_at(number) as done:
            try:
                continuing.complete(model)
                whole = True
            except (OSError, files.SystemFailureError):
                whole = False
        seen.append(told(model))
        continuing.complete(model)
        assert told(model) == NEW
        assert not (model / CONTINUED_FOLDER).exists()
        assert len(list(model.glob("[!.]*.safetensors"))) == 2
        shutil.rmtree(model)
        if whole:
            break
    assert whole
    assert len(done) == number > 15
    changes = [one for one, other in pairwise(seen) if one != other]
    assert (seen[0], seen[-1], changes) == (OLD, NEW, [OLD])  # old, and from some moment on new


def test_wherever_a_beginning_is_killed_the_run_is_as_it_was(
    make_plan: MakePlan, fold: FoldData, finished: Path, tmp_path: Path
) -> None:
    expected: Sequence[EpochRecord] = ()
    for number in range(1000):
        model = Path(shutil.copytree(finished, tmp_path / f"killed{number}"))
        with failing_at(number):
            try:
                continuing.begin(model, config(epochs=1), fold)
                whole = True
            except (OSError, files.SystemFailureError):
                whole = False
        assert told(model) == OLD
        assert not continuing.complete(model)
        if whole or number % 5 == 0:
            state = train_further(make_plan(), fold, model, epochs=1)
            losses = [epoch.training_loss for epoch in state.epochs]
            expected = expected or losses
            assert losses == expected
        shutil.rmtree(model)
        if whole:
            break
    assert whole
    assert number > 5


def test_a_continuation_that_cannot_be_parsed_hides_nothing(finished: Path) -> None:
    files.write_text(finished / CONTINUED_FOLDER / "checkpoint.json", "{")
    assert told(finished) == OLD


def test_what_earlier_versions_stored_has_one_stretch(finished: Path) -> None:
    document = json.loads((finished / "checkpoint.json").read_text())
    del document["state"]["stretches"]
    files.write_json(finished / "checkpoint.json", document)
    state = read_state(finished)
    assert state is not None
    assert (state.trained_times, state.choices, state.stretch.after_epochs) == (1, state.config, 0)
