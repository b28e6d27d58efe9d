"""The flow of imports that import-linter guards leaves nothing out: no package of ours, no package of others."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from test_dependencies import THIRD_PARTY

ROOT = Path(__file__).parents[1]
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]["contracts"]
PARTS = sorted(
    path.stem
    for path in (ROOT / "autoseg").iterdir()
    if path.name != "__init__.py" and (path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py"))))
)
LAYERS = [
    [name.strip() for name in layer.split("|")]
    for contract in CONTRACTS
    if contract["type"] == "layers"
    for layer in contract["layers"]
]
WITHOUT_ADAPTER = {"annotated_types", "numpy", "pydantic", "pydantic_core", "scipy"}
"""Arrays, their mathematics and validated documents are what the package is written in."""


@pytest.mark.parametrize("part", PARTS)
def test_every_package_has_a_layer(part: str) -> None:
    assert sum(f"autoseg.{part}" in layer for layer in LAYERS) == 1, (
        f"name autoseg.{part} once in the layers of pyproject.toml"
    )


def test_every_layer_is_a_package() -> None:
    assert sorted(name for layer in LAYERS for name in layer) == [f"autoseg.{part}" for part in PARTS]


@pytest.mark.parametrize("name", sorted(set(THIRD_PARTY) - WITHOUT_ADAPTER))
def test_every_package_of_others_has_adapters(name: str) -> None:
    allowed = [
        contract["allowed_importers"]
        for contract in CONTRACTS
        if contract["type"] == "protected" and name in contract["protected_modules"]
    ]
    assert len(allowed) == 1, f"say in pyproject.toml which modules may import {name}"
    assert allowed[0] != ["autoseg"]
