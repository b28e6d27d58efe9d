"""Tables and lines at widths of real terminals: nothing is lost, and no word, number or interval is broken."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from autoseg.cli.layout import fitted_line, laid_out, wrapped

WIDTHS = (60, 80, 100, 120)
COLUMNS = ("networks", "Dice (95 % interval)", "HD (mm)", "why")
ROWS = (
    ("unet + sepres + attention", "0.9234 (0.9012 to 0.9401)", "12.34", "the best of all that were tried on held-out cases"),
    ("sepres", "n/a", "n/a", "its folds are not trained to their ends, so that nothing can be said about it yet"),
    ("", "0.9 (0.8 to 1.0)", "1.5 mm", ""),
)


def lines_of(width: int, *, headings: bool = True) -> list[str]:
    head, body = laid_out(COLUMNS, ROWS, headings=headings, width=width)
    return head + body


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("headings", [True, False])
def test_every_word_and_interval_is_whole_and_fits(width: int, headings: bool) -> None:
    lines = lines_of(width, headings=headings)
    assert max(map(len, lines)) <= width
    for row in ROWS:
        for cell in row[:3]:
            assert any(cell in line for line in lines)
        words = row[3].split()
        shown = [word.strip("()") for line in lines for word in line.split()]
        assert all(word in shown for word in words)


def test_what_fits_is_a_table_and_what_does_not_has_lines_of_its_own() -> None:
    wide = lines_of(150)
    assert len(wide) == 1 + len(ROWS)
    assert wide[0].split("  ")[0] == "networks"
    assert [line.index("0.9") for line in (wide[1], wide[3])] == [27, 27]
    narrow = lines_of(60)
    assert narrow[:3] == [
        "unet + sepres + attention",
        "  Dice (95 % interval): 0.9234 (0.9012 to 0.9401)",
        "  HD (mm): 12.34",
    ]


def test_sentences_are_wrapped_before_the_table_is_given_up() -> None:
    head, body = laid_out(COLUMNS, ROWS, headings=True, width=100)
    assert len(head) == 1
    assert len(body) > len(ROWS)
    assert body[1].strip().startswith("tried") or "held-out" in body[1]


def test_without_headings_reasons_stand_in_brackets() -> None:
    rows = [("slices", "coronal slices, kept at 0.94 mm", "the finest plane of all that these scans can show")]
    assert laid_out(("what", "value", "why"), rows, headings=False, width=56) == (
        [],
        ["slices", "  coronal slices, kept at 0.94 mm", "  (the finest plane of all that these scans can show)"],
    )


def test_a_word_that_is_longer_than_the_width_stays_whole() -> None:
    head, body = laid_out(("file", "size"), [("/data/" + "x" * 200, "1 MB")], headings=True, width=80)
    assert (head, body) == ([], ["/data/" + "x" * 200, "  size: 1 MB"])


def test_wide_characters_take_two_places() -> None:
    _, body = laid_out(("a", "b"), [("脑" * 3, "1"), ("x", "2")], headings=False, width=80)
    assert body == ["脑脑脑  1", "x       2"]


def test_a_table_without_rows_is_its_headings() -> None:
    assert laid_out(("a", "b"), [], headings=True, width=80) == (["a  b"], [])
    assert laid_out(("a", "b"), [], headings=False, width=80) == ([], [])


@given(st.lists(st.sampled_from(["1.5 mm", "0.94 x 1.5 mm", "0.90 to 0.93", "word", "longer-word", "40 %"]), min_size=1))
def test_units_sizes_and_intervals_are_never_torn(parts: list[str]) -> None:
    lines = wrapped(" and ".join(parts), 16, hanging="  ")
    assert " ".join(line.strip() for line in lines) == " and ".join(parts)
    for part in parts:
        assert any(part in line for line in lines)


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" ")), st.integers(1, 40))
def test_wrapping_loses_nothing(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width or " " not in line.strip() or re.search(r"\d", line) for line in lines)


def test_lines_of_results_keep_their_indentation_and_commands_stay_whole() -> None:
    assert fitted_line("short", 60) == ["short"]
    long = "  missing: attention on fold 3 has not been trained to its end, and is left out"
    assert fitted_line(long, 60) == [
        "  missing: attention on fold 3 has not been trained to its",
        "    end, and is left out",
    ]
    for command in ("Next: autoseg train --arch unet --fold 0 --workspace runs/a-long-name-of-a-workspace",):
        assert fitted_line(command, 40) == [command]
