"""Garbage whose collection runs callbacks, in the midst of which a signal arrives: Python discards what these raise."""

import gc
import signal
import weakref


class _Litter:
    """Refers to itself, so that the garbage collector alone takes it away."""

    def __init__(self) -> None:
        self.itself = self


def interrupt_collection(number: signal.Signals) -> None:
    """Collect garbage full of callbacks, each of which is met by a signal."""
    pieces = [_Litter() for _ in range(50)]
    watchers = [weakref.ref(piece, lambda _: signal.raise_signal(number)) for piece in pieces]
    del pieces
    gc.collect()
    assert not any(watcher() for watcher in watchers)
