"""A function made from options."""

import inspect
from collections.abc import Sequence
from dataclasses import KW_ONLY
from pathlib import Path

import pytest
from oracles.watched_runs import Recorder

from autoseg.commands import COMMANDS
from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.options.command import Command, Output, function, shown
from autoseg.options.declaration import DeviceOption, Options, PathOption, argument, option


class GreetOptions(Options):
    """Greet somebody."""

    name: PathOption = argument("Whom.")
    _: KW_ONLY
    times: int = option("How often.", default=1, least=1)


def run(options: GreetOptions, events: Events) -> str:
    """Greet."""
    assert options.events is None
    events.info("greeting")
    return f"{options.name} " * options.times


greet = function(GreetOptions, run)


def test_a_function_makes_its_options_and_runs() -> None:
    assert greet("Ada") == "Ada "
    assert greet(Path("Ada"), times=2) == "Ada Ada "


def test_events_are_told() -> None:
    events = Recorder()
    greet("Ada", events=events)
    assert events.notes == ["greeting"]


def test_its_signature_is_that_of_the_options() -> None:
    parameters = inspect.signature(greet).parameters
    assert [(name, each.kind.name, each.default) for name, each in parameters.items()] == [
        ("name", "POSITIONAL_OR_KEYWORD", inspect.Parameter.empty),
        ("times", "KEYWORD_ONLY", 1),
        ("events", "KEYWORD_ONLY", None),
    ]
    assert parameters["name"].annotation == str | Path
    assert inspect.signature(greet).return_annotation is str


def test_its_docstring_is_made_of_the_help() -> None:
    assert greet.__doc__ is not None
    lines = greet.__doc__.splitlines()
    assert lines[0] == "Greet somebody."
    assert "    name: Whom." in lines
    assert "    times: How often." in lines


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((), {}, "missing a required argument: 'name'"),
        (("Ada", 2), {}, "too many positional arguments"),
        (("Ada",), {"time": 2}, r"there is no option time\. Did you mean times\?"),
        (("Ada",), {"times": 0}, "times: has an impossible value; expected a whole number at least 1; found 0"),
    ],
)
def test_what_cannot_be_called(arguments: tuple[object, ...], options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        greet(*arguments, **options)  # type: ignore[arg-type]


def test_a_command_is_explained_by_its_options() -> None:
    command = Command(GreetOptions, run, lambda text: Output(text, {}), example="greet Ada")
    assert command.help == "Greet somebody."
    assert len(set(COMMANDS)) == len(COMMANDS)


def test_a_function_that_is_told_no_events_shows_its_work() -> None:
    default, given = Recorder(), Recorder()
    shows = shown(greet, lambda: default)
    shows("Ada", events=given)
    assert (given.notes, default.notes) == (["greeting"], [])
    shows("Ada")
    shows("Ada", events=None)
    assert default.notes == ["greeting"] * 2
    assert inspect.signature(shows) == inspect.signature(greet)
    assert shows.__doc__ == greet.__doc__


class RunOptions(Options):
    """Run somewhere."""

    device: DeviceOption = option("Where.", default="auto")


def run_somewhere(options: RunOptions, events: Events) -> str:
    """Run."""
    return str(options.device)


def test_a_signature_shows_what_users_give() -> None:
    somewhere = function(RunOptions, run_somewhere)
    assert inspect.signature(somewhere).parameters["device"].annotation == str | Sequence[str]
    assert somewhere(device=["cuda:0", "cuda:1"]) == "cuda:0,cuda:1"
