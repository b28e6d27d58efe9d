"""Ctrl-C, SIGTERM and a closed terminal: what asks this process to end is not forgotten before the command has ended.

A signal raises KeyboardInterrupt wherever the process happens to be. Where that is a callback of the garbage collector, or
another place whose exceptions nobody gets, Python discards it, and the command would go on as if nothing had been asked. So
the request is kept, and raised again until it is on its way: at the next progress, and by a timer.
"""

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

from autoseg.errors import InterruptedRunError
from autoseg.events import Events, Progress

if TYPE_CHECKING:
    _Hook = Callable[[sys.UnraisableHookArgs], object]

STOPPING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a command to end; Windows has no SIGHUP."""

NOTICE: Final = getattr(signal, "SIGUSR1", None)
"""Signal by which batch systems tell in advance that a job will end; None on Windows."""

_AGAIN_S: Final = 0.1
"""Time after which a request that was lost is raised again. Source: ours; a person notices no such delay."""

_HAS_TIMER: Final = hasattr(signal, "setitimer")  # Windows has none: there the next progress raises again


class Interruption:
    """Requests to end, from the first signal to the end of the command."""

    def __init__(self) -> None:
        self._raised: list[KeyboardInterrupt] = []  # for the latest request
        self._answered = False
        self._handlers = dict[signal.Signals, object]()
        self.asked_by: signal.Signals | None = None
        """The signal of the latest request."""

    def check(self) -> None:
        """Raise a request again that was lost; called wherever work gets on.

        Raises:
            KeyboardInterrupt: this process was asked to end, and the exception that said so is not on its way.
        """
        if self._raised and not self._answered and not self._on_its_way():
            self._raise()

    def answered(self) -> None:
        """The command is ending: from now on, whoever asks once more ends the process at once."""
        self._answered = True
        _set_timer(0.0)

    @contextmanager
    def heard(self, signals: Sequence[signal.Signals] = STOPPING) -> Iterator[None]:
        """Listen, in the main thread, to signals that are not ignored, as Ctrl-C is in the background of a shell."""
        hook = sys.unraisablehook
        for number in signals:
            if signal.getsignal(number) not in {signal.SIG_IGN, None}:
                self.hear(number)
        if _HAS_TIMER:
            self._handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._ask_again)
        sys.unraisablehook = self._keep_quiet(hook)
        try:
            yield
        finally:
            _set_timer(0.0)
            sys.unraisablehook = hook
            while self._handlers:
                number, handler = self._handlers.popitem()
                signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal` itself has given

    def hear(self, number: signal.Signals) -> None:
        """Listen to one more signal while others are heard."""
        self._handlers[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.asked_by = signal.Signals(number)
        if self._answered:
            os._exit(InterruptedRunError.exit_code)
        self._raised = []  # a request of its own: whoever asks again, while things are tidied up, does not want to wait
        _set_timer(_AGAIN_S)
        self._raise()

    def _ask_again(self, _signal: int, _frame: FrameType | None) -> None:
        self.check()

    def _raise(self) -> None:
        self._raised.append(KeyboardInterrupt())
        raise self._raised[-1]

    def _on_its_way(self) -> bool:
        """Whether the code that runs now does so because of the latest request: it tidies up, or says goodbye."""
        return any(error is raised for error in _with_contexts(sys.exception()) for raised in self._raised)

    def _keep_quiet(self, hook: "_Hook") -> "_Hook":
        """Python's word about a discarded exception is left out where that will be raised again."""

        def tell(lost: "sys.UnraisableHookArgs") -> None:
            if not any(lost.exc_value is raised for raised in self._raised):
                hook(lost)

        return tell


class Interruptible:
    """Events of a process that may be asked to end: every progress looks whether it was."""

    def __init__(self, events: Events, interruption: Interruption) -> None:
        self._events, self._interruption = events, interruption

    def info(self, message: str) -> None:
        """Say something worth knowing."""
        self._interruption.check()
        self._events.info(message)

    def warn(self, message: str) -> None:
        """Say something that may make the result worse than the user thinks."""
        self._interruption.check()
        self._events.warn(message)

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        """Show a bar."""
        self._interruption.check()
        with self._events.track(label, total=total, unit=unit) as progress:
            yield _InterruptibleProgress(progress, self._interruption)


class _InterruptibleProgress:
    def __init__(self, progress: Progress, interruption: Interruption) -> None:
        self._progress, self._interruption = progress, interruption

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self._interruption.check()
        self._progress.advance(steps, **fields)


def heed_no_more(exit_code: int) -> None:
    """A process whose work is over ends as it would anyway, only at once, when it is asked to."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        os._exit(exit_code)

    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def end_at_once(exit_code: int) -> NoReturn:
    """End a process that was asked to, once all is said.

    The interpreter is not taken apart: with torch, that takes seconds, in which another signal would have its default effect
    and with that another exit code.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - as the interpreter does first; there is no other way to ask for it
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed, or its reader has gone
            stream.flush()
    os._exit(exit_code)


def is_interrupted(error: BaseException) -> bool:
    """Whether an exception says that this process was asked to end, or arose while things were tidied up because of that."""
    return any(isinstance(each, KeyboardInterrupt) for each in _with_contexts(error))


def _with_contexts(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, the one that was being handled when it arose, and so on."""
    while error is not None:
        yield error
        error = error.__context__


def _set_timer(interval_s: float) -> None:
    if _HAS_TIMER:
        signal.setitimer(signal.ITIMER_REAL, interval_s, interval_s)
