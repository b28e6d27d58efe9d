"""Options, declared once: what a class of them knows, and what it refuses."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, FrozenInstanceError
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from autoseg.errors import UsageError
from autoseg.events import Silent
from autoseg.options.declaration import Declaration, Jobs, OptionalPath, Options, PathOption, argument, option, options_of

SIZE = Declaration("How large.", least=1, most=9, console_default="auto")


class Own(Options):
    """Own options."""

    place: PathOption = argument("Where.", metavar="DIR")
    _: KW_ONLY
    colour: Literal["red", "green"] | None = option("Which.", "--color", "-c", default=None)
    count: Jobs = option(SIZE, default=1)
    share_mm: float = option("How much.", default=0.5, above=0)
    numbers: int | Sequence[int] = option("Which ones.", default=0, least=0, most=9)
    title: str = option("How called.", default="none")
    loud: bool = option("Whether.", default=False)
    folder: OptionalPath = option("Where else.", default=None)
    words: Sequence[str] = option("Words.", default=())
    others: Sequence[str | Path] | None = option("Where also.", default=None, on_console=False)


BY_NAME = {each.name: each for each in options_of(Own)}


def test_the_class_is_frozen_and_takes_texts_for_paths() -> None:
    own = Own("a", folder=Path("b"), others=["c", Path("d")])
    assert (own.place, own.folder, own.others) == (Path("a"), Path("b"), (Path("c"), Path("d")))
    with pytest.raises(FrozenInstanceError):
        own.loud = True  # type: ignore[misc]
    assert own == Own(Path("a"), folder="b", others=("c", "d"))


def test_the_order_is_that_of_the_declaration_with_events_last() -> None:
    assert list(BY_NAME)[:5] == ["place", "colour", "count", "share_mm", "numbers"]
    assert list(BY_NAME)[5:] == ["title", "loud", "folder", "words", "others", "events"]
    assert [name for name, each in BY_NAME.items() if not each.by_name] == ["place"]


def test_flags_follow_from_names_unless_declared() -> None:
    flags = {name: each.flags for name, each in BY_NAME.items()}
    assert flags["place"] == ()
    assert flags["share_mm"] == ("--share-mm",)
    assert flags["colour"] == ("--color", "-c")


def test_a_shared_declaration_is_the_same_everywhere() -> None:
    assert BY_NAME["count"].declared is SIZE
    assert BY_NAME["count"].console_default == "auto"
    assert BY_NAME["title"].console_default == "none"


@pytest.mark.parametrize(
    ("name", "value", "becomes"),
    [
        ("count", 9, 9),
        ("count", "auto", "auto"),
        ("count", np.int64(3), 3),
        ("share_mm", 1, 1.0),
        ("share_mm", np.float32(0.25), 0.25),
        ("colour", None, None),
        ("others", (), ()),
        ("words", ["a"], ("a",)),
        ("numbers", 3, 3),
        ("numbers", [3, np.int64(1)], (3, 1)),
    ],
)
def test_what_an_option_takes(name: str, value: Any, becomes: Any) -> None:
    found = getattr(Own("a", **{name: value}), name)
    assert found == becomes
    assert type(found) is type(becomes)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("place", 3, "a path"),
        ("place", None, "a path"),
        ("colour", "blue", "red or green"),
        ("count", 10, "a whole number from 1 to 9 or auto"),
        ("count", 0, "a whole number from 1 to 9 or auto"),
        ("count", True, "a whole number from 1 to 9 or auto"),
        ("count", 2.0, "a whole number from 1 to 9 or auto"),
        ("count", "2", "a whole number from 1 to 9 or auto"),
        ("share_mm", 0, "a number above 0"),
        ("share_mm", float("nan"), "a number above 0"),
        ("share_mm", "1", "a number above 0"),
        ("title", "", "a text that is not empty"),
        ("title", None, "a text that is not empty"),
        ("loud", 1, "True or False"),
        ("others", "a", "a list of paths"),
        ("others", [3], "a list of paths"),
        ("words", "a", "a list of texts that are not empty"),
        ("words", ["a", ""], "a list of texts that are not empty"),
        ("numbers", [1, 1], "a whole number from 0 to 9 or a list of different ones, such as 1,2,3"),
        ("numbers", [1, 10], "a whole number from 0 to 9 or a list of different ones, such as 1,2,3"),
        ("numbers", [], "a whole number from 0 to 9 or a list of different ones, such as 1,2,3"),
        ("numbers", "1,2", "a whole number from 0 to 9 or a list of different ones, such as 1,2,3"),
    ],
)
def test_what_an_option_refuses(name: str, value: Any, expected: str) -> None:
    with pytest.raises(UsageError) as refused:
        Own(**{"place": "a", name: value})
    assert refused.value.where == name
    assert refused.value.expected == expected


def test_a_similar_value_is_suggested() -> None:
    with pytest.raises(UsageError, match=r"Did you mean green\?"):
        Own("a", colour="grene")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "4", 4),
        ("count", "auto", "auto"),
        ("share_mm", "1e-2", 0.01),
        ("title", "7", "7"),
        ("place", "x", Path("x")),
        ("numbers", "7", 7),
        ("numbers", "7,0, 3", (7, 0, 3)),
    ],
)
def test_texts_of_a_command_line(name: str, text: str, value: Any) -> None:
    assert BY_NAME[name].parsed(text, called=f"--{name}") == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("count", "four"), ("count", "1.5"), ("share_mm", "nan"), ("colour", ""), ("numbers", "1,b"), ("numbers", "1,")],
)
def test_texts_that_stand_for_nothing(name: str, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        BY_NAME[name].parsed(text, called="--it")
    assert refused.value.where == "--it"
    assert refused.value.found == text


def test_events_are_passed_on_as_they_are() -> None:
    events = Silent()
    assert Own("a", events=events).events is events
