"""Paths for libraries that take UTF-8 alone.

A Unix path is any bytes, and Python passes those that are no text on as they are. SimpleITK ends the process at the first of
them. So it gets another path to the same file, through a link among temporary files that stays only as long as it is used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from autoseg.errors import SystemFailureError


def is_utf8(path: Path | str) -> bool:
    """Whether a path is text."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """A path to the same file, whether it is there or not, that is text; the same path where it is.

    Args:
        path: a file in a folder that is there. Where its own name is no text, files that it names are not found beside the
            path that is given.

    Raises:
        SystemFailureError: no link can be made.
    """
    if is_utf8(path):
        yield path
        return
    whole = is_utf8(path.name)  # then the link is to the folder, and an image of several files finds them
    target = path.parent if whole else path
    name = "folder" if whole else "file" + "".join(suffix for suffix in path.suffixes if is_utf8(suffix))
    with _temporary(target) as folder:
        try:
            (folder / name).symlink_to(target.absolute())
        except OSError as cause:
            raise _no_link(target, cause.strerror) from None
        yield folder / name / path.name if whole else folder / name


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A folder for a link to a target."""
    try:
        made = TemporaryDirectory(prefix="autoseg-")
    except OSError as cause:
        raise _no_link(target, cause.strerror) from None
    with made as folder:
        if not is_utf8(folder):
            raise _no_link(target, "the folder for temporary files is not UTF-8 either")
        yield Path(folder)


def _no_link(target: Path, why: str | None) -> SystemFailureError:
    return SystemFailureError(
        f"the name is not UTF-8, and no link to it can be made ({why})",
        where=target,
        remedy="Rename it, or set TMPDIR to another folder.",
    )
