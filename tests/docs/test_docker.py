"""The page on Docker asks for what the package needs."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "docker.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def dockerfile() -> str:
    (block,) = re.findall(r"```dockerfile\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(block)


def test_torch_is_of_a_tested_version() -> None:
    (wanted,) = [requirement for requirement in PROJECT["dependencies"] if requirement.startswith("torch")]
    assert f'"{wanted}"' in dockerfile()


def test_python_is_new_enough() -> None:
    (version,) = re.findall(r"^FROM python:3\.(\d+)", dockerfile(), flags=re.MULTILINE)
    assert int(version) >= int(PROJECT["requires-python"].removeprefix(">=3."))


def test_what_is_copied_is_there_and_enough_to_install() -> None:
    copied = {
        name.rstrip("/")
        for line in re.findall(r"^COPY (.*) \S+$", dockerfile(), flags=re.MULTILINE)
        for name in line.split()
    }
    assert all((ROOT / name).exists() for name in copied)
    assert copied >= {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "autoseg"}
