"""One run: a network trained on a fold of a workspace, where an earlier call has not done so."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final, Protocol

import torch

from autoseg.data.splits import Fold
from autoseg.errors import TrainingError
from autoseg.events import Events
from autoseg.jobs.machine import usable_cores
from autoseg.model.compute import Compute
from autoseg.model.identity import folders_inside
from autoseg.runs.continuing import config_of, whats_new
from autoseg.runs.earlier import earlier_state
from autoseg.runs.restarting import is_to_restart, note_restart
from autoseg.runs.scans import recorded, scan_digests
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.storage.documents import parse
from autoseg.storage.locks import lock
from autoseg.training import continuing
from autoseg.training.clock import Stopwatch
from autoseg.training.context import FoldData, RunContext
from autoseg.training.first_steps import use_threads
from autoseg.training.history import EpochRecord, row_of
from autoseg.training.loop import train
from autoseg.training.monitor import TrackedRun, tracking
from autoseg.training.ranks import ALONE, Ranks
from autoseg.training.run_state import CHECKPOINT_FILE, CONTINUED_FOLDER, RunState, read_state
from autoseg.training.start import Start

DRAWING_FRACTION: Final = 0.005
"""Largest fraction of a run that goes into drawing its curves. Source: ours; epochs of small data sets last seconds."""

_FIRST_DRAWING_S: Final = 0.6
"""Time that the first drawing takes. Source: measured; what draws is loaded then."""


class DrawCurves(Protocol):
    """Draws the learning curves of runs; what draws lies above this package."""

    def __call__(self, runs: Mapping[str, Sequence[Mapping[str, float]]], path: Path, /) -> None:
        """Draw into a file: for each run, by its name, one row of numbers per epoch."""


@contextmanager
def working_on(session: Session, target: Target, *, events: Events, ranks: Ranks = ALONE) -> Iterator[None]:
    """Keep other processes away from a model while it is trained and scored; an earlier one goes where asked for.

    Of several ranks, the first does so for all.

    Raises:
        TrainingError: the GPU is full.
        WorkspaceError: another process works on the model.
    """
    folder = session.workspace.model(target.model)
    compute = session.compute
    held = lock(folder / ".lock", wait_s=session.patience_s, events=events) if ranks.is_first else nullcontext()
    explained = compute.full_memory_raises(_full_gpu(target, compute))
    with held, explained, _threads_given_back(), compute.current():
        if ranks.is_first:
            _make_ready(session, target, folder, events=events)
        yield


def discard_before(session: Session, targets: Sequence[Target], *, events: Events) -> None:
    """Discard what a restart discards before the first of several runs begins; a run itself does so when it is its turn.

    Raises:
        AutosegError: as of `working_on`, or a model to start from cannot be used.
    """
    for target in targets if session.choices.restart else ():
        with working_on(session, target, events=events):
            pass


def _make_ready(session: Session, target: Target, folder: Path, *, events: Events) -> None:
    """Let a continuation take its place that was interrupted in doing so, and discard what a restart discards."""
    restarted = is_to_restart(session, target)
    if restarted and not target.further:
        _start(session, target)  # a model that cannot be used is found before what is there is gone
        _discard(folder)
    elif restarted or not (folder / CHECKPOINT_FILE).exists():  # then it continues nothing
        continuing.discard_unfinished(folder)
    elif continuing.complete(folder):
        events.info(f"{target.model.title}: what was trained further has taken its place, in which it had been interrupted")
    if session.choices.restart:
        note_restart(session, target)


def train_where_needed(
    session: Session, target: Target, *, draw: DrawCurves, events: Events, started: float, ranks: Ranks = ALONE
) -> tuple[RunState, bool]:
    """Train to the end, from the beginning or from where an earlier call stopped; the caller is `working_on` it.

    Args:
        session: what all runs share.
        target: what to train.
        draw: draws the learning curves.
        events: notified of everything.
        started: when the run began, on `time.monotonic`.
        ranks: who trains it together, each calling this.

    Returns:
        the finished run, and whether it was trained now.
    """
    ranks.barrier()  # the first may still be scoring the model before this one
    state = earlier_state(session, target) if ranks.is_first else None
    if ranks.size > 1:
        said = ranks.from_first(None if state is None else state.model_dump_json())
        state = None if said is None else parse(json.loads(said), RunState)
    if state is not None and state.finished:
        how = f"trained {state.trained_times} times" if target.further else "finished"
        events.info(f"{target.model.title}: {how} earlier; --continue trains it further, and --restart again")
        return state, False
    if target.further and state is None and ranks.is_first:
        state = _begin_further(session, target, events=events)
    trained = _train(session, target, state, draw=draw, events=events, started=started, ranks=ranks)
    if target.further and ranks.is_first:
        continuing.complete(session.workspace.model(target.model))
    ranks.barrier()  # what follows is not for all
    return trained, True


def _begin_further(session: Session, target: Target, *, events: Events) -> RunState | None:
    """Begin to train a finished run further, and say what is new to it."""
    folder = session.workspace.model(target.model)
    state = read_state(folder)
    if state is None:
        msg = f"{folder} held a finished run"
        raise ValueError(msg)
    new = whats_new(state, members=target.members, keys=session.store.keys)
    events.info(f"{target.model.title}: trained further after epoch {len(state.epochs)}" + (f"; {new}" if new else ""))
    continuing.begin(folder, config_of(session, target, state), _fold_data(session, target.members, digests=True))
    return read_state(folder / CONTINUED_FOLDER)


def limit_threads(cores: int | None) -> None:
    """Compute on no more cores than this process has a share of; None: than it may use."""
    torch.set_num_threads(min(torch.get_num_threads(), cores or usable_cores()))


def _train(
    session: Session,
    target: Target,
    state: RunState | None,
    *,
    draw: DrawCurves,
    events: Events,
    started: float,
    ranks: Ranks,
) -> RunState:
    model, config = session.workspace.model(target.model), session.config(target)
    folder, start = (
        (model / CONTINUED_FOLDER if target.further else model),
        _start(session, target) if state is None else None,
    )
    if target.further and state is not None:
        config = config_of(session, target, state)
    if not ranks.is_first:
        context = RunContext(folder, session.compute, session.loading_processes, events, ranks=ranks)
        return train(session.plan, config, _fold_data(session, target.members), context=context, start=start)
    after = () if state is None else state.stretches_after
    curves = Curves(folder / continuing.CURVES_FILE, target.model.architecture, draw, after=after)
    tracked = TrackedRun(
        folder=model,
        name=target.model.title,
        settings={"run": config.model_dump(), "plan": session.plan.model_dump(mode="json", exclude={"decisions"})},
        cases=target.members.validation,
        epochs=len(state.epochs) if state is not None else 0,
    )
    with tracking(session.choices.track, tracked, events=events) as tracker:
        context = RunContext(
            folder=folder,
            compute=session.compute,
            workers=session.loading_processes,
            events=events,
            stopwatch=Stopwatch(started=started),
            on_epoch=curves,
            tracker=tracker,
            ranks=ranks,
            computed_on=session.computed_on if ranks.size == 1 else None,  # together they are faster
            scored_case_s=session.scored_case_s,
        )
        data = _fold_data(session, target.members, digests=state is None)
        trained = train(session.plan, config, data, context=context, start=start)
    curves.draw(trained.epochs)  # the last one may have been skipped
    return trained


def _start(session: Session, target: Target) -> Start | None:
    """The weights that a run begins with; None: they are drawn."""
    model = session.starts.get(target.model)
    return None if model is None else model.start(session.plan, session.config(target))


def _fold_data(session: Session, members: Fold, *, digests: bool = False) -> FoldData:
    """The arrays of a fold, with the digests of its training scans where these are asked for."""
    store, scans = session.store, None
    if digests:
        cases = [session.cases[case] for case in members.training]
        scans = recorded(scan_digests(session.workspace, session.plan, cases, keys=store.keys))
    return FoldData(
        keys=store.keys.of([*members.training, *members.validation]),
        training=[(case, store.load(case)) for case in members.training],
        validation=[(case, store.load(case)) for case in members.validation],
        scans=scans,
        revision=session.revision,
        adopted=session.adopted_labels(members),
    )


@contextmanager
def _threads_given_back() -> Iterator[None]:
    """Leave the number of threads as it was: a run may choose its own."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        use_threads(before)


def _full_gpu(target: Target, compute: Compute) -> TrainingError:
    without = ", without --continue" if target.further else ""
    return TrainingError(
        f"the GPU {compute.device} has too little memory left",
        where=target.model.title,
        remedy="Choose fewer --jobs, or end other programs that use it: the same command continues from the last epoch. "
        f"Or plan again with less --memory and train with --restart{without}: what was trained before is discarded.",
    )


def _discard(folder: Path) -> None:
    """Remove an earlier run, checkpoints first, so that no half of it can be continued; other models below it stay."""
    others = set(folders_inside(folder))
    for pattern in (f"{CONTINUED_FOLDER}/checkpoint.json", "checkpoint.json", "bundle.json", "*"):
        for path in set(folder.glob(pattern)) - others:
            if path.is_dir():
                shutil.rmtree(path)
            elif not path.name.startswith(".lock"):
                path.unlink(missing_ok=True)


class Curves:
    """Draws the learning curves after an epoch, unless drawing would have taken too much of the time so far."""

    def __init__(self, path: Path, name: str, draw: DrawCurves, *, after: Sequence[int] = ()) -> None:
        self._path, self._name, self._draw, self._after = path, name, draw, after
        self._began_s = time.monotonic()
        self._spent_s, self._next_s = 0.0, _FIRST_DRAWING_S

    def __call__(self, epochs: Sequence[EpochRecord]) -> None:
        """Draw them after an epoch, or leave it."""
        started_s = time.monotonic()
        if self._spent_s + self._next_s > DRAWING_FRACTION * (started_s - self._began_s):
            return
        self.draw(epochs)
        self._next_s = time.monotonic() - started_s
        self._spent_s += self._next_s

    def draw(self, epochs: Sequence[EpochRecord]) -> None:
        """Draw them now."""
        self._draw({self._name: [row_of(epoch, after=self._after) for epoch in epochs]}, self._path)
