"""Tables whose columns have names, and which may have more or fewer of them than a reader knows."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoseg.errors import WorkspaceError
from autoseg.storage.tables import Cell, Row, TableKind, as_cell, read_table, table_text, whole_lines, write_table

KIND = TableKind("a table of fruit", required=("name", "count"), remedy="Count again.")
Fruit = tuple[str, int, float, str]


def fruit(row: Row) -> Fruit:
    return row.text("name"), row.integer("count"), row.number("weight_kg"), row.text("colour")


def read(path: Path, content: str) -> list[Fruit]:
    path.write_bytes(content.encode())
    return read_table(path, fruit, kind=KIND)


def refusal(path: Path, content: bytes) -> WorkspaceError:
    path.write_bytes(content)
    with pytest.raises(WorkspaceError) as raised:
        read_table(path, fruit, kind=KIND)
    assert raised.value.where == str(path)
    assert raised.value.remedy == "Count again."
    return raised.value


def test_cells_are_quoted_where_they_must_be_and_numbers_keep_their_digits() -> None:
    rows = [{"name": 'a "b", c', "count": 3, "weight_kg": 0.1 + 0.2}, {"name": "d\ne", "count": None, "weight_kg": math.nan}]
    assert table_text(["name", "count", "weight_kg", "colour"], rows) == (
        'name,count,weight_kg,colour\n"a ""b"", c",3,0.30000000000000004,\n"d\ne",,,\n'
    )


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r")) | st.text(st.sampled_from("=-';\t\n a"))


@settings(max_examples=50)
@given(rows=st.lists(st.tuples(TEXT, st.integers(), st.floats(allow_nan=False, allow_infinity=False)), max_size=5))
def test_what_is_written_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, float]]
) -> None:
    path = tmp_path_factory.mktemp("tables") / "fruit.csv"
    columns = ["name", "count", "weight_kg"]
    write_table(path, columns, [dict(zip(columns, row, strict=True)) for row in rows])
    assert read_table(path, fruit, kind=KIND) == [(*row, "") for row in rows]


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1+1",
    "\tx",
    "  =1",
    "\xa0=1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "\n=1",
]


@pytest.mark.parametrize("text", [*FORMULAS, "'", "'quoted'", "'=1", "''=1", "a;=1", "a;'b", "a\t-1", "a\n@x", ";\t '+1"])
def test_no_text_is_a_formula_for_a_spreadsheet(tmp_path: Path, text: str) -> None:
    """Neither as a cell nor as a column's name, whatever takes the table for separated by semicolons or tabs."""
    path = tmp_path / "fruit.csv"
    write_table(path, ["name", "count", text], [{"name": text, "count": -1, text: -0.5}])
    content = path.read_text(encoding="utf-8")
    assert not re.search(r"(?:^|[,;\t\n])[\"\s]*[=+@\uff0b\uff0d\uff1d\uff20]|[;\t\n]\"?-", content)
    assert content.endswith(",-1,-0.5\n")
    assert read_table(path, lambda row: row.cells, kind=KIND) == [{"name": text, "count": "-1", text: "-0.5"}]


@pytest.mark.parametrize("text", ["'", "'a", "a'b", "-", "a;'b", "it's", "1-2"])
def test_what_was_written_without_apostrophes_is_read_as_it_is(tmp_path: Path, text: str) -> None:
    [(name, *_)] = read(tmp_path / "fruit.csv", f"name,count\n{text},2\n")
    assert name == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [("-3", -3), ("-0.5", -0.5), ("-0.50", "-0.50"), ("1_0", "1_0"), ("-x", "-x"), ("nan", "nan"), ("", "")],
)
def test_numbers_that_were_read_are_written_as_numbers(text: str, cell: Cell) -> None:
    assert as_cell(text) == cell
    assert type(as_cell(text)) is type(cell)


def test_a_carriage_return_does_not_end_a_line() -> None:
    assert table_text(["name", "count"], [{"name": "a\rb", "count": 1}]) == "name,count\na b,1\n"


def test_more_columns_in_another_order_do_no_harm(tmp_path: Path) -> None:
    found = read(tmp_path / "fruit.csv", "origin,count,colour,name,weight_kg\nhere,2,red,plum,0.5\n")
    assert found == [("plum", 2, 0.5, "red")]


def test_columns_that_are_missing_are_undefined(tmp_path: Path) -> None:
    [(name, count, weight_kg, colour)] = read(tmp_path / "fruit.csv", "name,count\nplum,2\n")
    assert (name, count, colour) == ("plum", 2, "")
    assert math.isnan(weight_kg)


@pytest.mark.parametrize("number", ["inf", "-Infinity", "1e999", "nan"])
def test_a_number_that_is_not_finite_is_undefined(tmp_path: Path, number: str) -> None:
    [(_, _, weight_kg, _)] = read(tmp_path / "fruit.csv", f"name,count,weight_kg\nplum,2,{number}\n")
    assert math.isnan(weight_kg)
    assert table_text(["weight_kg"], [{"weight_kg": float(number)}]) == 'weight_kg\n""\n'


def test_a_column_that_is_required_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "fruit.csv", b"name,weight_kg\nplum,0.5\n")
    assert error.what == "not a table of fruit"
    assert error.expected == "CSV with the columns name, count"
    assert error.found == "the columns name, weight_kg"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "no columns"),
        (b"\xff\xfe\n", "no text"),
        (b"name,count,name\n", "the columns name, count, name"),
        (b"name,count\nplum,2\npear,many\n", "line 3: count is 'many', not a number"),
        (b"name,count,weight_kg\nplum,2,heavy\n", "line 2: weight_kg is 'heavy', not a number"),
        (b"name,count\nplum\n", "line 2: 1 cells instead of 2"),
        (b"name,count\nplum,2,3\n", "line 2: 3 cells instead of 2"),
        (b'name,count\n"plum,2\n', "line 2: unexpected end of data"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    assert refusal(tmp_path / "fruit.csv", content).found == found


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no such file"):
        read_table(tmp_path / "fruit.csv", fruit, kind=KIND)
    with pytest.raises(WorkspaceError, match="cannot be read"):
        read_table(tmp_path, fruit, kind=KIND)


def test_columns_of_one_name_or_cells_without_a_column_are_mistakes() -> None:
    with pytest.raises(ValueError, match="different names"):
        table_text(["name", "name"], [])
    with pytest.raises(ValueError, match="colour"):
        table_text(["name"], [{"colour": "red"}])


@settings(max_examples=100)
@given(rows=st.lists(st.tuples(TEXT, TEXT), max_size=4), cut=st.integers(0, 200))
def test_of_a_table_that_was_cut_the_lines_that_end_are_left(rows: list[tuple[str, str]], cut: int) -> None:
    lines = [table_text(["name", "count"], [{"name": name, "count": count}]).partition("\n")[2] for name, count in rows]
    ends = [len("".join(lines[:number]).encode()) for number in range(len(lines) + 1)]
    content = "".join(lines).encode()[:cut]
    assert len(whole_lines(content)) == max(end for end in ends if end <= len(content))
