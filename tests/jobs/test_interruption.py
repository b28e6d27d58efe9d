"""Whoever asks a process to end is heard, wherever the signal meets it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from oracles.garbage import interrupt_collection
from oracles.watched_runs import Recorder

from autoseg.jobs.interruption import STOPPING, Interruptible, Interruption, heed_no_more, is_interrupted

PATIENCE_S = 60.0


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    heard = Interruption()
    with heard.heard():
        yield heard


@pytest.fixture
def no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised again but by what the test does."""
    monkeypatch.setattr("signal.setitimer", lambda *_: None)


def wait_for_ever() -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        time.sleep(0.01)


def advance(events: Interruptible) -> None:
    with events.track("work", total=3, unit="steps") as progress:
        progress.advance()


LOOKING: dict[str, Callable[[Interruptible], None]] = {
    "progress": advance,
    "info": lambda events: events.info("begun"),
    "warn": lambda events: events.warn("careful"),
}


@pytest.mark.usefixtures("no_timer")
@pytest.mark.parametrize("number", STOPPING, ids=str)
@pytest.mark.parametrize("look", LOOKING)
def test_what_garbage_collection_swallowed_is_raised_by_the_next_progress(
    interruption: Interruption, number: signal.Signals, look: str, capsys: pytest.CaptureFixture[str]
) -> None:
    events = Interruptible(Recorder(), interruption)
    LOOKING[look](events)
    interrupt_collection(number)
    with pytest.raises(KeyboardInterrupt):
        LOOKING[look](events)
    assert capsys.readouterr().err == ""  # Python's "Exception ignored in ..." would be wrong


def test_a_bar_that_is_open_looks_too(interruption: Interruption) -> None:
    recorder = Recorder()

    def work() -> None:
        with Interruptible(recorder, interruption).track("work", total=3, unit="steps") as progress:
            progress.advance(loss=1.0)
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            progress.advance()

    with pytest.raises(KeyboardInterrupt):
        work()
    bar = recorder.bars["work"]
    assert (bar.done, bar.fields, bar.end) == (1, {"loss": 1.0}, "given up")


@pytest.mark.usefixtures("interruption")
def test_work_that_tells_nothing_is_interrupted_by_a_timer() -> None:
    interrupt_collection(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        wait_for_ever()


@pytest.mark.usefixtures("interruption")
def test_what_somebody_caught_and_forgot_is_raised_again() -> None:
    for _ in range(3):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        wait_for_ever()


@pytest.mark.usefixtures("no_timer")
def test_tidying_up_is_not_disturbed_by_the_request_that_it_follows(interruption: Interruption) -> None:
    tidied = []

    def tidy_up() -> None:
        signal.raise_signal(signal.SIGALRM)
        try:
            int("x")
        except ValueError:  # what is handled meanwhile arose on the way
            interruption.check()
            signal.raise_signal(signal.SIGALRM)
        tidied.append(True)

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            tidy_up()

    with pytest.raises(KeyboardInterrupt):
        work()
    assert tidied


@pytest.mark.usefixtures("no_timer")
@pytest.mark.parametrize("ask", [signal.raise_signal, interrupt_collection], ids=["plainly", "within garbage collection"])
def test_whoever_asks_again_does_not_wait_for_tidying_up(
    interruption: Interruption, ask: Callable[[signal.Signals], None]
) -> None:
    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            ask(signal.SIGINT)
            interruption.check()
            pytest.fail("tidied up to the end")

    with pytest.raises(KeyboardInterrupt):
        work()


def test_nothing_is_raised_unasked_and_nothing_after_the_answer(interruption: Interruption) -> None:
    interruption.check()
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    interruption.answered()
    interruption.check()
    signal.raise_signal(signal.SIGALRM)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_ignored_signal_stays_ignored_and_handlers_come_back() -> None:
    watched = (*STOPPING, signal.SIGALRM)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        handlers, hook = [signal.getsignal(number) for number in watched], sys.unraisablehook
        with Interruption().heard():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGINT) not in handlers
        assert [signal.getsignal(number) for number in watched] == handlers
        assert sys.unraisablehook is hook
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_discarded_exceptions_are_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    class Broken:
        def __del__(self) -> None:
            raise ValueError

    with Interruption().heard():
        Broken()
    assert [lost.exc_type for lost in told] == [ValueError]


def test_errors_of_tidying_up_are_part_of_the_interruption() -> None:
    def work() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise FileNotFoundError

    with pytest.raises(FileNotFoundError) as caught:
        work()
    assert is_interrupted(caught.value)
    assert is_interrupted(KeyboardInterrupt())
    assert not is_interrupted(OSError())


@pytest.mark.parametrize("number", STOPPING, ids=str)
@pytest.mark.parametrize(("moment", "code"), [("while it is said", 130), ("when all is over", 7)])
def test_a_signal_at_the_very_end_ends_the_process_at_once(number: signal.Signals, moment: str, code: int) -> None:
    def end() -> None:
        if moment == "when all is over":
            heed_no_more(7)
        else:
            interruption = Interruption()
            with interruption.heard():
                interruption.answered()
                signal.raise_signal(number)
        signal.raise_signal(number)
        os._exit(1)

    child = os.fork()
    if child == 0:
        end()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code


def test_heed_no_more_leaves_ignored_signals_alone() -> None:
    code = (
        "import signal; from autoseg.jobs.interruption import heed_no_more\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nheed_no_more(7)\nsignal.raise_signal(signal.SIGHUP)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_process_that_ends_at_once_does_what_it_had_to_at_its_end() -> None:
    code = (
        "import atexit, sys; from autoseg.jobs.interruption import end_at_once\n"
        "class Slow:\n    def __del__(self): print('taken apart')\n"
        "kept = Slow()\natexit.register(print, 'closed')\nprint('said')\nend_at_once(130)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "said\nclosed\n", "")


def test_streams_that_were_closed_keep_no_process_from_ending() -> None:
    code = (
        "import sys; from autoseg.jobs.interruption import end_at_once\n"
        "sys.stdout = None\nsys.stderr.close()\nend_at_once(130)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 130
