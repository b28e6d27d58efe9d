"""The page on file formats: the package with its module and its line reads scans of the new format."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import autoseg

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "bring-your-own-format.md"
MODEL = Path(__file__).parents[1] / "fixtures" / "v0_1" / "model.autoseg"


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A folder with a copy of the package, changed as the page says."""
    text = PAGE.read_text(encoding="utf-8")
    (module,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    ((line, table, import_line),) = re.findall(r"the line `(.*?)` in `(\w+)`, and `(from .*?)` above", text)
    package = tmp_path / "extended" / "autoseg"
    shutil.copytree(Path(autoseg.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "formats" / "gipl.py").write_text(module)
    entries = (package / "formats" / "__init__.py").read_text()
    entries = entries.replace("from autoseg.formats.header", f"{import_line}\nfrom autoseg.formats.header", 1)
    changed = re.sub(rf"({table}: Final.*? = \(\n.*?)\n\)", rf"\1\n    {line}\n)", entries, count=1, flags=re.DOTALL)
    assert len(changed.splitlines()) == len(entries.splitlines()) + 1
    (package / "formats" / "__init__.py").write_text(changed)
    return package.parent


def run(extended: Path, *arguments: Path | str, expect: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "autoseg", *map(str, arguments)],
        cwd=extended,
        env={**os.environ, "PYTHONPATH": str(extended)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_scans_of_the_format_of_the_page_are_checked_and_segmented(cohort: Path, extended: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for path in sorted(cohort.rglob("*.nii.gz")):
        copy = data / path.relative_to(cohort).with_name(path.name.replace(".nii.gz", ".gipl"))
        copy.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.ReadImage(str(path)), str(copy))
    run(extended, "check", data, expect=0)
    scans = data / "Test_Set"
    run(extended, "predict", scans, tmp_path / "out", "--model", MODEL, "--device", "cpu", expect=0)
    (scan,), (labels,) = scans.rglob("*.gipl"), (tmp_path / "out").glob("*.nii.gz")
    found = sitk.ReadImage(str(labels))
    assert found.GetSize() == sitk.ReadImage(str(scan)).GetSize()
    assert len(np.unique(sitk.GetArrayFromImage(found))) == 4

    scan.write_bytes(scan.read_bytes()[:-1000])
    answer = run(extended, "predict", scans, tmp_path / "again", "--model", MODEL, "--device", "cpu", expect=7)
    assert "the file is cut off" in " ".join(answer.split())
    assert scan.name in answer
