"""Folders that nobody arranged: every file is used, named as skipped, or part of an error; and nothing else happens."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles.empty_files import touch

from autoseg.errors import AutosegError, UsageError
from autoseg.evaluation.pairing import pair_files
from autoseg.inference.scans import find_scans
from autoseg.layouts import find_dataset
from autoseg.layouts.common import Choice

FOLDERS = ["p1", "p2", "images", "labels", "train", "test", "sub-1", "sub-2", "ses-a", "anat", "derivatives", "a_b", "a"]
NAMES = [
    "T1.nii", "T1.nii.gz", "T2.nii", "T1_seg.nii", "T1-label.nii", "mask.nii", "a_0000.nii", "a_0001.nii", "a.nii", "b.mgz",
    "sub-1_T1w.nii", "sub-1_FLAIR.nii", "sub-1_dseg.nii", "sub-1_run-2_T1w.nii", "sub-2_T1w.nii", "sub-2_desc-x_dseg.nii",
    "x.hdr", "x.img", "img01.nii", "label01.nii", "notes.txt", ".hidden.nii", "Zoe\u0308.nii", "Zo\u00eb.nii",
]  # fmt: skip
TREES = st.lists(
    st.tuples(st.lists(st.sampled_from(FOLDERS), max_size=3), st.sampled_from(NAMES)).map(
        lambda way: "/".join((*way[0], way[1]))
    ),
    max_size=14,
    unique=True,
)
CHANNELS = st.sampled_from([(), ("T1w",), ("T1", "T2"), ("T1w", "FLAIR")])


@contextmanager
def tree(names: list[str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield touch(Path(folder), *names)


def files(root: Path) -> set[Path]:
    """What somebody could miss."""
    found = {Path(parent) / name for parent, _, names in os.walk(root) for name in names}
    return {path for path in found if not path.name.startswith(".") and path.suffix not in {".img", ".txt"}}


def check_scans(names: list[str], channels: tuple[str, ...]) -> None:
    with tree(names) as root:
        try:
            found = find_scans(root, channels=len(channels) or 1, names=channels)
        except UsageError:  # nothing there
            return
        ids = [scan.id for scan in found.scans]
        assert len(set(ids)) == len(ids)
        assert all(ids)
        used = [path for scan in found.scans for path in scan.images]
        passed = [path for paths in found.passed_over.files.values() for path in paths]
        failed = " ".join(str(error) for _, error in found.failures)
        for path in files(root):
            assert path in used or path in passed or not set(passed).isdisjoint(path.parents) or path.name in failed


def check_data_set(names: list[str], channels: tuple[str, ...]) -> None:
    with tree(names) as root:
        try:
            dataset = find_dataset(root, choice=Choice(channels=channels))
        except AutosegError:
            return
        ids = [case.id for case in dataset.cases]
        assert len(set(ids)) == len(ids)
        assert all(len(case.images) == len(dataset.channels) for case in dataset.cases)
        labels = [case.label for case in dataset.cases if case.label is not None]
        assert len(set(labels)) == len(labels)
        assert not {path for case in dataset.cases for path in case.images} & set(labels)


def check_pairs(names: list[str]) -> None:
    with tree(names) as root:
        try:
            found = pair_files(root, root)
        except AutosegError:
            return
        ids = [pair.id for pair in found.pairs]
        assert len(set(ids)) == len(ids)
        assert all(ids)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(names=TREES, channels=CHANNELS)
def test_scans(names: list[str], channels: tuple[str, ...]) -> None:
    check_scans(names, channels)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(names=TREES, channels=CHANNELS)
def test_data_sets(names: list[str], channels: tuple[str, ...]) -> None:
    check_data_set(names, channels)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(names=TREES)
def test_pairs(names: list[str]) -> None:
    check_pairs(names)


@pytest.mark.slow
@settings(max_examples=3_000, suppress_health_check=[HealthCheck.too_slow])
@given(names=TREES, channels=CHANNELS)
def test_many(names: list[str], channels: tuple[str, ...]) -> None:
    check_scans(names, channels)
    check_data_set(names, channels)
    check_pairs(names)
