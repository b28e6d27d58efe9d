"""Configuration of the documentation's site: Sphinx with MyST (Markdown) and the theme furo.

The pages are README.md and those below docs/, as they are read on a code host. Only the site's table of contents is here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "autoseg"
author = "The autoseg team"
language = "en"
extensions = ["myst_parser"]

root_doc = "README"
include_patterns = ["README.md", "docs/**"]
exclude_patterns = [".*", "autoseg", "autoseg-demo", "build", "dist", "runs", "site", "tests"]
nitpicky = True

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # which links may name, as on a code host
myst_all_links_external = False

html_theme = "furo"
html_title = "autoseg"
html_copy_source = False
html_show_sphinx = False

CONTENTS: Final = {
    "Start": ["docs/tutorial"],
    "How to": ["docs/how-to/[!b]*", "docs/how-to/bring-*"],
    "Reference": ["docs/reference/*"],
    "Explanation": ["docs/explanation/*"],
    "Project": ["docs/CHANGELOG"],
}
"""Parts of the table of contents with their pages; a star stands for those of a folder, by name."""


def contents() -> str:
    """The table of contents as MyST's directives, which only the site shows."""
    parts = []
    for caption, pages in CONTENTS.items():
        parts.append("\n".join(["```{toctree}", ":hidden:", ":glob:", f":caption: {caption}", "", *pages, "```"]))
    return "\n\n".join(parts)


def add_contents(_: "Sphinx", page: str, source: list[str]) -> None:
    """Give the first page the table of contents."""
    if page == root_doc:
        source[0] += f"\n\n{contents()}\n"


def add_index(app: "Sphinx", failure: Exception | None) -> None:
    """Lead whoever opens the site's folder to the first page."""
    if failure is None:
        forward = f'<meta http-equiv="refresh" content="0; url={root_doc}.html">'
        (Path(app.outdir) / "index.html").write_text(f"<!DOCTYPE html>{forward}\n", encoding="utf-8")


def setup(app: "Sphinx") -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
    app.connect("build-finished", add_index)
