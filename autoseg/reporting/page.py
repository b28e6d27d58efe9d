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
from importlib.resources import files
from typing import Any, Final

import jinja2

from autoseg.reporting.blocks import Block
from autoseg.reporting.palette import CLASSES, NETWORKS
from autoseg.reporting.viewer import data_uri

_TEMPLATE: Final = files("autoseg.reporting") / "template"
_SCRIPTS: Final = ("viewer.js", "page.js")


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
        facts: names and values of what else stands there: when, on what, for how long.
        sections: in order.
    """

    title: str
    subtitle: str
    sections: Sequence[Section] = ()
    facts: Sequence[tuple[str, str]] = ()


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
    environment.globals["uri"] = data_uri
    script = "".join(map(_source, _SCRIPTS))
    return environment.get_template("page.html.jinja").render(
        page=page, style=_colours() + _source("style.css"), script=script, script_hash=_hash(script)
    )


def _colours() -> str:
    """Colours of classes and networks, which follow the system or the reader from light to dark, and are light on paper."""
    light, dark = (" ".join(palette.style(dark=each) for palette in (CLASSES, NETWORKS)) for each in (False, True))
    return (
        f":root {{ {light} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}\n'
        f':root[data-theme="dark"] {{ {dark} }}\n'
        f'@media print {{ :root, :root:not([data-theme="light"]), :root[data-theme="dark"] {{ {light} }} }}\n'
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
