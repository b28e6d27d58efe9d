"""A command, made from its options: a function for Python, and what the command line needs to know."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from textwrap import wrap
from typing import Any, Final, Generic, ParamSpec, TypeVar, cast, get_type_hints

from autoseg.catalogue import DeviceChoice
from autoseg.errors import UsageError
from autoseg.events import Events, Silent
from autoseg.options.declaration import Options, did_you_mean, options_of

_AS_GIVEN: Final[Mapping[Any, Any]] = {
    DeviceChoice: str | Sequence[str],
    DeviceChoice | None: str | Sequence[str] | None,
}
"""What users give for an option that commands read as something else."""

_P = ParamSpec("_P")
_Options = TypeVar("_Options", bound=Options)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Table:
    """What a command shows as a table, where it talks to a person.

    Attributes:
        title: what it shows.
        columns: headings.
        rows: as many cells each as there are columns. The first cell of a row is what it is about; empty: as the row above.
        headings: whether the headings are shown; they are left out where the cells speak for themselves.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    headings: bool = True


@dataclass(frozen=True)
class Output:
    """What a command says when it is done.

    Attributes:
        text: a few lines for people.
        document: the same as data, for `--json`.
        tables: what is shown above the lines.
        details: what `--full` shows in the place of `tables`, for commands that have details.
    """

    text: str
    document: Mapping[str, Any]
    tables: Sequence[Table] = field(default=())
    details: Sequence[Table] = field(default=())


@dataclass(frozen=True)
class Command(Generic[_Result]):
    """What the command line needs to know about a command.

    Attributes:
        options: its class of options, whose docstring says what the command does.
        run: does it.
        describe: says what was done.
        example: a command line for the help.
        requeued: whether options ask for a job of a batch system that is preempted to be requeued.
        has_details: whether there is more to show than is shown without `--full`.
    """

    options: type[Options]
    run: Callable[[Any, Events], _Result]
    describe: Callable[[_Result], Output]
    example: str
    requeued: Callable[[Any], bool] = lambda _: False
    has_details: bool = False

    @property
    def help(self) -> str:
        """What the command does; the first line on its own says it in short."""
        return inspect.getdoc(self.options) or ""


def function(options: Callable[_P, _Options], run: Callable[[_Options, Events], _Result]) -> Callable[_P, _Result]:
    """A command as a function of its options: the same names, types, defaults and help.

    Args:
        options: the class of options.
        run: does the work; the function is called like the module that it is in.

    Returns:
        a function that raises UsageError for options that are unknown or cannot be what they are.
    """
    declared = cast(type[_Options], options)
    signature = _signature(declared, run)
    name = run.__module__.rpartition(".")[2]

    def call(*args: _P.args, **kwargs: _P.kwargs) -> _Result:
        _check_names(f"autoseg.{name}", signature, args, kwargs)
        chosen = options(*args, **kwargs)
        return run(replace(chosen, events=None), chosen.events or Silent())

    call.__name__ = call.__qualname__ = name
    call.__module__ = "autoseg"
    call.__doc__ = _docstring(declared)
    call.__signature__ = signature  # type: ignore[attr-defined]  # what help() and notebooks show
    return call


def shown(called: Callable[_P, _Result], events: Callable[[], Events]) -> Callable[_P, _Result]:
    """The same function, which shows its work where it is not told how.

    Args:
        called: made by `function`.
        events: makes what is notified of a call that is given no `events`.
    """

    @wraps(called)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _Result:
        if kwargs.get("events") is None:
            kwargs["events"] = events()
        return called(*args, **kwargs)

    return call


def _signature(declared: type[Options], run: Callable[..., object]) -> inspect.Signature:
    types = get_type_hints(declared)  # a name from a table is a text here
    parameters = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY if each.by_name else inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if each.required else each.default,
            annotation=_AS_GIVEN.get(types[each.name], types[each.name]),
        )
        for each in options_of(declared)
    ]
    return inspect.Signature(parameters, return_annotation=inspect.signature(run).return_annotation)


def _check_names(called: str, signature: inspect.Signature, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
    for name in kwargs:
        if name not in signature.parameters:
            known = tuple(signature.parameters)
            remedy = did_you_mean(name, known) or f"Choose among {', '.join(known)}."
            raise UsageError(f"there is no option {name}", where=called, remedy=remedy)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as problem:
        raise UsageError(str(problem), where=called, remedy=f"See help({called}).") from None


def _docstring(declared: type[Options]) -> str:
    """What a command does and its options, in Google style."""
    arguments = [
        line
        for each in options_of(declared)
        for line in wrap(f"    {each.name}: {each.help_in_python}", width=100, subsequent_indent=" " * 8)
    ]
    raises = ["Raises:", "    AutosegError: what is wrong, where, and what to do next."]
    return "\n".join([inspect.getdoc(declared) or "", "", "Args:", *arguments, "", *raises])
