"""The report as one HTML file: what it is made of, and how it becomes text.

The file holds everything it shows and asks nobody for anything. Text from outside (names of cases, classes, folders) is
escaped by the template; the page may run no script but its own.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, ClassVar, Final, Literal

import jinja2

from autoseg.reporting.volume_view import VolumeView

_TEMPLATE: Final = files("autoseg.reporting") / "template"


@dataclass(frozen=True)
class Text:
    """Paragraphs."""

    kind: ClassVar[str] = "text"
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows under headings; all columns but the first are numbers, unless `words` says otherwise.

    Attributes:
        caption: what it shows.
        columns: headings.
        rows: as many cells each.
        strong: cells (row, column) in bold type.
        words: whether cells are text, aligned to the left.
        folded: whether it is closed until opened.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: frozenset[tuple[int, int]] = frozenset()
    words: bool = False
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        content: the file.
        format: its format.
        alt: what it shows, for those who cannot see it.
        shows: one sentence: what it shows.
        judge: one sentence: what good and bad look like, and what to do then.
    """

    kind: ClassVar[str] = "picture"
    content: bytes
    format: Literal["png", "svg"]
    alt: str
    shows: str
    judge: str

    @property
    def uri(self) -> str:
        """The picture as part of the page."""
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
class Remarks:
    """Things to know before believing the numbers; none is worth saying too."""

    kind: ClassVar[str] = "remarks"
    lines: Sequence[str]


Block = Text | Table | Picture | Viewer | Facts | Copyable | Remarks


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: letters and dashes, for links.
        title: its heading.
        lead: what it is about.
        blocks: what it shows.
    """

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """The whole report.

    Attributes:
        title: its heading.
        subtitle: one line below.
        cards: the few numbers that matter most: value, what it is, and a remark.
        sections: in order.
    """

    title: str
    subtitle: str
    cards: Sequence[tuple[str, str, str]] = ()
    sections: Sequence[Section] = field(default_factory=tuple)


def render(page: Page) -> str:
    """The page as one HTML document."""
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


def data_uri(content: bytes, mime: str) -> str:
    """A file as an address that holds it."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


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
