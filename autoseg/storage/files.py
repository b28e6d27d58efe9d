"""The only way anything reaches the disk: whole or not at all.

A file is written beside its final place, flushed to the disk and renamed over it, so that a reader, or a run after a
power cut, sees the old content or the new and never half of either.

Source: with kill -9 while saving, plain writing left 8 of 8 files unreadable, this way none
(docs/explanation/decisions.md).
"""

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final

from autoseg.errors import AutosegError, SystemFailureError, WorkspaceError
from autoseg.storage.held import HELD
from autoseg.storage.temporary import temporary_beside, temporary_folder_beside

_CHUNK_BYTES = 1 << 20

_ESCAPES: Final = "backslashreplace"
r"""What becomes of bytes in file names that are not UTF-8, for Python characters such as `\udcff`: escapes, as JSON has."""

_MOST_LEVELS: Final = 100
"""Of a JSON document. Source: chosen; ours have at most ten, and writing one must not run out of stack."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, it becomes `path` in one step.

    The temporary name keeps all suffixes, so that libraries which choose a format by name may write to it. When the
    block fails, nothing of it remains; when the process is killed, the next one that writes into the folder removes it.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            yield temporary
            with temporary.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size == 0:
                    raise OSError(errno.ENODATA, "nothing was written")
                os.fsync(stream.fileno())
            HELD.require(path)
            temporary.replace(path)
        _sync_folder(path.parent)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` for files that nobody needs after the block; it goes with it, however that ends.

    When the process is killed, the next one that writes beside it removes it.

    Raises:
        SystemFailureError: it cannot be made.
    """
    with ExitStack() as stack:
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(temporary_folder_beside(path))
        yield temporary


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content in one step."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def link_or_copy(source: Path, path: Path) -> None:
    """Have the content of a file that nobody changes in another place, too, in one step; once on the disk where possible.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    with atomic_path(path) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, temporary)


def append_bytes(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Add to the end of a file; unlike all else here not in one step: who appends must bear, and remove, half an addition.

    Args:
        path: the file.
        content: what to add.
        sync: wait until the disk has all of the file; else the addition survives its process, but not a power cut.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    with explain_os_errors(path):
        HELD.require(path)
    with explain_os_errors(path), path.open("ab") as stream:
        stream.write(content)
        stream.flush()
        if sync:
            os.fsync(stream.fileno())


def remove(paths: Iterable[Path]) -> None:
    """Delete files, those that are there.

    Raises:
        SystemFailureError: one cannot be deleted.
    """
    for path in paths:
        with explain_os_errors(path):
            path.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    r"""Replace a UTF-8 file's content in one step; what is no UTF-8 in names of files becomes `\udcff`."""
    write_bytes(path, content.encode(errors=_ESCAPES))


def json_text(document: Any) -> str:
    """A JSON document as this project writes them: indented, UTF-8, keys in the order given, a final newline."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode(errors=_ESCAPES).decode()


def write_json(path: Path, document: Any) -> None:
    """Replace a JSON file's content in one step."""
    write_text(path, json_text(document))


def read_json(path: Path, *, error: type[AutosegError] = WorkspaceError, remedy: str, unusable: str | None = None) -> Any:
    """Read a JSON file.

    Args:
        path: where it is.
        error: what is raised.
        remedy: what the user can do where there is none.
        unusable: what the user can do about one that cannot be parsed; None: the same.

    Raises:
        AutosegError: of the type `error`: there is none, it cannot be parsed, or, with a remedy of its own, may not be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise error("the file does not exist", where=path, remedy=remedy) from None
    except OSError as cause:
        remedy = remedy if isinstance(cause, IsADirectoryError) else "Check the file, its permissions and its disk."
        raise error(f"cannot be read ({cause.strerror or cause})", where=path, remedy=remedy) from None
    return parse_json(content, error=error, where=path, remedy=remedy if unusable is None else unusable)


def parse_json(content: bytes, *, error: type[AutosegError], where: Path | str, remedy: str) -> Any:
    """Parse a JSON document; one that cannot be parsed, or only in several ways, becomes `error` with `remedy`."""
    try:
        document = json.loads(
            content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=named_once
        )
        _check_depth(document)
    except (ValueError, RecursionError) as cause:  # not JSON, not UTF-8; nested without end
        raise error(f"not a JSON document ({cause})", where=where, remedy=remedy) from None
    return document


def sha256_bytes(content: bytes) -> str:
    """SHA-256 of a byte string as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_json(document: Any) -> str:
    """SHA-256 of a document in a canonical form (sorted keys, no spaces): equal content gives equal digests."""
    return sha256_bytes(json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return sha256_stream(stream)


def sha256_stream(stream: BinaryIO) -> str:
    """SHA-256 of what is left of a file, read in pieces."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into errors with a cure."""
    try:
        yield
    except OSError as cause:
        full = cause.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        remedy = "Free some space and run the same command again." if full else "Check the folder and its permissions."
        raise SystemFailureError(
            "the disk is full" if full else f"cannot be written ({cause.strerror or cause})", where=path, remedy=remedy
        ) from cause


def require_writable(folder: Path) -> None:
    """Find out before long work whether its results can be written; a folder that is not there yet is not made.

    Raises:
        SystemFailureError: they cannot.
    """
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    with explain_os_errors(folder), TemporaryFile(dir=there):
        pass


def require_space(folder: Path, needed: int) -> None:
    """Require a disk to have space.

    Raises:
        SystemFailureError: it has not.
    """
    with explain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise SystemFailureError(
            "the disk has too little space",
            where=folder,
            expected=f"{needed / 1e9:.1f} GB",
            found=f"{free / 1e9:.1f} GB free",
            remedy="Free some space and run the same command again.",
        )


def _refuse_constant(name: str) -> None:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        _refuse_constant(digits)
    return number


def named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON document, for `json.loads`; ValueError for a key that comes twice: which is meant?"""
    document = dict(pairs)
    if len(document) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        msg = f"the key {twice[:100]!a} comes twice"
        raise ValueError(msg)
    return document


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(_MOST_LEVELS):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    msg = f"nested more than {_MOST_LEVELS} levels deep"
    raise ValueError(msg)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _sync_folder(folder: Path) -> None:
    # A rename is only safe from a power cut once its folder has reached the disk; not every file system allows asking.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
