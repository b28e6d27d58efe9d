"""Where ranks meet: a store of keys and values, in which each can leave word without waiting for the others."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from torch.distributed import (  # type: ignore[attr-defined]  # missing in torch's __all__
    DistError,
    PrefixStore,
    Store,
    TCPStore,
)
from torch.distributed.rendezvous import rendezvous

from autoseg.errors import LostRankError
from autoseg.jobs.torchrun import Launched

_LOOPBACK: Final = "127.0.0.1"
_LOOK_EVERY_S: Final = 0.1
"""Time between two looks for a word that is awaited. Source: ours; nobody notices such a delay at either end of a run."""

_PARTING_S: Final = 30.0
"""How long rank 0 waits for the others to be told that all have come. Source: ours; they look ten times a second."""

_FAILED: Final = "failed"


@dataclass(frozen=True)
class Meeting:
    """Where the ranks of one machine meet.

    Attributes:
        port: of a store that `hosted_store` keeps.
        rank: of this process.
        size: how many there are.
    """

    port: int
    rank: int
    size: int


@contextmanager
def hosted_store() -> Iterator[int]:
    """Keep a store for ranks on this machine, on a port that was free, which this gives."""
    store = TCPStore(_LOOPBACK, 0, is_master=True, wait_for_workers=False)
    yield store.port
    del store  # until here it answers


class Rendezvous:
    """A rank's view of the store.

    Args:
        at: where it is; of torchrun's ranks, their environment says so.
        timeout_s: how long to wait for the store.
    """

    def __init__(self, at: Meeting | Launched, *, timeout_s: float) -> None:
        self.rank, self.size = at.rank, at.size
        timeout = timedelta(seconds=timeout_s)
        if isinstance(at, Meeting):
            found: Store = TCPStore(_LOOPBACK, at.port, is_master=False, timeout=timeout)
        else:
            found, _, _ = next(rendezvous("env://", timeout=timeout))
        attempt = at.restarts if isinstance(at, Launched) else 0
        self._store = PrefixStore(f"autoseg/{attempt}", found)
        self._waits = 0

    @property
    def of_connections(self) -> Store:
        """What torch's process group needs to find the others."""
        return PrefixStore("connections", self._store)

    def wait_for_all(self) -> None:
        """Wait until every rank is here, however long that takes.

        Raises:
            LostRankError: one has failed meanwhile.
        """
        self._waits += 1
        key = f"here/{self._waits}"
        self._store.add(key, 1)
        while self._store.add(key, 0) < self.size:
            if self._store.add(_FAILED, 0):
                raise LostRankError.of(told=True)
            time.sleep(_LOOK_EVERY_S)

    def part(self) -> None:
        """Leave for good; rank 0, with which the store may end, leaves last."""
        left = self._store.add("left", 1)
        until = time.monotonic() + _PARTING_S
        while self.rank == 0 and left < self.size and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
            left = self._store.add("left", 0)

    def first_to_fail(self) -> bool:
        """Leave word that this rank has failed; says whether no other one had before, so that this one is to say why."""
        with suppress(DistError):  # the store went with whoever kept it
            return self._store.add(_FAILED, 1) == 1
        return True
