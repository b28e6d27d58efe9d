"""The reference of all commands, made from their options: writes docs/reference/commands.md to standard output."""

import dataclasses
import sys
from collections.abc import Iterator

from autoseg.cli.runner import DetailOptions, OutputOptions
from autoseg.commands import COMMANDS, FUNCTIONS, module_of
from autoseg.options.declaration import Declared, Option, Options, options_of

HEAD = """# Commands: every option

*Made from the code by `python docs/reference/generate_commands.py > docs/reference/commands.md`; do not edit.*

Each command is also a function of the same name (`autoseg.train`), except `preprocess` and `demo`; `load_model` is a
function alone. A function takes the options below under the names in the column *Python*, those marked *by position*
without a name, too, paths as text or `pathlib.Path`. Wrong options are errors with exit code 2 that name what is allowed.
In the column *default*, nothing stands for what the text says.

`--jobs` means the same everywhere: how many processes work side by side. `auto`, the default of the command line, is one per
core, at most 8; where `train` has several runs, `auto` preprocesses with so many and trains one run after another, and
`predict` uses one process on this machine unless a number is given. In
Python the default is 1, because a script that starts processes has to be guarded by `if __name__ == "__main__":`.
"""

COMMON = """
## Options of all commands

Beside these there is `--help`; `autoseg --version` says which version is installed.
"""

EVENTS = """
Every function also takes `events`, an object that is notified of progress and warnings (`autoseg.events.Events`). Without it
they are shown: below the cell in a notebook, else on stderr as by the command. `events=autoseg.silent` shows nothing.
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for name in COMMANDS for line in _command(name)), *_load_model(), *_common()])


def _command(name: str) -> Iterator[str]:
    command = module_of(name).COMMAND
    yield f"## {name}\n"
    yield f"{command.help}\n"
    yield f"```sh\n{command.example}\n```\n"
    yield from _table(command.options, python=name in FUNCTIONS)
    if command.has_details:
        (full,) = [each for each in options_of(DetailOptions) if each.name not in _names(OutputOptions)]
        yield f"{_flags(full)} on the command line: {_text(full.declared.help)}\n"


def _names(declared: type[Declared]) -> set[str]:
    return {each.name for each in options_of(declared)}


def _load_model() -> Iterator[str]:
    options = module_of("load_model").LoadOptions
    yield f"## load_model\n\n{options.__doc__}\n"
    yield '```python\nautoseg.load_model("runs/IBSR18")\n```\n'
    yield from _table(options, python=True, console=False)


def _common() -> Iterator[str]:
    yield COMMON
    yield from _table(OutputOptions, python=False)
    yield EVENTS.rstrip()
    yield ""


def _table(declared: type[Declared], *, python: bool, console: bool = True) -> Iterator[str]:
    heads = [*(["command line"] if console else []), *(["Python"] if python else []), "values", "default", "what it is for"]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for each in options_of(declared):
        if each.name not in Options.__annotations__ and (python or each.declared.on_console):
            cells = [*([_flags(each)] if console else []), *([_name(each)] if python else [])]
            cells += [each.words, _default(each, python=python, console=console), _text(each.declared.help)]
            yield f"| {' | '.join(cells)} |"
    yield ""


def _text(help_text: str) -> str:
    """Text of a cell, in which nothing is taken for a tag of HTML."""
    return "`".join(part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(help_text.split("`")))


def _flags(each: Option) -> str:
    if each.required:
        return f"`{each.declared.metavar or each.name.upper()}`"
    flags = list(each.flags)
    if each.is_switch and each.default:
        flags = [f"--no-{flag.removeprefix('--')}" for flag in flags]
    return ", ".join(f"`{flag}`" for flag in flags)


def _name(each: Option) -> str:
    return f"`{each.name}`" + ("" if each.by_name else ", by position")


def _default(each: Option, *, python: bool, console: bool) -> str:
    if each.default is dataclasses.MISSING:
        return "required"
    if not console or each.default == each.console_default or not python:
        value = each.default if python and not console else each.console_default
        return "" if value in {None, ()} else f"`{value}`"
    return f"`{each.console_default}`; in Python `{each.default}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
