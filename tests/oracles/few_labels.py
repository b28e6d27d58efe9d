"""A data set of which a person has labelled a few slices of each scan: the others have the value 255 everywhere."""

import shutil
from pathlib import Path

import numpy as np

from autoseg.images.image import read_labels, write_labels

IGNORE = 255
DRAWN_ACROSS = 1
"""The axis (Z, Y, X) across the slices that are drawn: the phantom's thick one."""


def with_few_labels(cohort: Path, folder: Path, *, every: int = 10) -> Path:
    """A copy of a cohort where one in so many slices of the training scans is labelled."""
    shutil.copytree(cohort, folder)
    for path in sorted((folder / "Training_Set").glob("*/*_seg.nii.gz")):
        keep_every(path, every=every)
    return folder


def keep_every(path: Path, *, every: int) -> None:
    """Leave the labels of one in so many slices of a label map, the middle one among them."""
    found = read_labels(path)
    labels = np.moveaxis(found.array.copy(), DRAWN_ACROSS, 0)
    drawn = np.arange(len(labels)) % every == len(labels) // 2 % every
    labels[~drawn] = IGNORE
    write_labels(path, np.moveaxis(labels, 0, DRAWN_ACROSS), found.geometry)


def without_labels(path: Path) -> None:
    """Leave no label in a label map."""
    found = read_labels(path)
    write_labels(path, np.full_like(found.array, IGNORE), found.geometry)
