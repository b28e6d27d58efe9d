"""Attempts that do what none may: to see that it is noticed."""

import os
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Misbehave:
    """Every fifth attempt is well-behaved; the others raise, fill the memory, hang and crash."""

    def prepare(self) -> None:
        """Nothing is needed."""

    def __call__(self, number: int) -> str:
        ways = (self._nothing, self._raise, self._fill, self._hang, self._crash)
        ways[number % len(ways)]()
        return "well"

    def _nothing(self) -> None:
        return

    def _raise(self) -> None:
        msg = "on purpose"
        raise RecursionError(msg)

    def _fill(self) -> None:
        bytearray(1200 << 20)

    def _hang(self) -> None:
        time.sleep(600)

    def _crash(self) -> None:
        os._exit(3)
