"""A synthetic cohort with nested structures: heads of `autoseg.data.phantom`, each with a tumour, in nnU-Net's raw layout.

The tumour is a lumpy ball in the white matter: oedema, darker than what is around it, with a bright core inside, and a
brighter part inside that. As in BraTS, the label maps give each voxel the innermost of them, and `dataset.json` declares
regions: the whole tumour holds the core, which holds the enhancing part. Nothing else is labelled.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.phantom import make_scan
from autoseg.data.phantom_anatomy import Field, Triple, mix, smooth_noise
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_channels, write_labels
from autoseg.storage import files

OEDEMA: Final = 1
CORE: Final = 2
ENHANCING: Final = 3

REGIONS: Final = {"whole tumour": [OEDEMA, CORE, ENHANCING], "tumour core": [CORE, ENHANCING], "enhancing": [ENHANCING]}
"""The label values of each region, as nnU-Net's `labels` has them."""

_DEPTHS_MM: Final = (0.0, 7.0, 13.0)
_SIGNALS: Final = (0.55, 1.35, 1.8)
"""Depth inside the tumour at which each part begins, and its signal in units of the scan's median. Source: drawn by eye."""

_RADIUS_MM: Final = (24.0, 30.0)


@dataclass(frozen=True)
class TumourSettings:
    """What a cohort contains.

    Attributes:
        training: number of labelled scans.
        test: number of scans without labels.
        shape: voxels (Z, Y, X) of every scan.
        regions: declare regions; otherwise classes that exclude one another, of the same label maps.
        seed: the same seed gives the same cohort; >= 0.
    """

    training: int = 6
    test: int = 1
    shape: tuple[int, int, int] = (96, 48, 96)
    regions: bool = True
    seed: int = 0


def write_tumours(root: Path, settings: TumourSettings) -> None:
    """Write a cohort: `imagesTr`, `labelsTr`, `imagesTs` and `dataset.json`.

    Raises:
        SystemFailureError: the disk is full, or the folder may not be written.
    """
    for number in range(1, settings.training + settings.test + 1):
        scan, labels, geometry = make_tumour(
            int(np.random.SeedSequence((settings.seed, number)).generate_state(1)[0]), shape=settings.shape
        )
        folder = "imagesTr" if number <= settings.training else "imagesTs"
        write_channels(root / folder / f"tumour_{number:02d}_0000.nii.gz", scan[np.newaxis].astype(np.float32), geometry)
        if folder == "imagesTr":
            write_labels(root / "labelsTr" / f"tumour_{number:02d}.nii.gz", labels, geometry)
    exclusive = {"oedema": OEDEMA, "core": CORE, "enhancing": ENHANCING}
    description = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, **(REGIONS if settings.regions else exclusive)},
        **({"regions_class_order": [OEDEMA, CORE, ENHANCING]} if settings.regions else {}),
        "numTraining": settings.training,
        "file_ending": ".nii.gz",
    }
    files.write_json(root / "dataset.json", description)


def make_tumour(seed: int, *, shape: tuple[int, int, int]) -> tuple[NDArray[np.int16], NDArray[np.uint8], Geometry]:
    """Make one scan of a head with a tumour, and its labels.

    Args:
        seed: the same seed gives the same scan; >= 0.
        shape: voxels (Z, Y, X), at least 16 along each axis.

    Returns:
        intensities (Z, Y, X); labels (Z, Y, X): 0 none, 1 oedema, 2 core, 3 its enhancing part; their geometry.

    Raises:
        ValueError: the shape is too small for a head.
    """
    scan, _, geometry = make_scan(seed, shape=shape)
    rng = np.random.default_rng((seed, 2))  # of its own: the head is that of the cohort without tumours
    depth = _depth(rng, _points_mm(geometry))
    width_mm = float(np.mean(geometry.spacing_mm))
    usual = float(np.median(scan[scan > 0]))
    signal: Field = scan.astype(np.float64)
    labels = np.zeros(shape, dtype=np.uint8)
    for value, (begins_mm, relative) in enumerate(zip(_DEPTHS_MM, _SIGNALS, strict=True), start=OEDEMA):
        inside = np.clip(0.5 + (depth - begins_mm) / width_mm, 0, 1) * (scan > 0)  # partial volume; the head alone
        signal = mix(signal, usual * relative * (1 + 0.06 * rng.standard_normal(shape)), inside)
        labels[(depth > begins_mm) & (scan > 0)] = value
    return np.rint(np.maximum(signal, 0)).astype(np.int16), labels, geometry


def _points_mm(geometry: Geometry) -> Field:
    """Where every voxel lies from the middle of the scan, along its own axes, (3, Z, Y, X)."""
    spacings: Triple = geometry.spacing_mm
    axes = [(np.arange(length) - (length - 1) / 2) * mm for length, mm in zip(geometry.shape, spacings, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def _depth(rng: np.random.Generator, points: Field) -> Field:
    """Depth inside a ball whose surface is uneven, beside the middle of the head, in mm."""
    centre = np.array([rng.uniform(-5, 25), rng.uniform(-20, 20), rng.choice((-1, 1)) * rng.uniform(22, 32)])
    distance = np.sqrt(sum((points[axis] - centre[axis]) ** 2 for axis in range(3)))
    depth: Field = rng.uniform(*_RADIUS_MM) - distance + 2.5 * smooth_noise(rng, points, scale_mm=20)
    return depth
