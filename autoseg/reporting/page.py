"""The report as one HTML file: what it is made of, and how it becomes text.

The file holds everything it shows and asks nobody for anything. Text from outside (names of cases, classes, folders) is
escaped by the template, and the page's own policy lets the browser run no script but the page's.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, ClassVar, Final, Literal

import jinja2

from autoseg.reporting.viewer import VolumeView, data_uri

MOST_ROWS: Final = 200
"""Of a table of cases; a page of 10,000 rows is slow to open, and nobody reads them there. Source: chosen."""

_TEMPLATE: Final = files("autoseg.reporting") / "template"


@dataclass(frozen=True)
class Text:
    """Paragraphs."""

    kind: ClassVar[str] = "text"
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first column names the row.

    Attributes:
        caption: what it shows.
        columns: headings.
        rows: as many cells each.
        strong: cells (row, column) in bold type, from 0.
        words: whether cells hold sentences, which may be broken into lines.
        folded: whether it is closed until opened.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: frozenset[tuple[int, int]] = frozenset()
    words: bool = False
    folded: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                msg = f"{self.caption}: {len(row)} cells under {len(self.columns)} columns: {row}"
                raise ValueError(msg)

    @cached_property
    def numbers(self) -> frozenset[int]:
        """Columns of numbers, which stand to the right: not the first, and none without a single digit."""
        if self.words:
            return frozenset()
        return frozenset(
            column
            for column in range(1, len(self.columns))
            if any(character.isdigit() for row in self.rows for character in row[column])
        )


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        content: the file.
        format: its format.
        alt: what it shows, for those who cannot see it.
        shows: one sentence: what it shows.
        judge: one sentence: what good and bad look like, and what to do then.
    """

    kind: ClassVar[str] = "figure"
    content: bytes
    format: Literal["png", "svg"]
    alt: str
    shows: str
    judge: str

    @property
    def uri(self) -> str:
        """The figure as part of the page."""
        mime = {"png": "image/png", "svg": "image/svg+xml"}[self.format]
        return data_uri(self.content, mime)


@dataclass(frozen=True)
class Viewer:
    """A scan to leaf through, with label maps over it.

    Attributes:
        title: which one.
        view: the scan and its label maps.
        shows: one sentence: what it shows.
        judge: one sentence: what good and bad look like, and what to do then.
    """

    kind: ClassVar[str] = "viewer"
    title: str
    view: VolumeView
    shows: str
    judge: str


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and a value."""

    kind: ClassVar[str] = "facts"
    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Copyable:
    """Text to be copied: commands, or a paragraph for a paper.

    Attributes:
        text: what is copied.
        label: what it is.
        code: whether it is shown as code.
        references: listed below it, copied with it.
    """

    kind: ClassVar[str] = "copyable"
    text: str
    label: str
    code: bool = False
    references: Sequence[str] = ()


@dataclass(frozen=True)
class Warnings:
    """What to know before believing the numbers; that there is nothing is said, too."""

    kind: ClassVar[str] = "warnings"
    lines: Sequence[str]


Block = Text | Table | Figure | Viewer | Facts | Copyable | Warnings


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: lower-case letters and dashes, for links.
        title: its heading.
        lead: what it is about; empty for none.
        blocks: what it shows.

    Raises:
        ValueError: the id is not of that form.
    """

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]

    def __post_init__(self) -> None:
        if re.fullmatch("[a-z]+(-[a-z]+)*", self.id) is None:
            msg = f"a section's id is made of lower-case letters and dashes, not {self.id!r}"
            raise ValueError(msg)


@dataclass(frozen=True)
class Page:
    """The whole report.

    Attributes:
        title: its heading.
        subtitle: one line below.
        cards: the few numbers that matter most: value, what it is, and what it rests on.
        sections: in order.
    """

    title: str
    subtitle: str
    cards: Sequence[tuple[str, str, str]] = ()
    sections: Sequence[Section] = ()


def render(page: Page) -> str:
    """Write the page as one HTML document.

    Returns:
        the document, to be stored as UTF-8; equal pages give equal documents.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline_json"] = _inline_json
    script = _source("viewer.js")
    return environment.get_template("page.html.jinja").render(
        page=page, style=_source("style.css"), script=script, script_hash=_hash(script)
    )


def _source(name: str) -> str:
    return (_TEMPLATE / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """What a content security policy knows a script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _inline_json(document: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
