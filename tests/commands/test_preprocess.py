"""What `autoseg preprocess` says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoseg.commands import preprocess


@pytest.mark.parametrize(("cases", "expected"), [(("a",), "1 case is"), (("a", "b"), "2 cases are"), ((), "0 cases are")])
def test_it_says_how_many_cases_are_preprocessed(cases: tuple[str, ...], expected: str) -> None:
    store: Any = SimpleNamespace(folder=Path("arrays"))
    found: Any = tuple(SimpleNamespace(id=case) for case in cases)
    workspace: Any = None
    said = preprocess.describe(preprocess.PreprocessResult(workspace, store, found))
    assert said.text == f"{expected} preprocessed in arrays"
