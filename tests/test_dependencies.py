"""What the package imports, its own metadata declare: nothing works only because something else brings it along."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {
    "dask": "cluster",
    "distributed": "cluster",
    "highdicom": "dicom-seg",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "pandas": "pandas",
    "pydicom": "dicom-seg",
    "tensorboard": "tracking",
    "wandb": "tracking",
}
"""Imports that only an extra brings, by the extra's name."""


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str | None) -> set[str]:
    requirements = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    return {normalised(re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]) for requirement in requirements}


THIRD_PARTY = sorted(
    {name for path in (ROOT / "autoseg").rglob("*.py") for name in imported(path)}
    - set(sys.stdlib_module_names)
    - {"autoseg"}
)


@cache
def providers_of(name: str) -> set[str]:
    """Distributions that bring a module."""
    return {normalised(provider) for provider in all_providers().get(name, ())}


@cache
def all_providers() -> Mapping[str, Sequence[str]]:
    """Distributions by what they bring; finding them takes seconds."""
    return packages_distributions()


@pytest.mark.parametrize("name", THIRD_PARTY)
def test_an_import_is_declared(name: str) -> None:
    providers = providers_of(name)
    assert providers & declared(EXTRAS.get(name)), (
        f"{name} is imported; declare one of {sorted(providers)} in pyproject.toml"
    )


@pytest.mark.parametrize("name", sorted(declared(None)))
def test_a_declared_package_is_imported(name: str) -> None:
    assert any(name in providers_of(module) for module in THIRD_PARTY), f"nothing imports {name}"
