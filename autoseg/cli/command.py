"""What all commands have in common: the options of talking to a user, and exit codes for failures."""

import inspect
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from types import FrameType
from typing import Annotated, Any, Final, NoReturn

import typer

from autoseg.cli.console import Console, show_error
from autoseg.errors import AutosegError, InterruptedRunError, SystemFailureError
from autoseg.storage import files

Output = tuple[str, dict[str, Any]]
"""What a command has to say: lines for people, and the same as a document."""

Work = Callable[..., Output]
"""A command's own part: takes a console and its arguments."""

_COMMON: Final = {
    "json": Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, everything else on stderr.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Say when things happened.")],
    "show_traceback": Annotated[bool, typer.Option("--traceback", help="Show where in the code an error arose.")],
}


def command(app: typer.Typer, *, example: str) -> Callable[[Work], Work]:
    """Make a function a command: its parameters become options beside those that all commands have.

    Args:
        app: where to register it, under the function's name and with its docstring as help.
        example: a command line, shown at the end of the help.

    Returns:
        a decorator for functions that take a `Console` first.
    """

    def register(work: Work) -> Work:
        _, *own = inspect.signature(work, eval_str=True).parameters.values()
        common = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
            for name, annotation in _COMMON.items()
        ]

        @wraps(work)
        def run(*, json: bool, quiet: bool, verbose: bool, show_traceback: bool, **arguments: Any) -> None:
            talk = _Talk(json=json, quiet=quiet, verbose=verbose, traceback=show_traceback)
            talk.about(partial(work, **arguments))

        run.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]  # what typer reads
        needs_arguments = any(parameter.default is inspect.Parameter.empty for parameter in own)
        app.command(epilog=f"Example: {example}", no_args_is_help=needs_arguments)(run)
        return work

    return register


@dataclass(frozen=True)
class _Talk:
    """How a command speaks to its user."""

    json: bool
    quiet: bool
    verbose: bool
    traceback: bool

    def about(self, work: Callable[[Console], Output]) -> None:
        """Do the work, print its result, and turn every failure into its exit code."""
        console = Console(quiet=self.quiet, verbose=self.verbose, tables=not (self.json or self.quiet))
        with self._failures(console):
            text, document = work(console)
            if self.json:
                typer.echo(files.json_text(document), nl=False)
            elif not self.quiet:
                typer.echo(text)

    @contextmanager
    def _failures(self, console: Console) -> Iterator[None]:
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            yield
        except AutosegError as error:
            self._fail(error, console)
        except KeyboardInterrupt:
            remedy = "Finished parts are kept; the same command goes on from there."
            self._fail(InterruptedRunError("interrupted", remedy=remedy), console)
        except (OSError, MemoryError, RuntimeError) as cause:
            if (failure := _of_the_surroundings(cause)) is None:
                raise
            failure.__cause__ = cause
            self._fail(failure, console)

    def _fail(self, error: AutosegError, console: Console) -> NoReturn:
        if self.traceback:
            traceback.print_exception(error)
        show_error(error, console=console)
        if self.json:
            typer.echo(files.json_text(error.as_dict()), nl=False)
        raise typer.Exit(error.exit_code) from None


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _of_the_surroundings(cause: Exception) -> SystemFailureError | None:
    """What no stage expected of the operating system, as an error with a cure; None for what is not its fault."""
    if isinstance(cause, MemoryError) or "DefaultCPUAllocator" in str(cause):  # numpy's way of saying it, and torch's
        return SystemFailureError(
            "the memory is used up",
            remedy="Close other programs, let fewer processes work side by side (--jobs 1), or plan with less --memory.",
        )
    if isinstance(cause, OSError) and not isinstance(cause, BrokenPipeError):  # nobody is left who could read about that
        return SystemFailureError(
            f"the operating system refuses ({cause.strerror or cause})",
            where=cause.filename,
            remedy="Check the file, its folder, their permissions and the space left, then run the same command again.",
        )
    return None
