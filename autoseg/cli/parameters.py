"""Options of a class as parameters of the command line."""

from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from autoseg.options.declaration import Declared, Option, options_of

_METAVARS: Final = {int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}


def parameters(declared: type[Declared]) -> list[click.Parameter]:
    """The options of a class that the command line has, in their order."""
    return [_parameter(each) for each in options_of(declared) if each.declared.on_console]


def chosen(declared: type[Declared], context: click.Context) -> dict[str, Any]:
    """What a command line gives for the options of a class; what it leaves out is not there, or is the console's default."""
    given: dict[str, Any] = {}
    for each in options_of(declared):
        source = context.get_parameter_source(each.name)
        if source is click.core.ParameterSource.COMMANDLINE:
            given[each.name] = context.params[each.name]
        elif each.declared.console_default is not None:
            given[each.name] = each.declared.console_default
    return given


class Argument(click.Argument):
    """An argument with a line of help, which click leaves to the text of the command."""

    def __init__(self, option: Option) -> None:
        several = option.is_list
        kind = click.Path() if several else Value(option, _metavar(option))
        super().__init__([option.name], metavar=_metavar(option), type=kind, nargs=-1 if several else 1, required=True)
        self.explanation = option.declared.help


class Value(click.ParamType):  # type: ignore[type-arg]  # no generic class before click 8.4
    """The value of an option, checked by the option itself."""

    def __init__(self, option: Option, called: str) -> None:
        self.name = option.name
        self._option, self._called = option, called

    @property
    def words(self) -> str:
        """What the value may be, in words."""
        return self._option.words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002 - click's
        """The value that a text stands for."""
        return self._option.parsed(value, called=self._called) if isinstance(value, str) else value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """What a shell may offer: the texts it may be, or files."""
        if Path in self._option.types:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(choice) for choice in self._option.choices if choice.startswith(incomplete)]


def _parameter(option: Option) -> click.Parameter:
    if option.required:
        return Argument(option)
    if option.is_switch:
        long, *short = option.flags
        flags = [f"{long}/--no-{long.removeprefix('--')}"] if option.default else [long]
        return click.Option([option.name, *flags, *short], is_flag=True, help=_help(option))
    if option.is_list:
        return click.Option(
            [option.name, *option.flags],
            multiple=True,
            type=Value(option, option.flags[0]) if Path in option.types else None,
            metavar=_metavar(option),
            help=_help(option),
        )
    return click.Option(
        [option.name, *option.flags],
        type=Value(option, option.flags[0]),
        metavar=_metavar(option),
        help=_help(option),
    )


def _metavar(option: Option) -> str:
    if option.declared.metavar is not None:
        return option.declared.metavar
    if option.required:
        return option.name.upper()
    return "|".join(kind if isinstance(kind, str) else _METAVARS[kind] for kind in option.types)


def _help(option: Option) -> str:
    default = option.console_default
    shown = "" if default in {None, ()} or option.is_switch else f"  [default: {default}]"
    return option.declared.help + shown
