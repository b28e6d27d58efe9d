"""The pages on networks, losses, augmentations and normalisations: what they say is done, and then every command works."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import autoseg

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(page: str, language: str) -> list[str]:
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def run(home: Path, *arguments: Path | str, path: Path | str, expect: int = 0) -> str:
    """The command, with what is on the path as installed."""
    done = subprocess.run(
        [sys.executable, "-m", "autoseg", *map(str, arguments)],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    return " ".join((done.stdout + done.stderr).split())


def planned(cohort: Path, home: Path, **changes: Mapping[str, Any]) -> Path:
    """A workspace whose plan is small, with some sections changed key by key."""
    root = home / "runs" / "tiny"
    autoseg.plan(cohort, workspace=root)
    plan = json.loads((root / "plan.json").read_text())
    plan["network"].update(features=[4, 8], convolutions=1)
    for section, change in changes.items():
        plan[section].update(change)
    (root / "plan.json").write_text(json.dumps(plan))
    return home


def train_select_report_export_predict(home: Path, scans: Path, *, path: Path | str) -> str:
    """Everything that is done with a network; what the report says."""
    quick = ("--epochs", "1", "--device", "cpu", "--precision", "float32")
    run(home, "train", "--arch", "flat", "--fold", "0", *quick, path=path)
    run(home, "select", path=path)
    run(home, "report", path=path)
    run(home, "export", "flat.autoseg", path=path)
    run(home, "predict", scans, "out", "--model", "flat.autoseg", "--device", "cpu", path=path)
    assert list((home / "out").glob("*.nii.gz"))
    return (home / "runs" / "tiny" / "report.html").read_text(encoding="utf-8")


ADDITIONS = {
    "bring-your-own-network.md": ("networks/flat.py", "catalogue/networks.py"),
    "bring-your-own-loss.md": ("training/focal.py", "catalogue/losses.py"),
    "bring-your-own-augmentation.md": ("training/bias_field.py", "catalogue/augmentations.py"),
    "bring-your-own-normalisation.md": ("preprocessing/robust.py", "catalogue/normalisations.py"),
}

PACKAGED = {
    "bring-your-own-network.md": "flat.py",
    "bring-your-own-loss.md": "focal.py",
    "bring-your-own-augmentation.md": "bias_field.py",
}


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.gate  # several commands in processes of their own
def test_one_module_and_one_line_each_and_every_command_works(cohort: Path, tmp_path: Path) -> None:
    package = tmp_path / "copy" / "autoseg"
    shutil.copytree(Path(autoseg.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for page, (module, table) in ADDITIONS.items():
        text = (PAGES / page).read_text(encoding="utf-8")
        code, line, *_ = blocks(page, "python")
        assert f"`autoseg/{module}`" in text
        assert f"`autoseg/{table}`" in text
        assert len(line.splitlines()) == 1
        (package / module).write_text(code)
        before = (package / table).read_text()
        (package / table).write_text(re.sub(r"(?m)^    \{$", "    {\n" + line.rstrip("\n"), before, count=1))
        assert len((package / table).read_text().splitlines()) == len(before.splitlines()) + 1
    home = tmp_path / "home"
    root = planned(cohort, home) / "runs" / "tiny"
    plan = json.loads((root / "plan.json").read_text())
    plan["training"]["loss"] = "focal"
    plan["augmentation"]["additional"] = ["bias_field"]
    plan["preprocessing"]["normalisation"][0]["method"] = "robust"
    (root / "plan.json").write_text(json.dumps(plan))
    page = train_select_report_export_predict(home, cohort / "Test_Set", path=package.parent)
    for said in (
        "Flat network",
        "a stack of 3x3 convolutions",
        "focal loss (Lin et al. 2017)",
        "Lin TY",
        "random bias fields",
        "were centred on",
    ):
        assert said in page


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages of the pages as if installed: a folder each, with their modules and metadata."""
    installed = {}
    for page, module in PACKAGED.items():
        code, *others = blocks(page, "python")
        entry = next(block for block in others if "from autoseg.catalogue import" in block)
        project = tomllib.loads(blocks(page, "toml")[0])["project"]
        folder = tmp_path_factory.mktemp("site")
        package = folder / project["name"].replace("-", "_")
        package.mkdir()
        (package / module).write_text(code)
        (package / "__init__.py").write_text(entry)
        info = folder / f"{package.name}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
        points = [
            "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in names.items())])
            for group, names in project["entry-points"].items()
        ]
        (info / "entry_points.txt").write_text("\n".join(points) + "\n")
        installed[project["name"]] = folder
    return installed


@pytest.mark.gate
def test_what_the_pages_show_from_python_runs(cohort: Path, tmp_path: Path, outside: dict[str, Path]) -> None:
    (tmp_path / "IBSR18").symlink_to(cohort)
    path = os.pathsep.join(map(str, [Path(autoseg.__file__).parents[1], *outside.values()]))
    for page, key, value in (
        ("bring-your-own-loss.md", ("training", "loss"), "focal"),
        ("bring-your-own-augmentation.md", ("augmentation", "additional"), ["bias_field"]),
    ):
        *_, code = blocks(page, "python")
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert any(float(number) > 0 for number in re.findall(r"-?\d+\.\d+", done.stdout))
        plan = json.loads((tmp_path / "runs" / "IBSR18" / "plan.json").read_text())
        assert plan[key[0]][key[1]] == value
        shutil.rmtree(tmp_path / "runs")


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_a_network_a_loss_and_an_augmentation_of_packages_of_ones_own(
    cohort: Path, tmp_path: Path, outside: dict[str, Path]
) -> None:
    home = planned(cohort, tmp_path / "home", training={"loss": "focal"}, augmentation={"additional": ["bias_field"]})
    source = Path(autoseg.__file__).parents[1]
    installed = os.pathsep.join(map(str, [source, *outside.values()]))
    page = train_select_report_export_predict(home, cohort / "Test_Set", path=installed)
    assert "Flat network" in page
    assert "random bias fields" in page
    bundle = json.loads((home / "runs" / "tiny" / "models" / "flat" / "fold_0" / "bundle.json").read_text())
    assert {(found["kind"], found["package"], found["version"]) for found in bundle["registered"]} == {
        ("network", "my-nets", "1.2"),
        ("loss", "my-losses", "0.3"),
        ("augmentation", "my-augmentations", "0.1"),
    }

    predict = ("predict", cohort / "Test_Set", "--model", "flat.autoseg", "--device", "cpu")
    nets = os.pathsep.join(map(str, [source, outside["my-nets"]]))
    run(home, *predict, "again", path=nets)  # losses and augmentations are not needed to predict
    said = run(home, *predict, "never", path=source, expect=6)
    assert "the network `flat` comes from the package `my-nets` 1.2, which is not installed" in said
