"""Anything else, by a table.

`cases.csv` has the columns `id`, `image` (or `image_<channel>` for each of several channels), `label` (may be empty), and
optionally `split` (training, validation or test) and `subject`. Paths are relative to the table. Cells are separated by
commas, semicolons or tabs, as spreadsheets of different countries write them.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from autoseg.data.dataset import Case, Dataset, Subset
from autoseg.data.naming import dataset_name, named_file, normalised, refuse_unusable
from autoseg.errors import DatasetError
from autoseg.formats.dicom_files import may_be_image
from autoseg.layouts.common import Choice, Layout, Mismatch, in_natural_order

TABLE: Final = "cases.csv"
_DELIMITERS: Final = (",", ";", "\t")
_IMAGE, _OTHERS = "image", frozenset({"id", "label", "split", "subject"})
_SPLITS: Final[dict[str, Subset]] = {
    "": "training",
    "training": "training",
    "train": "training",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}


class CasesCsv(Layout):
    """One row per case."""

    description = "instead"

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        """Read a folder."""
        choice.refuse()
        path = root / TABLE
        if not path.is_file():
            msg = f"no {TABLE}"
            raise Mismatch(msg)
        header, rows = _rows(path)
        images = _image_columns(header, path)
        _refuse_repeated_ids(rows, path)
        _refuse_missing(rows, [*images, "label"], path)
        cases = [_case(row, images, root=root, where=f"{path}, line {line}") for line, row in rows]
        return Dataset(
            name=dataset_name(root, {}),
            root=root,
            layout="cases_csv",
            channels=tuple(column.removeprefix(f"{_IMAGE}_") for column in images),
            classes=None,
            cases=in_natural_order(cases),
        )


def _rows(path: Path) -> tuple[Sequence[str], list[tuple[int, Mapping[str, str]]]]:
    """The header, and every row that is not empty with its line number, without spaces around cells."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, delimiter=_delimiter(path))
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as cause:
        raise DatasetError(f"not a CSV table ({cause})", where=path, remedy="Save it as CSV in UTF-8.") from None
    filled = [(number, cells) for number, cells in lines if any(cells)]
    if not filled:
        raise DatasetError("the table is empty", where=path, remedy="Add a header and one row per case.")
    header = filled[0][1]
    for number, cells in filled[1:]:
        if len(cells) != len(header):
            raise DatasetError(
                f"line {number} has another number of cells than the header",
                where=path,
                expected=str(len(header)),
                found=str(len(cells)),
                remedy="Fix this line.",
            )
    rows = [(number, dict(zip(header, cells, strict=True))) for number, cells in filled[1:]]
    return header, [(number, {**row, "id": normalised(row.get("id", ""))}) for number, row in rows]


def _delimiter(path: Path) -> str:
    """What separates the cells: the sign that splits the first line into most of them."""
    with path.open(encoding="utf-8-sig") as stream:
        header = next((line for line in stream if line.strip()), "")
    return max(_DELIMITERS, key=lambda sign: len(next(csv.reader([header], delimiter=sign), ())))


def _image_columns(header: Sequence[str], path: Path) -> list[str]:
    images = [column for column in header if column == _IMAGE or column.startswith(f"{_IMAGE}_")]
    unknown = [column for column in header if column not in images and column not in _OTHERS]
    missing = [column for column in ("id", "label") if column not in header] + ([] if images else [_IMAGE])
    mixed = _IMAGE in images and len(images) > 1
    nameless = f"{_IMAGE}_" in images
    if unknown or missing or mixed or nameless or len(set(header)) != len(header):
        raise DatasetError(
            "the header does not fit",
            where=path,
            expected="id, image (or image_<channel>, ...), label, and optionally split, subject",
            found=", ".join(header),
            remedy="Correct the names of the columns.",
        )
    return images


def _refuse_repeated_ids(rows: Iterable[tuple[int, Mapping[str, str]]], path: Path) -> None:
    lines: dict[str, list[str]] = {}
    for line, row in rows:
        lines.setdefault(row["id"], []).append(str(line))
    several = [f"{name} in lines {', '.join(numbers)}" for name, numbers in lines.items() if name and len(numbers) > 1]
    if several:
        raise DatasetError(
            "column `id` repeats itself", where=path, found="; ".join(several), remedy="Give every case an id of its own."
        )


def _refuse_missing(rows: Iterable[tuple[int, Mapping[str, str]]], columns: Sequence[str], path: Path) -> None:
    """Refuse a table that names files which are not there, naming all of them."""
    missing = [
        f"line {line}, {column}: {path.parent / row[column]}"
        for line, row in rows
        for column in columns
        if row[column] and not may_be_image(_file(path.parent, row[column]))
    ]
    if missing:
        raise DatasetError(
            "names files that are not there, or folders without DICOM slices",
            where=path,
            found="; ".join(missing),
            remedy="Correct the paths, which are relative to the table, or restore the files.",
        )


def _file(root: Path, cell: str) -> Path:
    return named_file(root / cell)


def _case(row: Mapping[str, str], images: Sequence[str], *, root: Path, where: str) -> Case:
    for column in ("id", *images):
        if not row[column]:
            raise DatasetError(f"column `{column}` is empty", where=where, remedy="Fill it in, or remove the line.")
    problem = "column `id` does not do as a file's name"
    refuse_unusable(row["id"], problem, where=where, remedy="Give the case another id.")
    label = _file(root, row["label"]) if row["label"] else None
    return Case(
        id=row["id"],
        images=tuple(_file(root, row[column]) for column in images),
        label=label,
        subject=row.get("subject") or row["id"],
        subset=_subset(row.get("split", ""), labelled=label is not None, where=where),
    )


def _subset(split: str, *, labelled: bool, where: str) -> Subset:
    """The part of the data set a case belongs to; what has no label can only be predicted."""
    if split.lower() not in _SPLITS:
        raise DatasetError(
            "column `split` holds an unknown word",
            where=where,
            expected="training, validation or test",
            found=split,
            remedy="Correct it, or leave it empty.",
        )
    if labelled:
        return _SPLITS[split.lower()]
    if split and _SPLITS[split.lower()] == "training":
        raise DatasetError(
            "column `label` is empty in a training case",
            where=where,
            remedy="Name its label map, or set its split to test.",
        )
    return "test"
