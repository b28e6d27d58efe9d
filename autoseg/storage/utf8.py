"""Paths for libraries that take UTF-8 alone.

A Unix path is any bytes, and Python passes those that are no text on as they are. SimpleITK ends the process at the first of
them. So it gets another path to the same file, through a link among temporary files that goes with the process.
"""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from autoseg.errors import SystemFailureError


def is_utf8(path: Path | str) -> bool:
    """Whether a path is text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def utf8_path(path: Path) -> Path:
    """A path to the same file, whether it is there or not, that is text; the same path where it is.

    Args:
        path: a file in a folder that is there. Where its own name is no text, files that it names are not found beside the
            path that comes back.

    Raises:
        SystemFailureError: no link can be made.
    """
    if is_utf8(path):
        return path
    if is_utf8(path.name):
        return _link(path.parent.absolute(), "folder") / path.name
    suffixes = "".join(suffix for suffix in path.suffixes if is_utf8(suffix))
    return _link(path.absolute(), f"file{suffixes}")


@cache
def _temporary() -> str:
    folder = tempfile.mkdtemp(prefix="autoseg-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _link(target: Path, name: str) -> Path:
    try:
        folder = Path(tempfile.mkdtemp(dir=_temporary()))
        (folder / name).symlink_to(target)
    except OSError as cause:
        raise SystemFailureError(
            f"the name is not UTF-8, and no link to it can be made ({cause.strerror or cause})",
            where=target,
            remedy="Rename it, or set TMPDIR to a folder that may be written.",
        ) from None
    if not is_utf8(folder):
        raise SystemFailureError(
            "neither this name nor that of the folder for temporary files is UTF-8",
            where=target,
            remedy="Rename it, or set TMPDIR to another folder.",
        )
    return folder / name
