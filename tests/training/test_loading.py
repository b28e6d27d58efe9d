"""Batches that other processes make: equal, in order, and never waited for in vain."""

import os
import signal
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import islice

import pytest
import torch

from autoseg.errors import TrainingError
from autoseg.planning.plan import Plan
from autoseg.training.batches import SliceBatches, TrainingBatch
from autoseg.training.loading import Batches, Loader
from autoseg.training.loop import FoldData

MakePlan = Callable[..., Plan]
STEPS = 12


class Made:
    """Batches that show their address; what is done before one is made may go wrong."""

    def __init__(self, *, side: int = 4, before: Callable[[int], object] = lambda _: None) -> None:
        self._side, self._before = side, before

    def __getitem__(self, address: tuple[int, int]) -> TrainingBatch:
        epoch, number = address
        self._before(number)
        images = torch.full((1, 2, self._side, self._side), 100.0 * epoch + number)
        return TrainingBatch(images, torch.full((1, self._side, self._side), number), (("case", number),))


def loader(batches: Batches, *, workers: int = 2) -> "closing[Loader]":
    return closing(Loader(batches, steps_per_epoch=STEPS, workers=workers, pin_memory=False))


def shown(batch: TrainingBatch) -> tuple[float, int, int]:
    assert (batch.images.dtype, batch.labels.dtype) == (torch.float32, torch.int64)
    assert batch.images.unique().numel() == batch.labels.unique().numel() == 1
    return batch.images[0, 0, 0, 0].item(), int(batch.labels[0, 0, 0]), batch.sources[0][1]


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 20])
@pytest.mark.parametrize("side", [4, 600])  # the latter does not fit into a pipe
def test_batches_come_in_order_epoch_after_epoch(workers: int, side: int) -> None:
    with loader(Made(side=side), workers=workers) as batches:
        for epoch in (0, 1, 5):
            found = [shown(batch) for batch in batches.epoch(epoch)]
            assert found == [(100 * epoch + step, step, step) for step in range(STEPS)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_is_left_early_does_not_mix_with_the_next(workers: int) -> None:
    with loader(Made(), workers=workers) as batches:
        assert [shown(batch)[1] for batch in islice(batches.epoch(0), 3)] == [0, 1, 2]
        assert [shown(batch)[0] for batch in batches.epoch(1)] == [100 + step for step in range(STEPS)]


def test_any_number_of_workers_gives_the_same_bits(make_plan: MakePlan, fold: FoldData) -> None:
    made = SliceBatches(fold.training, plan=make_plan(), seed=3)
    without, with_two = (
        [batch for epoch in (0, 1) for batch in batches.epoch(epoch)]
        for workers in (0, 2)
        for batches in [Loader(made, steps_per_epoch=3, workers=workers, pin_memory=False)]
    )
    assert len(without) == len(with_two) == 6
    for first, second in zip(without, with_two, strict=True):
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.labels, second.labels)
        assert first.sources == second.sources


def fail_at(step: int, number: int) -> None:
    if number == step:
        raise FileNotFoundError(2, "No such file or directory", "scan.npy")


@pytest.mark.parametrize("workers", [0, 2])
def test_why_a_batch_cannot_be_made_arrives_in_its_turn(workers: int) -> None:
    with loader(Made(before=partial(fail_at, 4)), workers=workers) as batches:
        epoch = batches.epoch(0)
        assert [shown(next(epoch))[1] for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(FileNotFoundError) as caught:
            next(epoch)
    assert caught.value.filename == "scan.npy"
    if workers:
        assert "fail_at" in caught.value.__notes__[0]


def end_at(step: int, how: Callable[[], object], number: int) -> None:
    if number == step:
        how()


@pytest.mark.parametrize("step", [0, 7, STEPS - 1])
@pytest.mark.parametrize(
    ("how", "words"),
    [
        (partial(signal.raise_signal, signal.SIGKILL), r"was killed \(SIGKILL\)"),
        (partial(signal.raise_signal, signal.SIGTERM), r"was killed \(SIGTERM\)"),
        (partial(os._exit, 3), "ended with exit code 3"),
    ],
    ids=["killed", "told to stop", "exits"],
)
def test_a_worker_that_dies_is_never_waited_for(step: int, how: Callable[[], object], words: str) -> None:
    told = rf"prepares batches died: pid \d+ {words}.*--workers 0"
    with loader(Made(before=partial(end_at, step, how))) as batches, pytest.raises(TrainingError, match=told):
        list(batches.epoch(0))


def test_a_worker_that_died_between_two_epochs_is_told() -> None:
    with loader(Made()) as batches:
        list(batches.epoch(0))
        pid = batches.processes[0]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match=f"pid {pid}"):
            list(batches.epoch(1))


def test_closing_ends_every_process_whatever_it_does() -> None:
    with loader(Made(before=lambda number: signal.pause() if number > 1 else None)) as batches:
        assert shown(next(batches.epoch(0)))[1] == 0
        processes = batches.processes
        assert len(processes) == 2
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    batches.close()  # once more does no harm


def test_ctrl_c_is_the_parents(capfd: pytest.CaptureFixture[str]) -> None:
    with loader(Made()) as batches:
        epoch = batches.epoch(0)
        next(epoch)
        for process in batches.processes:
            os.kill(process, signal.SIGINT)
            os.kill(process, signal.SIGHUP)
        assert len(list(epoch)) == STEPS - 1
    assert capfd.readouterr().err == ""
