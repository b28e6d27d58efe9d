"""The table of a folder as it grows, as one process or several fill it, and what is left of it when they are killed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from autoseg.data.dataset import LabelClass
from autoseg.errors import SystemFailureError, UsageError, WorkspaceError
from autoseg.inference import part_files
from autoseg.inference.folder_table import FolderTable, folder_table, read_folder
from autoseg.inference.part import WHOLE, Part
from autoseg.inference.part_files import PartFiles
from autoseg.inference.table import TABLE_FILE, PredictionRow, write_table
from autoseg.storage import files

CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=1, name="disc"))
SETTINGS = ("digest", "tiny: unet fold_0 (digest)")
FIRST, SECOND = Part(1, 2), Part(2, 2)


class Killed(BaseException):
    """As kill -9, which leaves no time for anything."""


def row(case: str, output: str = "out", **others: Any) -> PredictionRow:
    return PredictionRow(case, "in", "digest", output, {"disc": 1.25}, {}, "", model="tiny", **others)


@contextmanager
def table_in(folder: Path, part: Part = WHOLE, *, settings: tuple[str, str] = SETTINGS) -> Iterator[FolderTable]:
    with folder_table(PartFiles(folder, part), classes=CLASSES, settings=settings) as table:
        yield table


@contextmanager
def killed_in(folder: Path, part: Part = WHOLE) -> Iterator[FolderTable]:
    """Ends as a killed process does: its locks are free, and nothing is put in order."""
    with suppress(Killed), table_in(folder, part) as table:
        yield table
        table.finish = lambda: None  # type: ignore[method-assign]
        raise Killed


def expected(folder: Path, *cases: str) -> bytes:
    """The table as it was always written: all at once."""
    path = folder.with_name("expected") / TABLE_FILE
    write_table(path, [row(case) for case in cases], classes=CLASSES)
    return path.read_bytes()


def left(folder: Path) -> set[str]:
    """Files beside locks."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"} - {
        ".lock",
        ".parts/.lock",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_files, "_PATIENCE_S", -1.0)


def test_the_table_is_as_if_it_had_been_written_at_once(folder: Path) -> None:
    with table_in(folder) as table:
        for case in ("c", "a", "b"):
            table.begin(case)
            table.add(row(case))
            assert list(read_folder(folder, classes=CLASSES).rows) == list(table.rows)
    assert (folder / TABLE_FILE).read_bytes() == expected(folder, "a", "b", "c")
    assert left(folder) == {TABLE_FILE}
    before = (folder / TABLE_FILE).stat()
    with table_in(folder) as table:
        assert list(table.rows) == ["a", "b", "c"]
    assert (folder / TABLE_FILE).stat().st_mtime_ns == before.st_mtime_ns  # nothing to do, nothing done


def written_for(folder: Path, scans: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Bytes and files written for so many scans."""
    sizes: list[int] = []
    write, append = files.write_bytes, files.append_bytes

    def counted_write(path: Path, content: bytes) -> None:
        sizes.append(len(content))
        write(path, content)

    def counted_append(path: Path, content: bytes, *, sync: bool = True) -> None:
        sizes.append(len(content))
        append(path, content, sync=sync)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_bytes", counted_write)
        patch.setattr(files, "append_bytes", counted_append)
        with table_in(folder) as table:
            for number in range(scans):
                table.add(row(f"case_{number:05d}"))
    return sum(sizes), len(sizes)


def test_the_cost_of_the_table_is_linear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (written_for(tmp_path / str(scans), scans, monkeypatch) for scans in (50, 500))
    assert many[0] < 10.5 * few[0]
    assert many[1] == 500 + 1  # a line for each, and all of them at the end


@pytest.mark.parametrize("entered", [0, 1, 3])
def test_after_a_kill_the_table_names_what_was_finished(folder: Path, entered: int) -> None:
    cases = ["c", "a", "b"][:entered]
    with killed_in(folder) as table:
        for case in cases:
            table.begin(case)
            table.add(row(case))
        table.begin("d")
    assert (folder / TABLE_FILE).exists() == bool(entered)
    assert list(read_folder(folder, classes=CLASSES).rows) == cases
    with table_in(folder) as table:
        assert list(table.unentered.cases) == ["d"]
        table.begin("d")
        table.add(row("d"))
    assert (folder / TABLE_FILE).read_bytes() == expected(folder, *sorted(cases), "d")
    assert left(folder) == {TABLE_FILE}


def test_half_a_line_is_removed_before_another_is_added(folder: Path) -> None:
    with killed_in(folder) as table:
        for case in ("a", "b"):
            table.begin(case)
            table.add(row(case))
    table_file = folder / TABLE_FILE
    table_file.write_bytes(table_file.read_bytes()[:-2])
    with killed_in(folder) as table:
        assert list(table.rows) == ["a"]
        assert "b" in table.unentered.cases
        table.begin("c")
        table.add(row("c"))
    assert list(read_folder(folder, classes=CLASSES).rows) == ["a", "c"]
    with table_in(folder) as table:
        table.begin("b")
        table.add(row("b"))
    assert table_file.read_bytes() == expected(folder, "a", "b", "c")


def test_where_adding_fails_the_table_is_written_whole_with_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes, **how: bool) -> None:
        with path.open("ab") as stream:
            stream.write(content[:5])
        raise SystemFailureError("the disk is full", remedy="Free some.")

    with table_in(folder) as table:
        table.add(row("a"))
        with monkeypatch.context() as patch:
            patch.setattr(files, "append_bytes", full)
            with pytest.raises(SystemFailureError):
                table.add(row("b"))
        table.add(row("c"))
        assert list(read_folder(folder, classes=CLASSES).rows) == ["a", "b", "c"]
    assert (folder / TABLE_FILE).read_bytes() == expected(folder, "a", "b", "c")


def test_what_was_begun_is_told_from_what_was_entered_before_the_kill(folder: Path) -> None:
    with table_in(folder) as table:
        for case in ("a", "b"):
            table.add(row(case))
    with killed_in(folder) as table:
        table.begin("a")
        table.add(row("a", "better"))  # and may be corrected by hand from now on
        table.begin("b")
    with killed_in(folder) as table:
        assert list(table.unentered.cases) == ["b"]
        table.begin("c")
    with killed_in(folder) as table:
        assert list(table.unentered.cases) == ["b", "c"]  # nothing is forgotten by the second kill
    with table_in(folder, FIRST) as table:
        assert list(table.unentered.cases) == ["b", "c"]  # nor by others
    with table_in(folder) as table:
        assert list(table.unentered.cases) == ["b", "c"]
        for case in ("b", "c"):
            table.begin(case)
            table.add(row(case))
    with table_in(folder) as table:
        assert not table.unentered.cases
    assert left(folder) == {TABLE_FILE}


@pytest.mark.parametrize("part", [WHOLE, FIRST], ids=str)
@pytest.mark.parametrize("extras", [{}, {"picture": "p"}], ids=["the same row", "with a picture"])
def test_what_was_made_again_and_entered_before_the_kill_is_not_half_written(
    folder: Path, part: Part, extras: dict[str, str]
) -> None:
    with table_in(folder) as table:
        for case in ("a", "b"):
            table.add(row(case))
    with killed_in(folder, part) as table:
        table.begin("a")
        table.add(row("a", extras_sha256=extras))  # by the same models, and may be corrected by hand from now on
    with table_in(folder) as table:
        assert not table.unentered.cases
        assert table.rows["a"].extras_sha256 == extras
    assert left(folder) == {TABLE_FILE}


def test_half_a_line_that_was_there_before_is_removed(folder: Path) -> None:
    with table_in(folder) as table:
        for case in ("a", "b"):
            table.add(row(case))
    with killed_in(folder) as table:
        table.begin("a")
        table.add(row("a"))
    table_file = folder / TABLE_FILE
    table_file.write_bytes(table_file.read_bytes()[:-2])
    with table_in(folder) as table:
        assert not table.unentered.cases
    assert table_file.read_bytes() == expected(folder, "a", "b")


@pytest.mark.parametrize("part", [WHOLE, FIRST], ids=str)
def test_what_was_begun_and_is_found_whole_is_noted_no_more(folder: Path, part: Part) -> None:
    with table_in(folder) as table:
        table.add(row("a"))
    with killed_in(folder) as table:
        for case in ("a", "x"):
            table.begin(case)
    with killed_in(folder, part) as table:
        assert list(table.unentered.cases) == ["a", "x"]
        table.found_whole("a")
        table.found_whole("b")
    with killed_in(folder, part) as table:
        assert list(table.unentered.cases) == ["x"]
        table.found_whole("x")
    with table_in(folder) as table:
        assert not table.unentered.cases
    assert left(folder) == {TABLE_FILE}


def test_wider_rows_make_a_wider_table(folder: Path) -> None:
    wide = PredictionRow("b", "in", "d", "out", {"disc": 1}, {}, "", extras_sha256={"picture": "p"}, calibration_sha256="c")
    with killed_in(folder) as table:
        for one in (row("a"), wide, row("c")):
            table.add(one)
    stored = read_folder(folder, classes=CLASSES)
    assert stored.rows == {"a": row("a"), "b": wide, "c": row("c")}
    assert stored.in_order


def test_parts_fill_one_table_in_whatever_order_they_end(folder: Path) -> None:
    with table_in(folder) as table:
        table.add(row("old"))
    with table_in(folder, SECOND) as second:
        with table_in(folder, FIRST) as first:
            for case, table in (("d", first), ("a", second), ("b", first), ("c", second)):
                table.begin(case)
                table.add(row(case))
            assert sorted(read_folder(folder, classes=CLASSES).rows) == ["a", "b", "c", "d", "old"]
        assert sorted(first.rows) == ["a", "b", "c", "d", "old"]  # each sees the others' rows
        assert (folder / TABLE_FILE).read_bytes() == expected(folder, "a", "b", "c", "d", "old")
        second.begin("e")
        second.add(row("e"))
    assert (folder / TABLE_FILE).read_bytes() == expected(folder, "a", "b", "c", "d", "e", "old")
    assert left(folder) == {TABLE_FILE}


@pytest.mark.parametrize("next_one", [WHOLE, FIRST, SECOND, Part(3, 5)], ids=str)
def test_a_killed_part_loses_nothing(folder: Path, next_one: Part) -> None:
    with table_in(folder, SECOND) as second:
        second.add(row("c"))
        with killed_in(folder, FIRST) as first:
            first.add(row("b"))
            first.begin("a")
            first.add(row("a"))
            first.begin("x")
        journal = folder / ".parts" / "1-of-2.csv"
        journal.write_bytes(journal.read_bytes() + b"x,in,dig")
        second.add(row("d"))
    assert (folder / TABLE_FILE).read_bytes() == expected(folder, "a", "b", "c", "d")
    with table_in(folder, next_one) as table:
        assert list(table.rows) == ["a", "b", "c", "d"]
        assert list(table.unentered.cases) == ["x"]
        assert not journal.exists()
        table.begin("x")
        table.add(row("x"))
    assert (folder / TABLE_FILE).read_bytes() == expected(folder, "a", "b", "c", "d", "x")
    assert left(folder) == {TABLE_FILE}


def test_what_a_killed_part_entered_does_not_come_back_over_what_came_later(folder: Path) -> None:
    with killed_in(folder, FIRST) as first:
        first.add(row("a", "first"))
    with killed_in(folder, Part(1, 3)) as again:
        again.add(row("a", "later"))
    with killed_in(folder) as whole:
        assert whole.rows["a"].output_sha256 == "later"
        whole.add(row("a", "last"))
    assert read_folder(folder, classes=CLASSES).rows["a"].output_sha256 == "last"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("there", "comes"),
    [(WHOLE, WHOLE), (FIRST, FIRST), (WHOLE, FIRST), (FIRST, WHOLE), (FIRST, Part(1, 3)), (Part(2, 4), FIRST)],
    ids=str,
)
def test_no_two_processes_segment_the_same_scan(folder: Path, there: Part, comes: Part) -> None:
    with table_in(folder, there) as table:
        with pytest.raises(WorkspaceError, match="in use by"), table_in(folder, comes):
            pytest.fail("both work")
        table.add(row("a"))
    with table_in(folder, comes) as table:
        assert list(table.rows) == ["a"]


def test_parts_of_other_models_are_refused_while_one_is_in_work(folder: Path) -> None:
    other = ("another digest", "tiny: sepres fold_0 (another)")
    with (
        table_in(folder, FIRST),
        pytest.raises(UsageError, match=r"part 1/2 .* other models.*expected tiny: sepres.*found tiny: unet"),
        table_in(folder, SECOND, settings=other),
    ):
        pytest.fail("two models fill one table")
    with table_in(folder, SECOND, settings=other), pytest.raises(UsageError), table_in(folder, FIRST):
        pytest.fail("two models fill one table")
    with killed_in(folder, FIRST):
        pass
    with table_in(folder, SECOND, settings=other):
        pass
