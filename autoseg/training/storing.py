"""What an epoch leaves behind is stored while a device computes the next one.

A thread writes copies that the host took of everything, so that nothing waits for the disk and nothing that is written can
change meanwhile. Where the processor itself computes, it stores before it goes on: a thread would only take its time.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import torch

from autoseg.model.bundle import HasState


@dataclass(frozen=True)
class Copied:
    """What a network or an optimiser held at some moment, in the host's memory.

    Attributes:
        state: its `state_dict`.
    """

    state: Mapping[str, Any]

    def state_dict(self) -> Mapping[str, Any]:
        """All that it held."""
        return self.state


class Storing:
    """Stores one epoch after the other.

    Args:
        beside: whether a thread stores, while the run goes on.
    """

    def __init__(self, *, beside: bool) -> None:
        self._beside = beside
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storing")
        self._running: Future[None] | None = None
        self.seconds = 0.0
        """How long storing took beside the run the last time."""

    def of(self, holder: HasState) -> HasState:
        """What can be stored: the holder itself, or a copy of what it holds now."""
        return Copied(_on_host(holder.state_dict())) if self._beside else holder

    def begin(self, store: Callable[[], None]) -> None:
        """Store an epoch, after the one before it; raises what went wrong with that one."""
        self.end()
        if self._beside:
            self._running = self._thread.submit(self._timed, store)
        else:
            store()

    def end(self) -> None:
        """Wait until everything is stored; raises what went wrong."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def close(self) -> None:
        """Wait for what is being stored; whatever else ends the run is raised."""
        if self._running is not None:
            wait([self._running])
        self._thread.shutdown()

    def _timed(self, store: Callable[[], None]) -> None:
        started = time.monotonic()
        store()
        self.seconds = time.monotonic() - started


def _on_host(value: Any) -> Any:
    """Copies of all tensors in nested mappings and lists."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _on_host(each) for key, each in value.items()}
    return [_on_host(each) for each in value] if isinstance(value, list) else value
