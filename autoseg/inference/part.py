"""Parts of the scans, for several processes that fill one folder of results."""

import re
from dataclasses import dataclass
from typing import Final

from autoseg.errors import UsageError
from autoseg.storage import files

MOST_PARTS: Final = 10_000
"""Source: chosen; more than any array of jobs has."""

BAR: Final = "predicting"
"""What the bar over scans is called."""

_ESCAPES: Final = "surrogatepass"
"""Names of files may hold what is no UTF-8."""


@dataclass(frozen=True)
class Part:
    """One of several parts, each of which holds about as many scans.

    A scan's part is decided by its id alone (SHA-256 modulo the number of parts), and stays the same when other scans are
    added or removed: two processes never take the same scan, even if they do not see the same files. The price is that
    parts differ in size, by about the square root of it.

    Attributes:
        number: from 1.
        count: how many parts there are.
    """

    number: int = 1
    count: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether it is all there is."""
        return self.count == 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, scan_id: str) -> bool:
        """Whether a scan belongs to it."""
        return int(files.sha256_bytes(scan_id.encode(errors=_ESCAPES)), 16) % self.count == self.number - 1


WHOLE: Final = Part()


def parse_part(text: str) -> Part:
    """Read a part such as `2/8`.

    Raises:
        UsageError: it is none.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count <= MOST_PARTS:
        raise UsageError(
            "not a part of the scans",
            expected=f"a number and how many parts there are, at most {MOST_PARTS}, such as 2/8",
            found=text,
            remedy="Start one process for each of 1/8, 2/8, ..., 8/8.",
        )
    return Part(number, count)
