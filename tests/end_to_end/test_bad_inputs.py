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
from dataclasses import dataclass, replace
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


def _patch(image: Path, offset: int, form: str, value: float) -> None:
    """Change a field of a NIfTI header."""
    content = _raw(image)
    struct.pack_into(form, content, offset, value)
    image.write_bytes(gzip.compress(bytes(content), mtime=0))


def nan_voxels(image: Path, label: Path) -> None:
    content = _raw(image)
    struct.pack_into("<f", content, len(content) - 400, float("nan"))
    image.write_bytes(gzip.compress(bytes(content), mtime=0))


def constant(image: Path, label: Path) -> None:
    scan = read_image([image], channels=1)
    write_channels(image, np.full_like(scan.array, 7), scan.geometry)


def fractional_labels(image: Path, label: Path) -> None:
    labels = read_labels(label)
    write_channels(label, labels.array[np.newaxis].astype(np.float32) / 2, labels.geometry)


def other_origin(image: Path, label: Path) -> None:
    labels = read_labels(label)
    write_labels(label, labels.array, replace(labels.geometry, origin_mm=(50.0, 0.0, 0.0)))


def other_direction(image: Path, label: Path) -> None:
    labels = read_labels(label)
    turned = tuple(value * sign for value, sign in zip(labels.geometry.direction, (-1, 1, -1) * 3, strict=True))
    write_labels(label, labels.array, replace(labels.geometry, direction=turned))


def sheared(image: Path, label: Path) -> None:
    content = _raw(image)
    struct.pack_into("<h", content, 252, 0)  # qform_code: the sform decides
    struct.pack_into("<h", content, 254, 1)
    struct.pack_into("<12f", content, 280, 1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    image.write_bytes(gzip.compress(bytes(content), mtime=0))


def negative_spacing(image: Path, label: Path) -> None:
    _patch(image, 80, "<f", -1.0)


def spacing_that_is_no_number(image: Path, label: Path) -> None:
    _patch(image, 80, "<f", float("nan"))


def colour_voxels(image: Path, label: Path) -> None:
    content = _raw(image)
    struct.pack_into("<h", content, 70, 128)  # datatype: RGB24
    struct.pack_into("<h", content, 72, 24)
    image.write_bytes(gzip.compress(bytes(content), mtime=0))


def complex_voxels(image: Path, label: Path) -> None:
    content = _raw(image)
    struct.pack_into("<h", content, 70, 32)  # datatype: complex64
    struct.pack_into("<h", content, 72, 64)
    image.write_bytes(gzip.compress(bytes(content), mtime=0))


def a_universe_of_voxels(image: Path, label: Path) -> None:
    content = _raw(image)
    struct.pack_into("<3h", content, 42, 30000, 30000, 30000)
    image.write_bytes(gzip.compress(bytes(content), mtime=0))


def negative_dimension(image: Path, label: Path) -> None:
    _patch(image, 42, "<h", -5)


def absurd_offset(image: Path, label: Path) -> None:
    _patch(image, 108, "<f", 1e9)


def a_huge_tail(image: Path, label: Path) -> None:
    image.write_bytes(gzip.compress(bytes(_raw(image)) + bytes(64 << 20), mtime=0))


def a_folder_for_a_file(image: Path, label: Path) -> None:
    image.unlink()
    image.mkdir()


def a_broken_link(image: Path, label: Path) -> None:
    image.unlink()
    image.symlink_to("nowhere.nii.gz")


def a_looping_link(image: Path, label: Path) -> None:
    image.unlink()
    image.symlink_to(image.name)


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
    Row(9, nan_voxels, ("IBSR_02", "NaN")),
    Row(10, constant, ("IBSR_02", "same value")),
    Row(11, undeclared_label, ("IBSR_02_seg", "77", "5")),
    Row(12, fractional_labels, ("IBSR_02_seg", "whole")),
    Row(15, other_shape, ("IBSR_02_seg", "shape")),
    Row(15, other_spacing, ("IBSR_02_seg", "spacing", "tolerance")),
    Row(15, other_origin, ("IBSR_02_seg", "origin", "tolerance")),
    Row(15, other_direction, ("IBSR_02_seg", "direction", "tolerance")),
    Row(17, sheared, ("IBSR_02",)),
    Row(19, spacing_of_zero, ("IBSR_02", "spacing")),
    Row(19, negative_spacing, ("IBSR_02", "spacing")),
    Row(19, spacing_that_is_no_number, ("IBSR_02", "spacing")),
    Row(21, colour_voxels, ("IBSR_02",)),
    Row(21, complex_voxels, ("IBSR_02",)),
    Row(22, a_universe_of_voxels, ("IBSR_02",)),
    Row(23, negative_dimension, ("IBSR_02",)),
    Row(23, absurd_offset, ("IBSR_02",)),
    Row(24, a_huge_tail, ("IBSR_02",)),
    Row(26, a_folder_for_a_file, ("IBSR_02",)),
    Row(28, a_broken_link, ("IBSR_02", "link")),
    Row(28, a_looping_link, ("IBSR_02", "link")),
    Row(30, the_same_id_twice, ("IBSR_02.nii", "IBSR_02.nii.gz")),
    Row(36, no_label, ("IBSR_02", "without label")),
    Row(36, no_image, ("IBSR_02", "without image")),
)


def run(command: str, dataset: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "autoseg", command, dataset, "--jobs", "1"],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", ["check", "plan"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number}-{row.spoil.__name__}")
def test_a_bad_input_is_refused(row: Row, command: str, cohort: Path, tmp_path: Path) -> None:
    shutil.copytree(cohort, tmp_path / "IBSR18")
    case = tmp_path / "IBSR18" / "Training_Set" / "IBSR_02"
    row.spoil(case / "IBSR_02.nii.gz", case / "IBSR_02_seg.nii.gz")
    process = run(command, "IBSR18/", cwd=tmp_path)
    assert process.returncode == 3, process.stderr
    assert "Traceback" not in process.stderr
    for words in row.says:
        assert words in process.stderr
    assert not (tmp_path / "runs" / "IBSR18" / "plan.json").exists()


def test_row_6_a_plain_file_with_the_wrong_name_is_read_with_a_note(cohort: Path, tmp_path: Path) -> None:
    shutil.copytree(cohort, tmp_path / "IBSR18")
    image = tmp_path / "IBSR18" / "Training_Set" / "IBSR_02" / "IBSR_02.nii.gz"
    image.write_bytes(_raw(image))
    process = run("plan", "IBSR18/", cwd=tmp_path)
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
    process = run("plan", "Task01_Heads/", cwd=tmp_path)
    assert process.returncode == 3, process.stderr
    assert "3: brain" in process.stderr
