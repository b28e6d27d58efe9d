import json
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from autoseg.cli.app import app
from autoseg.cli.command import Output, command
from autoseg.cli.console import Console
from autoseg.errors import DatasetError

COMMANDS = [info.callback.__name__ for info in app.registered_commands if info.callback is not None]


def invoke(*arguments: str, fails: BaseException | None = None) -> Any:
    """Run an application with one command of our own."""
    own = typer.Typer()

    @own.callback()
    def root() -> None:
        """Several commands."""

    @command(own, example="own greet Ada --loud")
    def greet(
        console: Console, name: Annotated[str, typer.Argument()], loud: Annotated[bool, typer.Option("--loud")] = False
    ) -> Output:
        """Greet somebody."""
        console.info("greeting")
        console.table("names", ("name",), [(name,)])
        if fails is not None:
            raise fails
        return f"Hello {name}{'!' if loud else ''}", {"name": name}

    return CliRunner().invoke(own, ["greet", *arguments])


def test_arguments_and_options_reach_the_work_and_its_lines_the_user() -> None:
    result = invoke("Ada", "--loud")
    assert result.exit_code == 0
    assert "Hello Ada!" in result.stdout
    assert "Ada \n" in result.stdout  # the table's row
    assert "greeting" in result.stderr


def test_json_has_stdout_for_itself() -> None:
    result = invoke("Ada", "--json")
    assert json.loads(result.stdout) == {"name": "Ada"}
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
    assert "goes on from there" in result.stderr


def test_a_bug_is_not_dressed_up_as_a_user_error() -> None:
    result = invoke("Ada", fails=ZeroDivisionError("bug"))
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    result = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example: autoseg {name}" in result.stdout
    for option in ("--json", "--quiet", "--verbose", "--traceback"):
        assert option in result.stdout
