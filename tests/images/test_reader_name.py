"""Files are read for what they hold, whatever they are called."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from autoseg.images.geometry import Geometry
from autoseg.images.image import read_image, read_labels, write_labels
from autoseg.images.reader_name import name_for_reader

LABELS = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)
GEOMETRY = Geometry(shape=(4, 5, 6), spacing_mm=(3.0, 2.0, 1.0), origin_mm=(1.0, 2.0, 3.0))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize("name", ["scan.bak", "scan", ".hidden", "scan.1.2.840"])
def test_other_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, name: str) -> None:
    write_labels(tmp_path / f"a{ending}", LABELS, GEOMETRY)
    shutil.copy(tmp_path / f"a{ending}", tmp_path / name)
    (tmp_path / "links").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "links"))
    monkeypatch.chdir(tmp_path)
    found = read_labels(Path(name))
    np.testing.assert_array_equal(found.array, LABELS)
    assert found.geometry == GEOMETRY
    np.testing.assert_array_equal(read_image([tmp_path / name], channels=1).array[0], LABELS)
    assert list((tmp_path / "links").iterdir()) == []


def test_a_name_that_promises_a_format_is_taken_as_it_is(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.nii", LABELS, GEOMETRY)
    with name_for_reader(tmp_path / "a.nii") as name:
        assert name == str(tmp_path / "a.nii")
