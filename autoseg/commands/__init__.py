"""The whole story, one module per command: its options, its one call, what it says when it is done.

These modules load next to nothing when they are imported: what a command needs is loaded when it runs.
"""

from importlib import import_module
from types import ModuleType
from typing import Final

COMMANDS: Final = (
    "plan",
    "check",
    "preprocess",
    "train",
    "predict",
    "queue",
    "adopt",
    "evaluate",
    "compare",
    "select",
    "report",
    "export",
    "info",
    "clean",
    "status",
    "doctor",
    "demo",
)
"""Every command, in the order in which one meets them. Each is a module of this package."""

FUNCTIONS: Final = (
    "adopt",
    "check",
    "clean",
    "compare",
    "doctor",
    "evaluate",
    "export",
    "info",
    "load_model",
    "plan",
    "predict",
    "queue",
    "report",
    "select",
    "status",
    "train",
)
"""Every function of the public API, likewise."""


def module_of(name: str) -> ModuleType:
    """The module of a command or a function, loaded now.

    Raises:
        KeyError: there is none of this name.
    """
    if name not in (*COMMANDS, *FUNCTIONS):
        raise KeyError(name)
    return import_module(f"{__name__}.{name}")
