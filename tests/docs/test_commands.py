"""Every command line in the documentation is one that the command would accept."""

import re
import shlex
from pathlib import Path

import click
import pytest

from autoseg.cli.app import app
from autoseg.commands import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def command_lines(page: Path) -> list[list[str]]:
    """The arguments of every `autoseg` line in the page's code blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    parts = [part for block in blocks for line in block.splitlines() for part in line.split("&&")]
    words = [shlex.split(part, comments=True) for part in parts]
    words = [line[3:] if line[:2] == ["taskset", "-c"] else line for line in words]
    return [line[1:] for line in words if line[:1] == ["autoseg"]]


LINES = [(page.relative_to(ROOT), line) for page in PAGES for line in command_lines(page)]


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {' '.join(line)}" for page, line in LINES])
def test_the_command_takes_these_arguments(page: Path, line: list[str]) -> None:
    name, *arguments = line
    command = app.get_command(click.Context(app), name)
    assert command is not None, f"{page} names a command that is not there"
    command.make_context(name, arguments)  # raises where an option or a value is unknown


def test_the_tutorial_shows_every_command() -> None:
    shown = {line[0] for line in command_lines(ROOT / "docs" / "tutorial.md")}
    assert set(COMMANDS) - shown == {"demo", "preprocess"}  # the README's, and what `train` does by itself
