"""How the command line runs a command: its result printed, every failure told in one form and turned into its exit code."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, TypeVar

import click

from autoseg.cli.parameters import Value
from autoseg.cli.printing import in_one_line, print_json, print_result, print_traceback
from autoseg.errors import (
    AutosegError,
    CasesFailedError,
    InterruptedRunError,
    LostRankError,
    SystemFailureError,
    UsageError,
)
from autoseg.events import Events
from autoseg.jobs.interruption import NOTICE, Interruptible, Interruption, is_interrupted
from autoseg.jobs.preemption import leave_to_slurm
from autoseg.jobs.torchrun import told_by_another
from autoseg.options.command import Command
from autoseg.options.declaration import Declared, Options, did_you_mean, option
from autoseg.storage import files

_Result = TypeVar("_Result")
_Failure = TypeVar("_Failure", bound=AutosegError)
_EXTRA: Final = re.compile(r"unexpected extra arguments? \((.*)\)", re.DOTALL)
"""Click's words for arguments that a command does not have."""


class OutputOptions(Declared):
    """How a command talks to its user: options that all commands have."""

    json: bool = option("Print the result as JSON on stdout, everything else on stderr.", default=False)
    quiet: bool = option("Show warnings and errors only.", "--quiet", "-q", default=False)
    verbose: bool = option("Say when things happened.", "--verbose", "-v", default=False)
    traceback: bool = option("Show where in the code an error arose.", default=False)


class DetailOptions(OutputOptions):
    """The same of a command that says the most important things and has details."""

    full: bool = option(
        "Show everything: every value with its whole reason, and what was tried and not taken.", default=False
    )


def output_options(command: Command[_Result]) -> type[OutputOptions]:
    """How a command talks to its user."""
    return DetailOptions if command.has_details else OutputOptions


def run(command: Command[_Result], options: Options, output: OutputOptions, *, interruption: Interruption) -> None:
    """Run a command and print its result; where some cases failed, that of the others.

    Args:
        command: what to run.
        options: of the command.
        output: how it talks to its user.
        interruption: what asks the command to end, looked at wherever it gets on.

    Raises:
        AutosegError: what is wrong; also for what the system refuses, and for an interruption.
    """
    from autoseg.cli.console import Console  # noqa: PLC0415 - help draws nothing

    console = Console(quiet=output.quiet, verbose=output.verbose)
    with _failures_of_the_system(), _requeued(interruption, console) if command.requeued(options) else nullcontext():
        failed = None
        try:
            result = command.run(options, Interruptible(console, interruption))
        except CasesFailedError as error:
            if error.result is None:
                raise
            failed, result = error, error.result
        said = command.describe(result)
        interruption.check()  # a request that came last is answered before any result
        if told_by_another():
            return
        if failed is not None and output.json:
            failed.document = said.document  # stdout holds one document: the error's, see `fail`
        elif output.json:
            print_json(files.json_text(said.document))
        elif not output.quiet:
            full = isinstance(output, DetailOptions) and output.full
            for table in said.details if full else said.tables:
                console.table(table.title, table.columns, table.rows, headings=table.headings)
            lines = in_one_line(said.text, [said.document, vars(options), str(Path.cwd())])
            print_result(console.fitted(lines))
        if failed is not None:
            raise failed


def fail(error: AutosegError, arguments: Sequence[str]) -> int:
    """Tell why a command ends.

    Args:
        error: what is wrong.
        arguments: the command line, which may be wrong itself.

    Returns:
        the exit code.
    """
    from autoseg.cli.console import Console, show_error  # noqa: PLC0415 - as above

    of_another = isinstance(error, LostRankError) and error.told
    if of_another or (told_by_another() and isinstance(error, InterruptedRunError)):
        return error.exit_code
    if "--traceback" in arguments:
        print_traceback(type(error), error, error.__traceback__)
    with suppress(OSError):  # the terminal may have been closed; the exit code says it then
        show_error(error, console=Console())
        if "--json" in arguments:
            print_json(files.json_text(error.as_dict()))
    return error.exit_code


def usage_error(problem: click.UsageError) -> UsageError:
    """What is wrong with a command line by click's account, told as commands tell it."""
    context = problem.ctx
    path, flags = ("autoseg", []) if context is None else (context.command_path, _flags(context.command))
    remedy = f"See `{path} --help`."
    if isinstance(problem, click.NoSuchOption):
        question = did_you_mean(problem.option_name, flags)
        return UsageError(f"there is no option {problem.option_name}", where=path, remedy=question or remedy)
    match problem:
        case click.MissingParameter(param=click.Parameter() as missing):
            what, expected = f"{_called(missing)} is missing", None
        case click.BadOptionUsage(option_name=name) if "requires" in problem.message:
            what, expected = f"{name} needs a value", _expected(name, context)
        case click.BadOptionUsage(option_name=name):
            what, expected = f"{name} is on or off, and takes no value", None
        case click.UsageError() if (extra := _EXTRA.search(problem.message)) is not None:
            names = extra[1].split()
            many = "is one argument too many" if len(names) == 1 else "are arguments too many"
            what, expected = f"{' '.join(names)} {many}", None
        case _:
            message = problem.format_message().rstrip(".")
            what, expected = f"{message[:1].lower()}{message[1:]}", None
    if isinstance(problem, click.MissingParameter) and (example := getattr(context and context.command, "example", "")):
        remedy = f"As in `{example}`; see `{path} --help`."
    return UsageError(what, where=path, expected=expected, remedy=remedy)


def _called(parameter: click.Parameter) -> str:
    return parameter.metavar or parameter.human_readable_name


def _expected(flag: str, context: click.Context | None) -> str | None:
    """What an option may be, in words."""
    found = [] if context is None else [each for each in context.command.params if flag in each.opts]
    return next((each.type.words for each in found if isinstance(each.type, Value)), None)


def _flags(command: click.Command) -> list[str]:
    return [flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)]


def interrupted() -> InterruptedRunError:
    """What is said of a command that was asked to end."""
    return InterruptedRunError("interrupted", remedy="What was finished is kept; run the same command to go on.")


def refused(cause: OSError) -> SystemFailureError:
    """What is said where the operating system refuses something that no stage expected."""
    return SystemFailureError(
        f"the operating system refuses ({cause.strerror or cause})",
        where=cause.filename,
        remedy="Check the file, its folder, their permissions and the space left, then run the same command again.",
    )


@contextmanager
def _requeued(interruption: Interruption, events: Events) -> Iterator[None]:
    """Where the command runs in a job of SLURM that is preempted, or is told that its time is nearly up, requeue the job."""
    if NOTICE is not None:
        interruption.hear(NOTICE)
    try:
        yield
    except (KeyboardInterrupt, Exception) as cause:
        if is_interrupted(cause):
            interruption.answered()
            leave_to_slurm(interruption.asked_by, events=events)
        raise


@contextmanager
def _failures_of_the_system() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, Exception) as cause:
        if is_interrupted(cause):
            raise _with_notes(interrupted(), cause) from None
        if (failure := _system_failure(cause)) is None:
            raise
        raise _with_notes(failure, cause) from cause


def _with_notes(failure: _Failure, cause: BaseException) -> _Failure:
    """A failure whose remedy also says what its cause was given on its way."""
    failure.remedy = " ".join([failure.remedy, *getattr(cause, "__notes__", ())])
    return failure


def _system_failure(cause: BaseException) -> SystemFailureError | None:
    """What no stage expected of the operating system, as an error with a remedy; None for what is not its fault."""
    of_torch = isinstance(cause, RuntimeError) and "DefaultCPUAllocator" in str(cause)
    if of_torch or isinstance(cause, MemoryError):
        return SystemFailureError(
            "the memory is used up",
            remedy="Close other programs, let fewer processes work side by side (--jobs 1), or plan with less --memory.",
        )
    if isinstance(cause, OSError) and not isinstance(cause, BrokenPipeError):  # nobody is left who could read about that
        return refused(cause)
    return None
