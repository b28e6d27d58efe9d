"""Label maps of held-out cases on disk while steps are tried on them, so that probabilities are read once for each case.

They lie beside their references in a temporary folder that all processes see. A step that is kept makes the next label map
from the last one, under another name: whoever does it again after a lost process begins with the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import WorkspaceError
from autoseg.inference.steps import Spacing, Step, apply_steps
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, label_map
from autoseg.storage.compressed import SUFFIX, CompressedArray, compressed_in_parts

_TYPE: Final = np.uint16
_FILES: Final = 3
"""Of a case at a time: its reference, its label map, and the one that takes its place."""

_COMPRESSED: Final = 10
"""How many times smaller they are taken to be when compressed. Source: chosen; tissues of IBSR18, cropped: 24 times."""


@dataclass(frozen=True)
class CaseMaps:
    """A held-out case with its reference and its label map after some steps, both on the scan's grid.

    Attributes:
        case: the case.
        folder: where they lie.
        spacing_mm: distance between voxel centres along (Z, Y, X).
        steps: how many were applied.
    """

    case: HeldOutCase
    folder: Path
    spacing_mm: Spacing
    steps: int = 0

    @property
    def file(self) -> Path:
        """The label map."""
        return self.folder / f"{self.case.id}.{self.steps}{SUFFIX}"

    @property
    def reference_file(self) -> Path:
        """The reference."""
        return self.folder / f"{self.case.id}.reference{SUFFIX}"

    def labels(self) -> NDArray[np.uint16]:
        """Label values after the steps, (Z, Y, X), uint16.

        Raises:
            WorkspaceError: they are missing or damaged.
        """
        return _read(self.file, self.case)

    def reference(self) -> NDArray[np.uint16]:
        """Label values of the reference, (Z, Y, X), uint16.

        Raises:
            WorkspaceError: they are missing or damaged.
        """
        return _read(self.reference_file, self.case)


def store_maps(case: HeldOutCase, *, choice: Choice, folder: Path) -> CaseMaps:
    """Store the label map that a choice of networks and views gives a case, before any step, and the case's reference.

    Raises:
        SystemFailureError: the disk is full, or the folder may not be written.
        WorkspaceError: probabilities are missing or do not fit the case.
    """
    reference = case.read_reference()
    maps = CaseMaps(case, folder, reference.geometry.spacing_mm)
    _write(maps.reference_file, reference.array)
    _write(maps.file, label_map(case, choice))
    return maps


def keep_step(maps: CaseMaps, *, step: Step) -> CaseMaps:
    """Store a label map after one more step; the one before stays.

    Raises:
        SystemFailureError: the disk is full, or the folder may not be written.
    """
    kept = replace(maps, steps=maps.steps + 1)
    _write(kept.file, apply_steps(maps.labels(), [step], spacing_mm=maps.spacing_mm, classes=maps.case.classes))
    return kept


def needed_bytes(cases: Sequence[HeldOutCase]) -> int:
    """What a disk should have free for the files of some cases: more than they usually take."""
    voxels = sum(math.prod(case.footprints[0].shape) for case in cases)
    return _FILES * voxels * np.dtype(_TYPE).itemsize // _COMPRESSED


def _write(path: Path, labels: NDArray[np.uint16]) -> None:
    with compressed_in_parts(path, (1, *labels.shape), _TYPE) as parts:
        parts.put(labels[np.newaxis], first=0)


def _read(path: Path, case: HeldOutCase) -> NDArray[np.uint16]:
    shape = case.footprints[0].shape
    try:
        labels: NDArray[Any] = CompressedArray(path, (1, *shape), np.dtype(_TYPE)).part(slice(0, shape[0]))[0]
    except (OSError, ValueError) as cause:
        raise WorkspaceError(
            "a temporary file of this command cannot be read",
            where=path,
            expected=f"uint16, {shape}, compressed",
            found=str(cause),
            remedy="Run the same command again.",
        ) from None
    return labels
