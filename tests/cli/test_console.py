import io
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.cli.console import PLAIN_WIDTH, Console, show_error
from autoseg.cli.progress import PLAIN_INTERVAL_S
from autoseg.errors import CasesFailedError, ImageError

MOVES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
DAMAGED = ImageError("is damaged", where="/data/scan[1].nii.gz", expected="2 MB", found="1 MB", remedy="Copy it anew.")


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def plain(**options: bool) -> tuple[Console, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return Console(stream=stream, now=clock, **options), stream, clock


def terminal(monkeypatch: pytest.MonkeyPatch, *, columns: int = 100, **options: bool) -> tuple[Console, io.StringIO]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    return Console(stream=stream, terminal=True, **options), stream


def test_brackets_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    console.info("reading [red]a[/red]/[b].nii.gz")
    with console.track("scans of [bold]x", total=1, unit="scans") as progress:
        progress.advance(scan="[i]c[/i]")
    shown = MOVES.sub("", stream.getvalue())
    for text in ("reading [red]a[/red]/[b].nii.gz", "scans of [bold]x", "scan [i]c[/i]"):
        assert text in shown


@given(st.text())
def test_no_text_can_steer_the_terminal(text: str) -> None:
    stream = io.StringIO()
    console = Console(stream=stream, terminal=False)
    console.info(text)
    with console.track(text, total=None, unit="files") as progress:
        progress.advance(name=text)
    console.table(text, (text,), ((text,),), stream=stream)
    assert not set(stream.getvalue()) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))}


def test_bytes_that_are_no_text_are_spelled_out() -> None:
    console, stream, _ = plain()
    console.info("o\udcf6/a.nii")
    assert stream.getvalue() == "o\\xf6/a.nii\n"


def test_without_a_terminal_a_track_is_a_line_at_both_ends_and_one_every_ten_seconds() -> None:
    console, stream, clock = plain()
    with console.track("preprocessing", total=4, unit="cases") as progress:
        for seconds in (4.0, 9.9, 10.1, 19.0):
            clock.seconds = seconds
            progress.advance(loss=0.21349)
        clock.seconds = 75.0
    assert PLAIN_INTERVAL_S == 10
    assert stream.getvalue().splitlines() == [
        "preprocessing: 4 cases",
        "preprocessing: 3/4 cases (75%)  loss 0.213",
        "preprocessing: 4/4 cases, done in 1:15  loss 0.213",
    ]


def test_a_track_of_unknown_length_counts() -> None:
    console, stream, _ = plain()
    with console.track("searching", total=None, unit="files") as progress:
        progress.advance(2)
        progress.advance()
    assert stream.getvalue().splitlines() == ["searching ...", "searching: 3 files, done in 0:00"]


def test_a_track_in_seconds_shows_minutes_and_hours() -> None:
    console, stream, clock = plain()
    with console.track("unet", total=5400, unit="s") as progress:
        clock.seconds = 61.0
        progress.advance(61.0)
    assert stream.getvalue().splitlines() == ["unet: 1:30:00", "unet: 1:01/1:30:00 (1%)", "unet: 1:01/1:30:00, done in 1:01"]


def test_fields_are_kept_updated_and_formatted() -> None:
    console, stream, _ = plain()
    with console.track("unet", total=2, unit="epochs") as progress:
        progress.advance(1, validation_loss=0.5, slices_per_s=12.345, learning_rate=5e-5)
        progress.advance(0, validation_loss=float("nan"), voxels=123456.0, epoch="7")
    (*_, last) = stream.getvalue().splitlines()
    assert last == (
        "unet: 1/2 epochs, done in 0:00  validation loss nan  12.3 slices/s  learning rate 5e-05  voxels 123456  epoch 7"
    )


def test_a_track_that_fails_is_not_called_done() -> None:
    console, stream, _ = plain()
    with pytest.raises(ImageError), console.track("reading", total=2, unit="scans"):
        raise DAMAGED
    assert stream.getvalue() == "reading: 2 scans\n"


def test_quiet_keeps_warnings_and_errors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for console, stream in (plain(quiet=True)[:2], terminal(monkeypatch, quiet=True)):
        console.info("a note")
        with console.track("a bar", total=3, unit="cases") as progress:
            progress.advance(loss=1.0)
        console.warn("careful")
        show_error(DAMAGED, console=console)
        lines = MOVES.sub("", stream.getvalue()).splitlines()
        assert [line.split()[0] for line in lines] == ["Warning:", "Error:", "Copy"]


def test_verbose_says_when() -> None:
    console, stream, _ = plain(verbose=True)
    console.info("begun")
    console.warn("careful")
    assert re.fullmatch(r"\d\d:\d\d:\d\d begun\n\d\d:\d\d:\d\d Warning: careful\n", stream.getvalue())


def test_long_remarks_stay_on_one_line_for_grep() -> None:
    console, stream, _ = plain()
    console.info("word " * 100 + "end")
    assert stream.getvalue() == "word " * 100 + "end\n"


def test_a_terminal_shows_count_share_and_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    with console.track("scoring", total=4, unit="cases") as progress:
        progress.advance(3, dice=0.91234)
    shown = MOVES.sub("", stream.getvalue())
    assert re.search(r"scoring .* 75% 3/4 cases", shown)
    assert "  dice 0.912" in shown


def test_bars_nest_in_one_display(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    with console.track("outer", total=2, unit="folds") as outer:
        for _ in range(2):
            with console.track("inner", total=3, unit="cases") as inner:
                inner.advance(3)
            console.info("between")
            outer.advance()
    last_frame = stream.getvalue().split("\x1b[2K")[-1]
    assert "outer" in last_frame
    assert "2/2 folds" in MOVES.sub("", last_frame)
    assert "inner" not in last_frame
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1  # cursor hidden, shown again


def test_bars_may_end_in_any_order_and_their_fields_say_whose_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    with console.track("all runs", total=2, unit="runs") as overview:
        first, second, third = (console.track(f"fold [{fold}]", total=4, unit="steps") for fold in range(3))
        first.__enter__().advance(2, loss=0.25)
        overview.advance(0.75, finished=0)
        second.__enter__().advance(1, loss=0.5)  # a new bar has everything drawn anew
        first.__exit__(None, None, None)
        console.info("the first is over")
        with third:
            pass
        second.__exit__(None, None, None)
    before, after = MOVES.sub("", stream.getvalue()).split("the first is over")
    assert "  all runs: finished 0\n  fold [0]: loss 0.25" in before
    assert re.search(r"all runs .* 38% 0.8/2 runs", before)
    newest = after[after.index("fold [2]") :]
    assert "  fold [1]: loss 0.5" in newest
    assert "fold [0]" not in newest


def test_a_failure_inside_nested_bars_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    with (
        pytest.raises(ImageError),
        console.track("outer", total=2, unit="folds"),
        console.track("inner", total=None, unit="cases"),
    ):
        raise DAMAGED
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1
    with console.track("next", total=1, unit="cases") as progress:
        progress.advance()
    assert "1/1 case" in stream.getvalue().split("next")[-1]


def test_bars_leave_stdout_and_stderr_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    console, _ = terminal(monkeypatch)
    before = sys.stdout, sys.stderr
    with console.track("scoring", total=1, unit="cases"):
        assert (sys.stdout, sys.stderr) == before


def test_narrow_terminals_keep_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch, columns=50)
    with console.track("unet, fold 0", total=3600, unit="s") as progress:
        progress.advance(900, validation_loss=0.2, validation_dice=0.9, slices_per_s=100.0)
    shown = MOVES.sub("", stream.getvalue())
    assert "25% 15:00/1:00:00" in shown
    assert max(len(line) for line in re.split(r"[\r\n]+", shown)) <= 50


def test_dumb_terminals_get_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    class Emacs(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "dumb")
    assert not Console(stream=Emacs()).is_terminal
    monkeypatch.setenv("TERM", "xterm")
    assert Console(stream=Emacs()).is_terminal


def test_an_error_is_red_and_its_remedy_on_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    console, stream = terminal(monkeypatch)
    show_error(DAMAGED, console=console)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("\x1b[1;31m")
    assert MOVES.sub("", first) == "Error: /data/scan[1].nii.gz: is damaged; expected 2 MB; found 1 MB"
    assert second == "Copy it anew."


def test_failed_cases_are_listed_before_the_remedy() -> None:
    console, stream, _ = plain()
    show_error(CasesFailedError([("one", DAMAGED)], done=3), console=console)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "Error: 1 case failed, 3 succeeded and are written:"
    assert lines[1] == f"  one: {DAMAGED}"
    assert lines[2].startswith("Fix the listed cases")
    assert len(lines) == 3


def test_a_table_in_a_file_is_complete_and_its_names_stay_whole() -> None:
    console, stream, _ = plain()
    reason = " ".join(f"reason{number}" for number in range(60))
    name = "a.long.path.that.somebody.may.look.for"
    console.table("Plan [for] x", ("what", "value", "why"), [(name, "[1, 2]", reason), ("b", "x" * 200, "")], stream=stream)
    text = stream.getvalue()
    lines = text.splitlines()
    assert lines[0].rstrip() == "Plan [for] x"
    assert lines[1:3] == [name, "  value: [1, 2]"]
    assert [word for word in text.split() if word.startswith("reason")] == reason.split()
    assert "x" * 200 in text
    assert max(len(line) for line in lines if "xx" not in line) <= PLAIN_WIDTH == 120
    assert "\x1b" not in text


def test_a_table_goes_to_stdout_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    console, stream, _ = plain()
    console.table("Plan", ("what",), [("folds",)])
    assert "folds" in capsys.readouterr().out
    assert stream.getvalue() == ""


def test_importing_the_console_loads_no_progress_bars() -> None:
    code = "import sys, autoseg.cli.console; print({'rich.progress', 'rich.table', 'typing_extensions'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout == "set()\n"
