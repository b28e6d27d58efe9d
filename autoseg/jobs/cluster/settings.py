"""What a lab writes down once about its SLURM: where jobs go, and what each of them gets."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Final

from autoseg.catalogue import suggestion
from autoseg.errors import UsageError

PLACES: Final = (Path("~/.config/autoseg/slurm.toml"), Path("/etc/autoseg/slurm.toml"))
"""Where the file is looked for: one's own, then that of the machine."""


@dataclass(frozen=True)
class SlurmSettings:
    """How workers are started as SLURM jobs; all of it may be left out but `time` and `memory`.

    Attributes:
        time: longest time of a job, as sbatch takes it: "12:00:00".
        memory: memory of a job, as sbatch takes it: "16G".
        partition: where jobs go.
        account: who pays.
        cores: processor cores of a job: so many cases at a time, or one run.
        gpus: graphics cards of a job.
        jobs: jobs at a time where --jobs does not say.
        directives: more options of sbatch, each as one text: "--constraint=a100".
        before: shell commands before a worker starts, as to load modules.
        interface: network interface that workers reach this machine by.
        python: the Python that workers run; None: the one of this command.
        logs: folder of the jobs' output, on a file system that all machines share.
        scratch: folder of workers on their own machine.
    """

    time: str
    memory: str
    partition: str | None = None
    account: str | None = None
    cores: int = 1
    gpus: int = 0
    jobs: int = 4
    directives: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    interface: str | None = None
    python: str | None = None
    logs: str = "~/.cache/autoseg/slurm"
    scratch: str = "/tmp"  # noqa: S108 - a folder of each machine, in which workers make one of their own


def read_settings(path: Path | None) -> SlurmSettings:
    """Read settings of SLURM.

    Args:
        path: of a TOML file; None: the first of `PLACES` that is there.

    Raises:
        UsageError: there is none, or it cannot be used.
    """
    found = _find(path)
    try:
        document = tomllib.loads(found.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError("is no file of settings", where=found, found=error, remedy=_EXAMPLE) from None
    return parse_settings(document, where=found)


def parse_settings(document: Mapping[str, Any], *, where: Path) -> SlurmSettings:
    """Settings from what a file says.

    Raises:
        UsageError: a key is unknown or missing, or a value is not of its type.
    """
    known = {field.name: field for field in fields(SlurmSettings)}
    for name in document:
        if name not in known:
            what = f"has an unknown key {name}{suggestion(name, tuple(known))}"
            raise UsageError(what, where=where, remedy="Change it, or leave it out.")
    for name, field in known.items():
        if field.default is MISSING and name not in document:
            raise UsageError(f"lacks {name}", where=where, remedy=_EXAMPLE)
    return SlurmSettings(**{name: _value(name, value, where) for name, value in document.items()})


def _value(name: str, value: object, where: Path) -> Any:
    words, is_right = _NUMBERS.get(name) or _LISTS.get(name) or ("a text", _is_text)
    if not is_right(value):
        raise UsageError(f"{name} has an impossible value", where=where, expected=words, found=value, remedy="Change it.")
    return tuple(value) if isinstance(value, list) else value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\n" not in value


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _at_least(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


_NUMBERS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "cores": ("a whole number from 1", _at_least(1)),
    "gpus": ("a whole number from 0", _at_least(0)),
    "jobs": ("a whole number from 1", _at_least(1)),
}
_LISTS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "directives": ("a list of texts", _is_list),
    "before": ("a list of texts", _is_list),
}
_EXAMPLE: Final = 'Two lines are enough: time = "12:00:00" and memory = "16G".'


def _find(path: Path | None) -> Path:
    if path is not None:
        return path
    places = [place.expanduser() for place in PLACES]
    for place in places:
        if place.is_file():
            return place
    raise UsageError(
        "the executor slurm has no settings",
        expected=f"a file {' or '.join(map(str, places))}, or one named by --slurm-settings",
        remedy=_EXAMPLE,
    )
