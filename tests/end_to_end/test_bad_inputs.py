"""What the commands do with input they cannot use: exit codes and messages, through the installed command.

The rows are numbered as in the project's list of bad inputs. Each makes its own file.
"""

import gzip
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from autoseg.data.geometry import Geometry
from autoseg.data.image import read_image, read_labels, write_channels, write_labels

Spoil = Callable[[Path, Path], None]
"""Takes the image and the label map of a case, and spoils one of them."""


def _raw(path: Path) -> bytearray:
    return bytearray(gzip.decompress(path.read_bytes()))


def cut_in_half(image: Path, label: Path) -> None:
    content = image.read_bytes()
    image.write_bytes(content[: len(content) // 2])


def flip_a_bit(image: Path, label: Path) -> None:
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 0b1000
    image.write_bytes(content)


def wrong_crc(image: Path, label: Path) -> None:
    content = bytearray(image.read_bytes())
    content[-8] ^= 0xFF
    image.write_bytes(content)


def empty(image: Path, label: Path) -> None:
    image.write_bytes(b"")


def short_raw_data(image: Path, label: Path) -> None:
    content = _raw(image)
    image.unlink()
    image.with_name(image.name.removesuffix(".gz")).write_bytes(content[:-100])


def not_an_image(image: Path, label: Path) -> None:
    image.write_text("<html><body>404 not found</body></html>", encoding="utf-8")


def two_volumes(image: Path, label: Path) -> None:
    scan = read_image([image], channels=1)
    write_channels(image, np.concatenate([scan.array, scan.array]), scan.geometry)


def other_shape(image: Path, label: Path) -> None:
    labels = read_labels(label)
    smaller = labels.array[:-1]
    geometry = Geometry(
        shape=smaller.shape,
        spacing_mm=labels.geometry.spacing_mm,
        origin_mm=labels.geometry.origin_mm,
        direction=labels.geometry.direction,
    )
    write_labels(label, smaller, geometry)


def other_spacing(image: Path, label: Path) -> None:
    labels = read_labels(label)
    geometry = Geometry(
        shape=labels.geometry.shape,
        spacing_mm=(2.0, 2.0, 2.0),
        origin_mm=labels.geometry.origin_mm,
        direction=labels.geometry.direction,
    )
    write_labels(label, labels.array, geometry)


def spacing_of_zero(image: Path, label: Path) -> None:
    content = _raw(image)
    struct.pack_into("<f", content, 76 + 4, 0.0)  # pixdim[1]
    image.write_bytes(gzip.compress(bytes(content)))


def undeclared_label(image: Path, label: Path) -> None:
    labels = read_labels(label)
    changed = labels.array.copy()
    changed[0, 0, :5] = 77
    write_labels(label, changed, labels.geometry)


def the_same_id_twice(image: Path, label: Path) -> None:
    image.with_name(image.name.removesuffix(".gz")).write_bytes(_raw(image))


def no_label(image: Path, label: Path) -> None:
    label.unlink()


def no_image(image: Path, label: Path) -> None:
    image.unlink()


@dataclass(frozen=True)
class Row:
    number: int
    spoil: Spoil
    says: tuple[str, ...]


ROWS = (
    Row(1, cut_in_half, ("IBSR_02", "bytes")),
    Row(2, flip_a_bit, ("IBSR_02",)),
    Row(3, wrong_crc, ("IBSR_02", "checksum")),
    Row(4, empty, ("IBSR_02", "empty")),
    Row(5, short_raw_data, ("IBSR_02.nii", "expected", "found")),
    Row(7, not_an_image, ("IBSR_02", "not an image")),
    Row(8, two_volumes, ("IBSR_02", "2 volumes")),
    Row(11, undeclared_label, ("IBSR_02_seg", "77", "5")),
    Row(15, other_shape, ("IBSR_02_seg", "shape")),
    Row(15, other_spacing, ("IBSR_02_seg", "spacing", "tolerance")),
    Row(19, spacing_of_zero, ("IBSR_02", "spacing")),
    Row(30, the_same_id_twice, ("IBSR_02.nii", "IBSR_02.nii.gz")),
    Row(36, no_label, ("IBSR_02", "without label")),
    Row(36, no_image, ("IBSR_02", "without image")),
)


def run_plan(dataset: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "autoseg", "plan", dataset, "--jobs", "1"],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number}-{row.spoil.__name__}")
def test_plan_refuses(row: Row, cohort: Path, tmp_path: Path) -> None:
    shutil.copytree(cohort, tmp_path / "IBSR18")
    case = tmp_path / "IBSR18" / "Training_Set" / "IBSR_02"
    row.spoil(case / "IBSR_02.nii.gz", case / "IBSR_02_seg.nii.gz")
    process = run_plan("IBSR18/", cwd=tmp_path)
    assert process.returncode == 3, process.stderr
    assert "Traceback" not in process.stderr
    for words in row.says:
        assert words in process.stderr
    assert not (tmp_path / "runs" / "IBSR18" / "plan.json").exists()


def test_row_6_a_plain_file_with_the_wrong_name_is_read_with_a_note(cohort: Path, tmp_path: Path) -> None:
    shutil.copytree(cohort, tmp_path / "IBSR18")
    image = tmp_path / "IBSR18" / "Training_Set" / "IBSR_02" / "IBSR_02.nii.gz"
    image.write_bytes(_raw(image))
    process = run_plan("IBSR18/", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "IBSR_02" in process.stderr


def test_two_classes_of_one_name_are_refused(cohort: Path, tmp_path: Path) -> None:
    case = cohort / "Training_Set" / "IBSR_02"
    for folder, name in (("imagesTr", "IBSR_02.nii.gz"), ("labelsTr", "IBSR_02_seg.nii.gz")):
        (tmp_path / "Task01_Heads" / folder).mkdir(parents=True)
        shutil.copy(case / name, tmp_path / "Task01_Heads" / folder / "IBSR_02.nii.gz")
    labels = {"0": "background", "1": "fluid", "2": "brain", "3": "brain"}
    description = {"modality": {"0": "MRI"}, "labels": labels}
    (tmp_path / "Task01_Heads" / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    process = run_plan("Task01_Heads/", cwd=tmp_path)
    assert process.returncode == 3, process.stderr
    assert "3: brain" in process.stderr
