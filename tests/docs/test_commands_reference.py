"""The reference page of all commands is what their options say."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

from autoseg.commands import COMMANDS, FUNCTIONS, module_of
from autoseg.options.declaration import options_of

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (FOLDER / "commands.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## )", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_page_is_current() -> None:
    written = subprocess.run(
        [sys.executable, str(FOLDER / "generate_commands.py")], capture_output=True, check=True, encoding="utf-8"
    )
    remedy = "run: python docs/reference/generate_commands.py > docs/reference/commands.md"
    assert written.stdout == PAGE, remedy
    assert runpy.run_path(str(FOLDER / "generate_commands.py"))["reference"]() == PAGE


def test_every_option_of_every_command_has_its_row() -> None:
    for name in COMMANDS:
        text = section(name)
        for each in options_of(module_of(name).COMMAND.options):
            if each.declared.on_console:
                shown = each.flags[0] if each.flags else each.declared.metavar or each.name.upper()
                assert f"`{shown}`" in text or f"`--no-{shown.removeprefix('--')}`" in text
            if each.name != "events" and name in FUNCTIONS:
                assert f"`{each.name}`" in text
