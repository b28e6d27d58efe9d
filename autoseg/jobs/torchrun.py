"""What `torchrun` tells the processes that it starts, which train one network together; found without loading torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from autoseg.errors import UsageError

_NEEDED: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Source: torch's documentation of torchrun."""


@dataclass(frozen=True)
class Launched:
    """This process among those that were started together.

    Attributes:
        rank: its number among all of them.
        size: how many there are.
        local_rank: its number among those of this machine.
        local_size: how many are on this machine.
        restarts: how often all of them were started again, after one had failed.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    restarts: int = 0


def launched(environment: Mapping[str, str] = os.environ) -> Launched | None:
    """What the environment says; None where it speaks of no other process.

    Raises:
        UsageError: it is incomplete, or does not make sense.
    """
    if not of_several(environment):
        return None
    if missing := [name for name in _NEEDED if not environment.get(name)]:
        raise UsageError(
            f"the environment speaks of processes that train together, but not of {', '.join(missing)}",
            remedy="Start with `torchrun`, which sets what they need, or unset WORLD_SIZE.",
        )
    size, local_size = (_number(environment, name, least=1) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    rank, local_rank = (_number(environment, name, least=0) for name in ("RANK", "LOCAL_RANK"))
    return Launched(rank, size, local_rank, local_size, restarts=int(environment.get("TORCHELASTIC_RESTART_COUNT", "0")))


def of_several(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is one of several that were started together."""
    return environment.get("WORLD_SIZE", "1") != "1"


def told_by_another(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the first of several processes tells the user what all of them do."""
    return of_several(environment) and environment.get("RANK", "0") != "0"


def _number(environment: Mapping[str, str], name: str, *, least: int) -> int:
    value = environment[name]
    if not value.isascii() or not value.isdigit() or int(value) < least:
        raise UsageError(
            "the environment speaks of processes that train together, but not of how many, or of which this is",
            where=name,
            expected=f"a whole number of at least {least}",
            found=repr(value),
            remedy="Start with `torchrun`, which sets it, or unset WORLD_SIZE.",
        )
    return int(value)
