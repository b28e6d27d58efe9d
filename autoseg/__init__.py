"""Self-configuring segmentation of medical images in 2D.

What the commands do is here as functions, for notebooks and programs:

    import autoseg

    planned = autoseg.plan("IBSR18")
    autoseg.train("unet", fold=0, minutes=30)
    autoseg.predict("new_scans", "results")
    model = autoseg.load_model()
    prediction = model.predict(volume, spacing_mm=(1.5, 0.94, 0.94))

They take the same options as the commands, return what the commands print, and raise the same errors
(`autoseg.errors.AutosegError`). They show progress on stderr, in a notebook below the cell, and nothing with
`events=autoseg.silent`. A function is loaded when it is first asked for, and what it needs when it is called.
"""

from typing import TYPE_CHECKING, Any, Final

from autoseg.commands import FUNCTIONS, module_of
from autoseg.events import Events, Silent

if TYPE_CHECKING:
    from autoseg.commands.adopt import adopt
    from autoseg.commands.check import check
    from autoseg.commands.clean import clean
    from autoseg.commands.compare import compare
    from autoseg.commands.doctor import doctor
    from autoseg.commands.evaluate import evaluate
    from autoseg.commands.export import export
    from autoseg.commands.info import info
    from autoseg.commands.load_model import load_model
    from autoseg.commands.plan import plan
    from autoseg.commands.predict import predict
    from autoseg.commands.queue import queue
    from autoseg.commands.report import report
    from autoseg.commands.select import select
    from autoseg.commands.status import status
    from autoseg.commands.train import train

__version__ = "0.2.0.dev0"

__all__ = [
    "adopt", "check", "clean", "compare", "doctor", "evaluate", "export", "info", "load_model", "plan", "predict", "queue",
    "report", "select", "silent", "status", "train",
]  # fmt: skip

silent: Final[Events] = Silent()
"""For the option `events` of every function: nothing is shown, neither progress nor warnings."""


def __getattr__(name: str) -> Any:
    if name not in FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from autoseg.options.command import shown  # noqa: PLC0415 - importing the package loads next to nothing

    function = shown(getattr(module_of(name), name), _events_here)
    globals()[name] = function
    return function


def _events_here() -> Events:
    from autoseg.cli.watching import events_here  # noqa: PLC0415 - as above

    return events_here()


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
