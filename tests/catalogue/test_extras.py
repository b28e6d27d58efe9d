"""The packages of extras, and what is said where one is missing."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from autoseg.catalogue.extras import EXTRAS, missing_of, require_extra
from autoseg.errors import UsageError

FOR_DEVELOPERS = {"docs", "test"}
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_table_has_what_is_declared() -> None:
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert declared.pop("pandas") == ["pandas>=2.1"]  # asked for by the results that are turned into its tables
    packages = {
        extra: tuple(re.split("[^A-Za-z0-9_-]", package)[0] for package in needed)
        for extra, needed in declared.items()
        if extra not in FOR_DEVELOPERS
    }
    assert packages == EXTRAS


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_package_is_named_with_its_cure(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, last = EXTRAS[extra]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == last else object())
    assert missing_of(extra) == (last,)
    with pytest.raises(UsageError) as refused:
        require_extra(extra, "this", elsewhere=" and there")
    assert str(refused.value) == (
        f"packages for this are not installed; found no {last}. "
        f"Run `pip install '.[{extra}]'` in autoseg's source folder and there."
    )
