import errno
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY
from typing import Literal

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from oracles.garbage import interrupt_collection

import autoseg
from autoseg.cli.app import Application, ConsoleCommand, app
from autoseg.commands import COMMANDS
from autoseg.errors import DatasetError
from autoseg.events import Events
from autoseg.jobs.interruption import STOPPING
from autoseg.options.command import Command, Output, Table
from autoseg.options.declaration import Jobs, OptionalPath, Options, argument, option
from autoseg.options.shared import JOBS


class GreetOptions(Options):
    """Greet somebody. Friendly.

    With a table.
    """

    name: str = argument("Whom.", metavar="WHOM")
    _: KW_ONLY
    loud: bool = option("With an exclamation mark.", default=False)
    polite: bool = option("Nicely.", default=True)
    tone: Literal["warm", "cool"] | None = option("How it sounds.", default=None)
    place: OptionalPath = option("Where.", "--place", "-p", default=None, metavar="DIR")
    jobs: Jobs = option(JOBS, default=1)
    more: Sequence[str] = option("More.", default=(), metavar="KEY=VALUE")
    secret: str = option("Not for the command line.", default="none", on_console=False)


def invoke(*arguments: str, fails: BaseException | None = None, does: Callable[[Events], object] = lambda _: None) -> Result:
    """Run an application with one command of our own."""

    def run(options: GreetOptions, events: Events) -> GreetOptions:
        events.info("greeting")
        if fails is not None:
            raise fails
        does(events)
        return options

    def describe(chosen: GreetOptions) -> Output:
        values = {
            "name": chosen.name,
            "polite": chosen.polite,
            "tone": chosen.tone,
            "jobs": chosen.jobs,
            "more": chosen.more,
        }
        document = {**values, "more": chosen.more, "place": None if chosen.place is None else str(chosen.place)}
        table = Table("names", ("name",), [(chosen.name,)])
        return Output(f"Hello {chosen.name}{'!' if chosen.loud else ''}", document, [table])

    class Own(Application):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return ["greet"]

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return ConsoleCommand("greet", Command(GreetOptions, run, describe, example="own greet Ada --loud"))

    return CliRunner().invoke(Own("own"), ["greet", *arguments])


def test_arguments_and_options_reach_the_work_and_its_lines_the_user() -> None:
    result = invoke("Ada", "--loud")
    assert result.exit_code == 0
    assert "Hello Ada!" in result.stdout
    assert "Ada\n" in result.stdout  # the table's row
    assert "greeting" in result.stderr


def test_json_has_stdout_for_itself() -> None:
    result = invoke("Ada", "--json")
    assert json.loads(result.stdout)["name"] == "Ada"
    assert "greeting" in result.stderr


def test_quiet_says_nothing() -> None:
    result = invoke("Ada", "--quiet")
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (
            PermissionError(13, "Permission denied", "/data/scan"),
            "/data/scan: the operating system refuses (Permission denied)",
        ),
        (OSError("strange"), "the operating system refuses (strange)"),
        (MemoryError(), "the memory is used up"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "the memory is used up"),
    ],
    ids=str,
)
def test_what_the_surroundings_refuse_is_no_bug(cause: Exception, says: str) -> None:
    result = invoke("Ada", "--json", fails=cause)
    assert result.exit_code == 9
    assert says in result.stderr
    assert json.loads(result.stdout)["remedy"]


@pytest.mark.parametrize("cause", [RuntimeError("a bug"), BrokenPipeError(32, "Broken pipe")], ids=str)
def test_what_has_no_cure_stays_what_it_is(cause: Exception) -> None:
    result = invoke("Ada", fails=cause)
    assert result.exit_code == 1


def test_a_failure_has_its_exit_code_its_message_and_its_document() -> None:
    broken = DatasetError("is broken", where="scan.nii", remedy="Copy it anew.")
    result = invoke("Ada", "--json", fails=broken)
    assert result.exit_code == 3
    assert "Copy it anew." in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(result.stdout)["exit_code"] == 3
    assert "Traceback" in invoke("Ada", "--traceback", fails=broken).stderr


def test_an_interruption_is_130() -> None:
    result = invoke("Ada", fails=KeyboardInterrupt())
    assert result.exit_code == 130
    assert "run the same command to go on" in result.stderr


@pytest.mark.parametrize("cause", [KeyboardInterrupt(), OSError("strange")], ids=str)
def test_what_an_exception_was_given_on_its_way_is_said_with_the_remedy(cause: BaseException) -> None:
    cause.add_note("Do it otherwise.")
    assert json.loads(invoke("Ada", "--json", fails=cause).stdout)["remedy"].endswith(" Do it otherwise.")


@pytest.mark.parametrize("number", STOPPING, ids=str)
def test_an_interruption_that_garbage_collection_swallowed_is_130(number: signal.Signals) -> None:
    """At the next progress, and where none follows, before a result is printed."""

    def goes_on(events: Events) -> None:
        interrupt_collection(number)
        events.info("unmoved")

    for does in (goes_on, lambda _: interrupt_collection(number)):
        result = invoke("Ada", "--json", does=does)
        assert result.exit_code == 130
        assert "unmoved" not in result.stderr
        assert "Exception ignored" not in result.stderr
        assert json.loads(result.stdout)["what"] == "interrupted"


def test_an_interruption_while_help_is_made_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Application, "list_commands", lambda *_: signal.raise_signal(signal.SIGINT))
    told = CliRunner().invoke(app, ["train"])
    assert told.exit_code == 130
    assert "Error: interrupted\n" in told.stderr


def test_what_goes_wrong_on_the_way_out_is_still_an_interruption() -> None:
    def works(_: Events) -> None:
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            raise OSError(errno.EIO, "Input/output error")  # the terminal has gone

    assert invoke("Ada", does=works).exit_code == 130


def test_a_bug_is_not_dressed_up_as_a_user_error() -> None:
    result = invoke("Ada", fails=ZeroDivisionError("bug"))
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


def test_what_is_left_out_has_its_default_and_processes_suit_the_machine() -> None:
    document = json.loads(invoke("Ada", "--json").stdout)
    assert document == {"name": "Ada", "polite": True, "tone": None, "jobs": "auto", "more": [], "place": None}
    document = json.loads(invoke("Ada", "--no-polite", "--tone", "warm", "--jobs", "3", "-p", "here", "--json").stdout)
    assert document == {"name": "Ada", "polite": False, "tone": "warm", "jobs": 3, "more": [], "place": "here"}


def test_a_list_is_given_one_by_one() -> None:
    assert json.loads(invoke("Ada", "--more", "a=1", "--more", "b", "--json").stdout)["more"] == ["a=1", "b"]


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        (["Ada", "--lout"], "autoseg greet: there is no option --lout", "Did you mean --loud?"),
        (["Ada", "--xyzzy"], "autoseg greet: there is no option --xyzzy", "See `autoseg greet --help`."),
        (["Ada", "--secret", "x"], "autoseg greet: there is no option --secret", "See `autoseg greet --help`."),
        (["--loud"], "autoseg greet: WHOM is missing", "As in `own greet Ada --loud`; see `autoseg greet --help`."),
        (["Ada", "Bob"], "autoseg greet: Bob is one argument too many", "See `autoseg greet --help`."),
        (["Ada", "--tone"], "autoseg greet: --tone needs a value; expected warm or cool", "See `autoseg greet --help`."),
        (
            ["Ada", "--tone", "warn"],
            "--tone: has an impossible value; expected warm or cool; found warn",
            "Did you mean warm?",
        ),
        (
            ["Ada", "--jobs", "0"],
            "--jobs: has an impossible value; expected a whole number from 1 to 1,024 or auto; found 0",
            "Choose another value, or leave it out.",
        ),
        ([""], "WHOM: has an impossible value; expected a text that is not empty; found ", "Choose another value."),
    ],
)
def test_wrong_options_are_told_like_every_other_error(arguments: list[str], what: str, remedy: str) -> None:
    told = invoke(*arguments)
    assert told.exit_code == 2
    assert told.stderr == f"Error: {what}\n{remedy}\n"
    assert told.stdout == ""
    as_data = invoke("--json", *arguments)
    assert as_data.exit_code == 2
    document = json.loads(as_data.stdout)
    assert (document["error"], document["exit_code"], document["remedy"]) == ("UsageError", 2, remedy)


def test_an_unknown_command_is_told_like_every_other_error() -> None:
    told = CliRunner().invoke(app, ["trian", "--json"])
    assert told.exit_code == 2
    assert told.stderr == "Error: there is no command trian\nDid you mean train?\n"
    assert json.loads(told.stdout)["remedy"] == "Did you mean train?"
    assert "See `autoseg --help`." in CliRunner().invoke(app, ["xyzzy"]).stderr
    assert "autoseg: there is no option --verison" in CliRunner().invoke(app, ["--verison"]).stderr


def test_nothing_asked_for_is_answered_with_help() -> None:
    for arguments in ([], ["predict"]):
        told = CliRunner().invoke(app, arguments)
        assert told.exit_code == 2
        assert "Usage: autoseg" in told.stderr


def test_the_version() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.stdout) == (0, f"autoseg {autoseg.__version__}\n")


def test_help_of_a_command_explains_arguments_and_defaults() -> None:
    told = invoke("--help").stdout
    assert "Friendly.\n\n  With a table." in told
    assert "WHOM  Whom." in told
    assert "--polite / --no-polite" in told
    assert "--tone warm|cool" in told
    assert "[default: auto]" in told
    assert "secret" not in told


def test_help_of_all_shows_every_command_with_its_whole_sentence() -> None:
    told = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--help"])
    assert told.exit_code == 0
    assert re.findall(r"^  (\w+) ", told.stdout.partition("Commands:")[2], flags=re.MULTILINE) == list(COMMANDS)
    assert "ARGS]...\n" in told.stdout
    assert told.stdout.count("...") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    result = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example: autoseg {name}" in result.stdout
    for flag in ("--json", "--quiet", "--verbose", "--traceback"):
        assert flag in result.stdout


def completions(*words: str) -> list[str]:
    *given, begun = words
    return [item.value for item in ShellComplete(app, {}, "autoseg", "_AUTOSEG_COMPLETE").get_completions(given, begun)]


def test_a_shell_completes_commands_options_and_values() -> None:
    assert completions("pre") == ["preprocess", "predict"]
    assert completions("train", "--pre") == ["--precision"]
    assert completions("train", "--arch", "") == ["unet", "sepres", "attention", "all"]
    assert completions("plan", "--plane", "s") == ["sagittal"]
    assert completions("plan", "--folds", "") == []
    (scans,) = ShellComplete(app, {}, "autoseg", "_AUTOSEG_COMPLETE").get_completions(["predict"], "sc")
    assert (scans.value, scans.type) == ("sc", "file")


def test_help_loads_no_other_package_but_the_command_line_s() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom autoseg.cli.app import app\n"
        f"for name in {COMMANDS}: assert CliRunner().invoke(app, [name, '--help']).exit_code == 0\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'SimpleITK', 'matplotlib', 'scipy', 'jinja2'} & set(sys.modules)\n"
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_command_is_loaded_when_it_is_asked_for() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom autoseg.cli.app import app\n"
        "assert CliRunner().invoke(app, ['train', '--help']).exit_code == 0\n"
        "loaded = {name for name in sys.modules if name.startswith('autoseg.commands.')}\n"
        "sys.exit('autoseg.commands.plan' in loaded or 'autoseg.commands.train' not in loaded)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
