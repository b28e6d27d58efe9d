"""How a function shows its work where nobody says how: as the place it runs in allows."""

import sys

from autoseg.cli.notebook import Notebook, publisher
from autoseg.events import Events, Silent


def events_here() -> Events:
    """Bars below the cell in a notebook, bars on stderr in a terminal, else plain lines there; nothing without stderr."""
    display = publisher()
    if display is not None:
        return Notebook(display)
    if sys.stderr is None:  # a program with windows alone, on Windows
        return Silent()
    from autoseg.cli.console import Console  # noqa: PLC0415 - rich is for terminals and files

    return Console()
