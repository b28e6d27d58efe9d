"""Where the work of a command is done: the table of executors, and what the user chose."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from autoseg.catalogue.extras import require_extra
from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.jobs.local import Local
from autoseg.jobs.machine import processes
from autoseg.jobs.work import Executor, ExecutorName


class Choices(Protocol):
    """What the user chose."""

    @property
    def jobs(self) -> int | Literal["auto"]:
        """How much is done at a time."""

    @property
    def executor(self) -> ExecutorName:
        """Where."""

    @property
    def scheduler(self) -> str | None:
        """Address of a scheduler, for `dask`."""

    @property
    def slurm_settings(self) -> Path | None:
        """File of settings, for `slurm`; None: where it is looked for."""


@dataclass(frozen=True)
class Place:
    """Where a command works.

    Attributes:
        choices: what the user chose.
        folder: one that workers on other machines must see.
        write: whether a file may be written into it for the while.
        events: told what is done where.
    """

    choices: Choices
    folder: Path
    write: bool
    events: Events

    @property
    def jobs(self) -> int | None:
        """Tasks at a time on a cluster; None: as many as there are workers for."""
        return None if self.choices.jobs == "auto" else self.choices.jobs


def open_executor(choices: Choices, *, folder: Path, events: Events, write: bool = True) -> AbstractContextManager[Executor]:
    """What carries out the work of a command, as the user chose.

    Args:
        choices: what the user chose.
        folder: one that workers on other machines must see, or a file in it.
        events: told what is done where.
        write: whether a file may be written into the folder for the while, by which it is recognised.

    Raises:
        SystemFailureError: there is no scheduler, or a worker cannot work for this command.
        UsageError: choices contradict one another, or the extra `cluster` is missing.
    """
    check_choices(choices)
    return EXECUTORS[choices.executor](Place(choices, folder, write, events))


def check_choices(choices: Choices) -> None:
    """Refuse choices that contradict one another, or need what is not installed.

    Raises:
        UsageError: names them.
    """
    if choices.executor == "dask" and choices.scheduler is None:
        raise UsageError(
            "the executor dask needs the address of a scheduler", remedy="Name it: --scheduler tcp://HOST:8786."
        )
    if choices.executor != "dask" and choices.scheduler is not None:
        raise UsageError("a scheduler is named, and the executor is not dask", remedy="Add --executor dask.")
    if choices.executor != "slurm" and choices.slurm_settings is not None:
        raise UsageError("settings of SLURM are named, and the executor is not slurm", remedy="Add --executor slurm.")
    if choices.executor != "local":
        require_extra("cluster", f"the executor {choices.executor}", elsewhere=", here and where the workers run")


def _local(place: Place) -> AbstractContextManager[Executor]:
    return nullcontext(Local(processes(place.choices.jobs)))


@contextmanager
def _dask(place: Place) -> Iterator[Executor]:
    from autoseg.jobs.cluster.client import on_scheduler  # noqa: PLC0415 - an extra

    address = place.choices.scheduler or ""
    with on_scheduler(address, jobs=place.jobs, folder=place.folder, write=place.write, events=place.events) as executor:
        yield executor


@contextmanager
def _slurm(place: Place) -> Iterator[Executor]:
    from autoseg.jobs.cluster.settings import read_settings  # noqa: PLC0415 - as below
    from autoseg.jobs.cluster.slurm import on_slurm  # noqa: PLC0415 - an extra

    settings = read_settings(place.choices.slurm_settings)
    with on_slurm(settings, jobs=place.jobs, folder=place.folder, write=place.write, events=place.events) as executor:
        yield executor


EXECUTORS: Final[Mapping[ExecutorName, Callable[[Place], AbstractContextManager[Executor]]]] = {
    "local": _local,
    "dask": _dask,
    "slurm": _slurm,
}
"""Where work is done, by the name that users call it."""
