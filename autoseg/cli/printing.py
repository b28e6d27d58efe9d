"""The one way out of commands: what text may reach a terminal, a file or a pipe, and what becomes of the rest.

Text from outside (names of files, classes, models) is shown, not obeyed: what steers a terminal, turns the direction of
reading or cannot be seen is spelled out, and so is what the stream's encoding lacks. A stream that was closed, or whose
reader left, ends no command.
"""

import contextlib
import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, TextIO
from unicodedata import category

LONGEST_NAME: Final = 255
"""Characters without a blank or slash that are shown whole. Source: no usual file system has longer names."""

LONGEST_LINE: Final = 10_000
"""Characters of a line that are shown. Source: chosen; the longest of ours, a list of names, has some thousands."""

_TOO_LONG: Final = re.compile(rf"[^\s/]{{{LONGEST_NAME + 1},}}")
_TOO_LONG_LINE: Final = re.compile(rf"[^\n]{{{LONGEST_LINE + 1},}}")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of Unicode whose characters steer, turn, part lines or show nothing."""


def printable(text: str, *, lines: bool = True, encoding: str = "utf-8") -> str:
    """The text as it may be printed.

    Args:
        text: with names from outside in it.
        lines: whether its line breaks are its own; else they are spelled out, too.
        encoding: of the stream; what this lacks is spelled out.
    """
    text = _TOO_LONG_LINE.sub(lambda found: _cut(found[0], LONGEST_LINE), text)
    text = _TOO_LONG.sub(lambda found: _cut(found[0], LONGEST_NAME), text)
    kept = "\n\t" if lines else "\t"
    if not text.isprintable():
        text = "".join(sign if sign in kept or category(sign) not in _HIDDEN else _spelled(sign) for sign in text)
    return text.encode(encoding, errors="backslashreplace").decode(encoding)


def in_one_line(text: str, data: object) -> str:
    """Lines in which no name breaks a line.

    Args:
        text: lines with names in them.
        data: what these names are, in nested mappings and sequences of texts and paths.
    """
    for name in sorted(_broken_names(data), key=len, reverse=True):
        text = text.replace(name, printable(name, lines=False))
    return text


def print_result(text: str) -> None:
    """Print lines on stdout.

    Raises:
        OSError: they cannot be written, for another reason than that nobody reads them.
    """
    outlet = Outlet(sys.stdout, needed=True)
    outlet.write(printable(text, encoding=outlet.encoding) + "\n")
    outlet.flush()


def print_json(text: str) -> None:
    """Print a JSON document on stdout; what cannot be printed stands as JSON's own escapes, which say the same.

    Raises:
        OSError: as above.
    """
    outlet = Outlet(sys.stdout, needed=True)
    outlet.write("".join(_in_json(sign, outlet.encoding) for sign in text) if not text.isascii() or "\x7f" in text else text)
    outlet.flush()


def print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show where in the code an error arose, on stderr; `sys.excepthook` of the command."""
    outlet = Outlet(sys.stderr)
    text = in_one_line("".join(traceback.format_exception(kind, error, trace)), getattr(error, "where", None))
    outlet.write(printable(text, encoding=outlet.encoding))
    outlet.flush()


def open_closed_streams() -> None:
    """Give a process an empty stream for each that was closed, so that no file that it opens takes the place of one."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream of somebody else
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


class Outlet:
    """A stream whose failure does not end work.

    Args:
        stream: where to.
        needed: whether what is written is what the command was asked for: then only a reader who left is no failure.
    """

    def __init__(self, stream: TextIO, *, needed: bool = False) -> None:
        self._stream, self._needed = stream, needed
        self.encoding = stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Write text that may be printed."""
        with self._surviving():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Let it out."""
        with self._surviving():
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Number of the stream."""
        return self._stream.fileno()

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except OSError as cause:
            discard(self._stream)
            if self._needed and cause.errno != errno.EPIPE:
                raise


def discard(stream: TextIO) -> None:
    """What is and will be written to a stream goes nowhere, so that nothing fails again when the process ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _broken_names(data: object) -> set[str]:
    match data:
        case str() | Path():
            return {name for name in str(data).split("/") if "\n" in name}
        case Mapping():
            return {name for pair in data.items() for part in pair for name in _broken_names(part)}
        case list() | tuple():
            return {name for part in data for name in _broken_names(part)}
    return set()


def _cut(text: str, longest: int) -> str:
    kept = (longest - 3) // 2
    return f"{text[:kept]}...{text[-kept:]}"


def _spelled(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # what is no UTF-8 in the name of a file
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _in_json(sign: str, encoding: str) -> str:
    if sign == "\n":
        return sign
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(sign)[1:-1]
    if category(sign) not in _HIDDEN:
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else json.dumps(sign)[1:-1]
