"""The command line, made from the options of the commands; a command is loaded when it is asked for."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from autoseg import __version__
from autoseg.cli.parameters import Argument, chosen, parameters
from autoseg.cli.printing import discard
from autoseg.cli.runner import fail, interrupted, output_options, refused, run, usage_error
from autoseg.commands import COMMANDS, module_of
from autoseg.errors import AutosegError, UsageError
from autoseg.jobs.interruption import Interruption
from autoseg.options.command import Command
from autoseg.options.declaration import did_you_mean


class _Formatter(click.HelpFormatter):
    """Help with headings that stand out in a terminal."""

    def write_heading(self, heading: str) -> None:
        """Write a heading in bold; click leaves that out where the help goes to a file."""
        super().write_heading(click.style(heading, bold=True))


class _Context(click.Context):
    formatter_class = _Formatter


class Application(click.Group):
    """All commands. Whatever goes wrong is told in one form and has its exit code."""

    context_class = _Context

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Names in the order in which one needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """A command, loaded now; None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        return ConsoleCommand(cmd_name, module_of(cmd_name).COMMAND)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that arguments begin with."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            remedy = did_you_mean(name, known) or "See `autoseg --help`."
            raise UsageError(f"there is no command {name}", remedy=remedy)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every command with the whole of its first sentence."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.summary) for name, command in commands if isinstance(command, ConsoleCommand)]
            )

    def main(  # type: ignore[override]  # click's other arguments are not used
        self, args: Sequence[str] | None = None, *, obj: Interruption | None = None, **_: Any
    ) -> Any:
        """Run the command line and end the process.

        Args:
            args: the command line; None: that of the process.
            obj: what may already have asked the process to end.
        """
        arguments = list(sys.argv[1:] if args is None else args)
        interruption = obj or Interruption()
        with interruption.heard():
            try:
                code = super().main(arguments, prog_name="autoseg", standalone_mode=False, obj=interruption) or 0
            except click.exceptions.NoArgsIsHelpError as question:
                with suppress(OSError):  # nobody can read it; the exit code says it then
                    question.show()
                code = question.exit_code
            except (AutosegError, click.UsageError, click.Abort, KeyboardInterrupt) as problem:
                interruption.answered()
                code = fail(_told(problem), arguments)
            except OSError as cause:  # of help and version, which click prints; commands tell their own
                discard(sys.stdout)
                code = fail(refused(cause), arguments)
        sys.exit(code)


def _told(problem: BaseException) -> AutosegError:
    match problem:
        case AutosegError():
            return problem
        case click.UsageError():
            return usage_error(problem)
    return interrupted()  # click's word for Ctrl-C is Abort


class ConsoleCommand(click.Command):
    """A command whose parameters are made from its options.

    Attributes:
        summary: what it does, in a line.
        example: a command line.
    """

    context_class = _Context

    def __init__(self, name: str, command: Command[Any]) -> None:
        own, common = parameters(command.options), parameters(output_options(command))
        super().__init__(
            name,
            params=[*own, *common],
            help=command.help,
            epilog=f"\b\nExample: {command.example}",
            no_args_is_help=any(isinstance(each, Argument) for each in own),
        )
        self.summary, self.example = command.help.partition("\n")[0], command.example
        self._command = command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; what is wrong with it is told as this command's."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as problem:
            problem.ctx = problem.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> None:
        """Do what the command line asks for."""
        declared = output_options(self._command)
        output = declared(**chosen(declared, ctx))
        run(self._command, self._command.options(**chosen(self._command.options, ctx)), output, interruption=ctx.obj)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Arguments with their help, then options."""
        arguments = [(each.make_metavar(ctx), each.explanation) for each in self.params if isinstance(each, Argument)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        super().format_options(ctx, formatter)


def _make_app() -> Application:
    own = "Segment medical images in 2D: plan from your data, train, predict, evaluate."
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    app = Application("autoseg", help=own, no_args_is_help=True, context_settings=settings)
    return click.version_option(__version__, message="autoseg %(version)s")(app)


app = _make_app()
