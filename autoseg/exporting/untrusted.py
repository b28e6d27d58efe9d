"""What is accepted of an exported model from a stranger: how much of everything, and which JSON documents."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from autoseg.errors import BundleError
from autoseg.storage import files

ASK_AGAIN: Final = "Ask for the file again, or write it again with `autoseg export`."
"""What the user can do about an exported model that cannot be used."""

WEIGHTS_SUFFIX: Final = ".safetensors"
MAX_MEMBERS: Final = 500
MAX_DOCUMENT_BYTES: Final = 16 << 20
MAX_TEXT_BYTES: Final = 64 << 20
MAX_WEIGHTS_BYTES: Final = 1 << 30
MAX_BYTES: Final = 8 << 30
"""Limits on what is read: members, a document, all documents together, the weights of one network, everything.

Source: ours; a hundred times what the largest plan on IBSR18 needs. Documents of 10,000 cases take 20 to 30 MB together."""

MAX_VALUES: Final = 300_000
"""Values in one document, counted by the commas that separate them.

Source: ours; enough for 2000 cases of a fingerprint with a hundred values each. A megabyte of zeros where objects belong
makes a parser list half a million problems in a gigabyte of memory."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def excess_of(sizes: Mapping[str, int]) -> str | None:
    """Which limit files of these sizes, by name, exceed together; None: none."""
    weights = [size for name, size in sizes.items() if name.endswith(WEIGHTS_SUFFIX)]
    documents = [size for name, size in sizes.items() if not name.endswith(WEIGHTS_SUFFIX)]
    found = {
        f"more than {MAX_MEMBERS} members": len(sizes) > MAX_MEMBERS,
        f"weights of more than {MAX_WEIGHTS_BYTES} bytes": max(weights, default=0) > MAX_WEIGHTS_BYTES,
        f"a document of more than {MAX_DOCUMENT_BYTES} bytes": max(documents, default=0) > MAX_DOCUMENT_BYTES,
        f"documents of more than {MAX_TEXT_BYTES} bytes": sum(documents) > MAX_TEXT_BYTES,
        f"more than {MAX_BYTES} bytes": sum(sizes.values()) > MAX_BYTES,
    }
    return next((what for what, exceeded in found.items() if exceeded), None)


def parse_untrusted(content: bytes, *, where: str) -> object:
    """Parse a JSON document.

    Raises:
        BundleError: it is not JSON, holds more values than are read, or characters that steer a terminal.
    """
    if content.count(b",") > MAX_VALUES:
        raise BundleError("too many values", where=where, expected=f"at most {MAX_VALUES}", remedy=ASK_AGAIN)
    document = files.parse_json(content, error=BundleError, where=where, remedy=ASK_AGAIN)
    if culprit := next((text for text in _texts(document) if _CONTROL.search(text)), None):
        found = ascii(culprit[:100])
        raise BundleError("holds characters that steer a terminal", where=where, found=found, remedy=ASK_AGAIN)
    return document


def _texts(document: object) -> Iterator[str]:
    """All keys and texts of a JSON document. No recursion: it may be nested deeper than that goes."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            pending += value
