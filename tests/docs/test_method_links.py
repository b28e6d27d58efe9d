import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

METHOD = Path(__file__).parents[2] / "docs" / "explanation" / "method.md"
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)\)")


def links() -> list[tuple[str, str]]:
    """Text and target of every link to a file."""
    return [found for found in LINK.findall(METHOD.read_text(encoding="utf-8")) if "://" not in found[1]]


def defined_in(source: str) -> Iterator[str]:
    """Functions and classes at the top of a module."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


CODE_LINKS = [(text, target) for text, target in links() if target.endswith(".py")]


@pytest.mark.parametrize("target", sorted({target for _, target in links()}))
def test_the_linked_file_exists(target):
    assert (METHOD.parent / target).is_file()


@pytest.mark.parametrize(("text", "target"), CODE_LINKS)
def test_the_linked_module_defines_what_the_text_names(text, target):
    names = re.findall(r"`(\w+)`", text)
    assert names
    assert set(names) <= set(defined_in((METHOD.parent / target).read_text(encoding="utf-8")))


def test_every_equation_is_followed_by_its_code():
    sections = re.split(r"^##+ ", METHOD.read_text(encoding="utf-8"), flags=re.MULTILINE)
    with_equation = [section for section in sections if "$$" in section]
    assert len(with_equation) >= 12
    assert all(".py)" in section for section in with_equation)


def test_the_equations_of_the_paper_are_linked():
    linked = {name for text, _ in CODE_LINKS for name in re.findall(r"`(\w+)`", text)}
    assert {"quantile_zscore", "weighted_cross_entropy", "dice", "surface_distances"} <= linked
    assert {"UNet", "SepResUNet", "AttentionUNet", "AttentionGate"} <= linked
