"""Processes of this machine that work on items side by side.

An item over which processes end is given up after a few: the others go on, in processes that take the place of those lost.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from autoseg.errors import SystemFailureError
from autoseg.jobs.children import stop, stopping_held_back
from autoseg.jobs.server import TRIES, Outcome, Server, died, start_here, value_of
from autoseg.jobs.work import Apply

_AHEAD: Final = 16
"""Items per process that may be begun before the next result is there. Source: ours; bounds what waits for a slow one."""


@contextmanager
def crew(jobs: int) -> Iterator[Apply]:
    """Processes, started at once, which end with this context."""
    servers = list[Server]()
    try:
        for _ in range(jobs):
            _start(servers)
        yield _Crew(servers)
    finally:
        for server in servers:
            server.pipe.close()
        stop([server.process for server in servers])


def _start(servers: list[Server]) -> Server:
    with stopping_held_back():  # a process that was started is known, and can be stopped
        servers.append(Server(start_here))
    return servers[-1]


class _Crew:
    """Gives every process an item, and the next one when it has answered."""

    def __init__(self, servers: list[Server]) -> None:
        self._servers = servers

    def __call__(
        self,
        work: Callable[[Any], Any],
        items: Sequence[Any],
        /,
        *,
        on_death: Callable[[Any, SystemFailureError], Any] | None = None,
    ) -> Iterator[Any]:
        """`work` of every item, in order."""
        self._idle, self._busy = list(self._servers), dict[Connection, tuple[Server, int]]()
        self._waiting, self._deaths = deque(range(len(items))), Counter[int]()
        outcomes = dict[int, Outcome]()
        for wanted, item in enumerate(items):
            while wanted not in outcomes:
                self._assign(work, items, before=wanted + _AHEAD * len(self._servers))
                outcomes |= self._received()
            yield value_of(outcomes.pop(wanted), item, on_death)

    def _assign(self, work: Callable[[Any], Any], items: Sequence[Any], *, before: int) -> None:
        """Give idle processes the next items."""
        while self._idle and self._waiting and self._waiting[0] < before:
            server = self._idle.pop()
            if server.send(work, items[self._waiting[0]]):
                self._busy[server.pipe] = server, self._waiting.popleft()
            else:  # killed while it had nothing to do
                self._idle.append(self._replaced(server))

    def _received(self) -> dict[int, Outcome]:
        """What came of items meanwhile; waits for it."""
        outcomes = dict[int, Outcome]()
        for pipe in wait(list(self._busy)):
            server, number = self._busy[pipe]  # type: ignore[index]  # what `wait` was given
            try:
                outcome = server.receive()
            except EOFError:
                outcome = self._lost(server, number)
            else:
                if outcome is not None:
                    del self._busy[server.pipe]
                    self._idle.append(server)
            if outcome is not None:
                outcomes[number] = outcome
        return outcomes

    def _lost(self, server: Server, number: int) -> Outcome | None:
        """Have another process try an item over which one ended; its outcome where it was the last try."""
        del self._busy[server.pipe]
        server.process.join()
        self._idle.append(self._replaced(server))
        self._deaths[number] += 1
        if self._deaths[number] < TRIES:
            self._waiting.appendleft(number)
            return None
        return died(server.process.exitcode)

    def _replaced(self, server: Server) -> Server:
        server.pipe.close()
        server.process.join()
        self._servers.remove(server)
        return _start(self._servers)
