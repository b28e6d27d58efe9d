"""What may be printed: text that steers nothing, in any encoding, to streams that may be gone."""

import io
import json
import sys
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.cli.console import Console
from autoseg.cli.printing import LONGEST_LINE, LONGEST_NAME, Outlet, in_one_line, print_json, printable

STEERING = (
    "\x1b\x07\x08\r\x7f\x85\x9b\u200b\u200d\u200e\u200f\u202a\u202e\u2066\u2069\u2028\u2029\ufeff\U000e0041\udcf6\ud800"
)


class Full(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, cause: OSError) -> None:
        super().__init__()
        self._cause = cause

    def write(self, text: str) -> int:
        raise self._cause


@pytest.mark.parametrize("sign", STEERING, ids=ascii)
def test_what_steers_or_hides_is_spelled_out(sign: str) -> None:
    shown = printable(f"a{sign}b")
    assert shown.isascii()
    assert shown.startswith("a\\")
    assert shown.isprintable()


def test_line_breaks_stay_where_they_are_the_text_s_own() -> None:
    assert printable("a\nb\tc") == "a\nb\tc"
    assert printable("a\nb\tc", lines=False) == "a\\x0ab\tc"


def test_names_in_lines_of_a_result_are_in_one_line_each() -> None:
    data = ({"out": Path("/a\nb/c"), "cases": [{"x\ny": 1}, 2.5, None]}, "plain")
    assert in_one_line("Wrote /a\nb/c\nfor x\ny.", data) == "Wrote /a\\x0ab/c\nfor x\\x0ay."


def test_what_people_write_stays() -> None:
    for text in ("患1", "Größe", "नमस्ते", "عربي", "a\u3000b", "√2 ± 1 µm"):
        assert printable(text) == text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp932", "utf-8"])
@given(text=st.text() | st.text(st.sampled_from(STEERING)))
def test_every_text_can_be_printed_in_every_encoding(encoding: str, text: str) -> None:
    shown = printable(text, encoding=encoding).encode(encoding).decode(encoding)
    assert all(sign.isprintable() or sign in "\n\t" or category(sign) == "Zs" for sign in shown)


def test_long_names_are_cut_in_the_middle_and_long_lines_too() -> None:
    name = "a" * LONGEST_NAME
    assert (
        printable(f"/{name}/{name}.")
        == f"/{name}/{name[: (LONGEST_NAME - 3) // 2]}...{name[: (LONGEST_NAME - 3) // 2 - 1]}."
    )
    shown = printable("begin " + "word " * LONGEST_LINE + "end")
    assert len(shown) <= LONGEST_LINE
    assert shown.startswith("begin")
    assert shown.endswith("end")
    assert "..." in shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_says_the_same_in_every_encoding_and_steers_nothing(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"id": f"患1 \U0001f600 ä {STEERING}"}
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    print_json(json.dumps(document, ensure_ascii=False) + "\n")
    stream.seek(0)
    printed = stream.read()
    assert json.loads(printed) == document
    assert printed.rstrip("\n").isprintable()


def test_messages_that_nobody_gets_end_no_work_and_results_do_unless_their_reader_left() -> None:
    for cause in (BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")):
        console = Console(stream=Full(cause))
        console.info("going on")
        with console.track("work", total=1, unit="cases") as progress:
            progress.advance()
    Outlet(Full(BrokenPipeError(32, "Broken pipe")), needed=True).write("result")
    with pytest.raises(OSError, match="No space"):
        Outlet(Full(OSError(28, "No space left on device")), needed=True).write("result")


def test_an_error_has_lines_of_its_own_and_names_have_none() -> None:
    stream = io.StringIO()
    Console(stream=stream).error("2 problems:\n  a\nError: b: bad\n  c: worse", remedy="Mend\nthem.")
    assert stream.getvalue() == "Error: 2 problems:\n  a\\x0aError: b: bad\n  c: worse\nMend\\x0athem.\n"
