"""CITATION.cff is one that tools can read, and names this version."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import autoseg

ROOT = Path(__file__).parents[2]
CITATION: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "CITATION.cff").read_text(encoding="utf-8"))
WORKS = [CITATION, *CITATION["references"]]


def test_it_has_what_the_format_requires() -> None:
    """Source: the schema of CFF 1.2.0."""
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert CITATION["message"].strip()


@pytest.mark.parametrize("work", WORKS, ids=[work["title"] for work in WORKS])
def test_every_work_has_a_title_a_type_and_authors(work: dict[str, Any]) -> None:
    assert work["title"].strip()
    assert work["type"] in {"software", "article", "report"}
    assert work["authors"]
    assert all(author.keys() in ({"name"}, {"family-names"}, {"family-names", "given-names"}) for author in work["authors"])


def test_version_and_licence_are_the_packages() -> None:
    assert CITATION["version"] == autoseg.__version__
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'license = "{CITATION["license"]}"' in project


def test_the_papers_are_those_of_the_method() -> None:
    method = (ROOT / "docs" / "explanation" / "method.md").read_text(encoding="utf-8")
    for work in CITATION["references"]:
        first = work["authors"][0]["family-names"]
        assert re.search(rf"^- {first}.* \({work['year']}\)", method, flags=re.MULTILINE)
        assert work["title"] in method.replace("\n  ", " ")


def test_the_readme_leads_to_it() -> None:
    assert "](docs/CITATION.cff)" in (ROOT / "README.md").read_text(encoding="utf-8")
