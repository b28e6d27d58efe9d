"""What a data set and its files may be called."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from autoseg.errors import DatasetError

FILE_NAMES: Final = "printable text of at most 200 bytes, with no slash, no colon and no leading dot or blank"
"""What a name needs to become the name of files and folders."""
_PREFIX: Final = re.compile(r"^(Dataset|Task)\d+_(?=.)")
_MOST_BYTES: Final = 200
"""File systems allow 255, and endings are added."""


def is_file_name(text: str) -> bool:
    """Whether a text may become the name of a file: one with a path in it would be written outside its folder."""
    fits = text.isprintable() and 0 < len(text.encode(errors="replace")) <= _MOST_BYTES
    return fits and not text.startswith((".", " ")) and not any(sign in text for sign in "/\\:")


def printable(name: str) -> str:
    r"""A file's name as it can be shown and stored: bytes that are not UTF-8 become escapes such as `\xff`."""
    return os.fsencode(name).decode(errors="backslashreplace")


def refuse_undecodable(path: Path) -> None:
    """Refuse a path that is not UTF-8: tables and JSON documents could not name it.

    Raises:
        DatasetError: it is not.
    """
    if (shown := printable(str(path))) != str(path):
        raise DatasetError("the name is not UTF-8", where=shown, remedy="Rename it.")


def dataset_name(root: Path, document: Mapping[str, Any]) -> str:
    """The name a description gives, else the folder's without a prefix such as `Task04_` or `Dataset001_`.

    Raises:
        DatasetError: the description's `name` is not text.
    """
    given = document.get("name", "")
    if not isinstance(given, str):
        raise DatasetError(
            "`name` is not text", where=root / "dataset.json", found=repr(given), remedy="Mend or remove this entry."
        )
    name = given if given.strip() else _PREFIX.sub("", root.name)
    # The name becomes a folder's.
    return re.sub(r"[^\w.-]+", "_", name.strip()).strip("._") or "dataset"
