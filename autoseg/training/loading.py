"""Batches in order, made by this process or by others beside it.

The others send them through pipes, straight from one tensor into another: shared memory, of which containers often have
little, is not needed, and takes longer (docs/explanation/decisions.md). A process that dies ends its pipe, so that nobody
waits for what it cannot deliver.
"""

import multiprocessing
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Final, Protocol

import torch

from autoseg.errors import TrainingError
from autoseg.jobs.children import end_with_parent, kill, let_signals_through, stopping_held_back
from autoseg.training.batches import TrainingBatch

_AHEAD: Final = 2
"""Batches that each process has been asked for. Source: ours; one is made while another is fetched."""

if sys.platform == "linux":
    _CONTEXT: Final = multiprocessing.get_context("fork")  # which has the cases without copying them
else:
    _CONTEXT: Final = multiprocessing.get_context("spawn")  # a fork is not safe, or not there


class Batches(Protocol):
    """All batches of a run."""

    def __getitem__(self, address: tuple[int, int], /) -> TrainingBatch:
        """The batch of an epoch and a number."""


class Loader:
    """The batches of a run, epoch by epoch.

    Args:
        batches: all of them, addressed by (epoch, number).
        steps_per_epoch: how many each epoch has.
        workers: processes that make them, started with the first epoch; 0: this process makes each when it is asked for.
        pin_memory: whether to put them into page-locked memory, from which a GPU copies faster.
    """

    def __init__(self, batches: Batches, *, steps_per_epoch: int, workers: int, pin_memory: bool) -> None:
        self._batches, self._steps, self._workers, self._pin_memory = batches, steps_per_epoch, workers, pin_memory
        self._crew: list[_Worker] = []
        self._asked = self._taken = 0
        self._expected: SimpleQueue[_Worker | None] = SimpleQueue()  # who was asked, in this order
        self._arrived: SimpleQueue[TrainingBatch | Exception | _Worker] = SimpleQueue()  # a worker: it has died
        self._receiver = threading.Thread(target=self._receive, daemon=True)

    @property
    def processes(self) -> list[int]:
        """Numbers of the processes that were started."""
        return [worker.process.pid for worker in self._crew if worker.process.pid is not None]

    def epoch(self, number: int) -> Iterator[TrainingBatch]:
        """The batches of one epoch, in order.

        Raises:
            TrainingError: a process that makes them died.
        """
        if self._workers == 0:
            for step in range(self._steps):
                batch = self._batches[number, step]
                yield batch.pin_memory() if self._pin_memory else batch
            return
        self._start()
        while self._taken < self._asked:  # an earlier epoch was left before its end
            self._take()
        ahead = min(self._steps, _AHEAD * self._workers)
        for step in range(ahead):
            self._ask(number, step)
        for step in range(self._steps):
            batch = self._take()
            if step + ahead < self._steps:
                self._ask(number, step + ahead)
            yield batch

    def close(self) -> None:
        """End the processes."""
        if not self._crew:
            return
        kill([worker.process for worker in self._crew])  # they hold nothing that could be lost
        self._expected.put(None)
        if self._receiver.is_alive():
            self._receiver.join()
        for worker in self._crew:
            worker.pipe.close()
        self._crew = []

    def _start(self) -> None:
        if self._crew:
            return
        for _ in range(self._workers):
            with stopping_held_back():  # a process that was started is known, and can be ended
                self._crew.append(_Worker(self._batches, siblings=self._crew))
        self._receiver.start()

    def _ask(self, epoch: int, step: int) -> None:
        worker = self._crew[self._asked % len(self._crew)]
        try:
            worker.pipe.send((epoch, step))
        except OSError:
            raise worker.death() from None
        self._expected.put(worker)
        self._asked += 1

    def _take(self) -> TrainingBatch:
        arrived = self._arrived.get()
        self._taken += 1
        if isinstance(arrived, _Worker):
            raise arrived.death()
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def _receive(self) -> None:
        """What a thread does: fetch batches while the training computes."""
        while (worker := self._expected.get()) is not None:
            self._arrived.put(worker.receive(pin_memory=self._pin_memory))


@dataclass(frozen=True)
class _Header:
    """What is sent before the numbers of a batch."""

    images_shape: tuple[int, ...]
    labels_shape: tuple[int, ...]
    sources: tuple[tuple[str, int], ...]
    view: int


class _Worker:
    """A process that makes batches, as seen by the one that started it."""

    def __init__(self, batches: Batches, *, siblings: "Sequence[_Worker]") -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        not_theirs = [self.pipe, *(sibling.pipe for sibling in siblings)] if sys.platform == "linux" else []
        self.process = _CONTEXT.Process(target=_serve, args=(batches, theirs, not_theirs), daemon=True)
        self.process.start()
        theirs.close()  # the process holds the only other one: the pipe ends when it does

    def receive(self, *, pin_memory: bool) -> "TrainingBatch | Exception | _Worker":
        """The next batch, why it could not be made, or this worker where it has died."""
        try:
            header: _Header | Exception = self.pipe.recv()
            if isinstance(header, Exception):
                return header
            images = torch.empty(header.images_shape, dtype=torch.float32)
            labels = torch.empty(header.labels_shape, dtype=torch.int16)
            self.pipe.recv_bytes_into(_bytes_of(images))
            self.pipe.recv_bytes_into(_bytes_of(labels))
        except (EOFError, OSError):
            return self
        batch = TrainingBatch(images, labels.long(), header.sources, header.view)
        return batch.pin_memory() if pin_memory else batch

    def death(self) -> TrainingError:
        """Why no batch comes any more."""
        self.process.join()
        code = self.process.exitcode or 0
        how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
        return TrainingError(
            f"a process that prepares batches died: pid {self.process.pid} {how}",
            remedy="Often the machine ran out of memory: close other programs, or train with --workers 0. "
            "The same command continues from the last epoch.",
        )


def _serve(batches: Batches, pipe: Connection, not_mine: Sequence[Connection]) -> None:
    """What a process does: make what it is asked for, until nobody asks any more."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    let_signals_through()
    for other in not_mine:  # held by a fork, they would outlive the process that reads them
        other.close()
    torch.set_num_threads(1)  # beside the training process, more would only take cores from it
    while True:
        try:
            address = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            batch = batches[address]
        except Exception as error:  # noqa: BLE001 - it is raised where the batch is awaited
            error.add_note(f"In a process that prepares batches:\n{traceback.format_exc()}")
            pipe.send(error)
            continue
        labels = batch.labels.to(torch.int16)  # as they are stored
        pipe.send(_Header(tuple(batch.images.shape), tuple(labels.shape), batch.sources, batch.view))
        pipe.send_bytes(_bytes_of(batch.images.contiguous()))
        pipe.send_bytes(_bytes_of(labels.contiguous()))


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """The memory of a tensor, to be read or filled."""
    return tensor.numpy().data.cast("B")
