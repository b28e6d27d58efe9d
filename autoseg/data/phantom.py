"""A synthetic cohort that behaves like IBSR18: head scans, free to pass on, for the demo and the tests.

`phantom_anatomy` draws a head, another for every seed; here it is placed in a scanner with partial volume, a bias field
and Rician noise, labelled, and written.

Intensity alone does not tell the classes apart: only the ventricles are labelled CSF, while the sulci look the same and
carry no label, and the deep nuclei are nearly as bright as white matter.

Equal settings give equal voxels on any machine: the arithmetic is double precision in one thread, rounded at the end.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoseg.data.phantom_anatomy import Anatomy, Field, Triple, draw_anatomy, lesion_depth, mix, smooth_noise
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_channels, write_labels

CSF: Final = 1
GREY_MATTER: Final = 2
WHITE_MATTER: Final = 3
LESION: Final = 4

FULL_SHAPE: Final = (256, 128, 256)
SPACINGS_MM: Final[tuple[Triple, ...]] = ((0.9375, 1.5, 0.9375), (1.0, 1.5, 1.0), (0.837, 1.5, 0.837))
DIRECTION: Final = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
"""Shape and spacings (Z, Y, X) and direction cosines of IBSR18's scans."""

_HALF_BOX_MM: Final = np.array([92.0, 98.0, 76.0])
"""Half the box (Z, Y, X) that holds the largest head at its largest tilt."""


@dataclass(frozen=True)
class PhantomSettings:
    """What a cohort contains.

    Attributes:
        training: number of labelled scans in `Training_Set`.
        validation: number of labelled scans in `Validation_Set`.
        test: number of unlabelled scans in `Test_Set`.
        shape: voxels (Z, Y, X) of every scan. The head keeps its natural size: fewer voxels are coarser ones.
        rare_class: give every other scan of each set, from the first on, a lesion with a class of its own.
        seed: the same seed gives the same cohort; >= 0.
    """

    training: int = 6
    validation: int = 0
    test: int = 1
    shape: tuple[int, int, int] = (96, 48, 96)
    rare_class: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.training, self.validation, self.test, self.seed) < 0:
            msg = "numbers of scans and the seed must not be negative"
            raise ValueError(msg)
        if self.rare_class and self.training < 3:
            msg = "the rare class needs 3 training scans: two that show it and one that does not"
            raise ValueError(msg)


def write_cohort(root: Path, settings: PhantomSettings) -> None:
    """Write a cohort in IBSR18's layout: `<set>/<id>/<id>.nii.gz`, its labels beside it as `<id>_seg.nii.gz`.

    Args:
        root: folder that receives `Training_Set`, `Validation_Set` and `Test_Set`; a set without scans is left out.
        settings: what to write. Scans are numbered through all sets, from IBSR_01 on.

    Raises:
        SystemFailureError: the disk is full, or the folder may not be written.
    """
    number = 0
    sets = {"Training_Set": settings.training, "Validation_Set": settings.validation, "Test_Set": settings.test}
    for folder, count in sets.items():
        for index in range(count):
            number += 1
            scan, labels, geometry = make_scan(
                _scan_seed(settings.seed, number),
                shape=settings.shape,
                rare_class=settings.rare_class and index % 2 == 0,
            )
            name = f"IBSR_{number:02d}"
            write_channels(root / folder / name / f"{name}.nii.gz", scan[np.newaxis].astype(np.float32), geometry)
            if folder != "Test_Set":
                write_labels(root / folder / name / f"{name}_seg.nii.gz", labels, geometry)


def make_scan(
    seed: int, *, shape: tuple[int, int, int], rare_class: bool = False
) -> tuple[NDArray[np.int16], NDArray[np.uint8], Geometry]:
    """Make one scan and its labels.

    Args:
        seed: the same seed gives the same head, scanner and noise; >= 0.
        shape: voxels (Z, Y, X), at least 16 along each axis.
        rare_class: add a bright lesion of about 45 voxels to the same head.

    Returns:
        intensities (Z, Y, X), 0 outside the brain, with a maximum between 79 and 300; labels (Z, Y, X): 0 none, 1 CSF
        (ventricles only), 2 grey matter, 3 white matter, 4 lesion; their geometry, with the thick axis second.

    Raises:
        ValueError: the shape is too small for a head.

    Source: sizes, intensities, spacings, unlabelled brain voxels and labelled zeros follow the statistics of IBSR18's
    training scans.
    """
    if min(shape) < 16:
        msg = f"a head needs at least 16 voxels along each axis, not {shape}"
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    geometry = _geometry(rng, shape)
    box, points = _head_points(rng, geometry)
    anatomy = draw_anatomy(rng, points, geometry.spacing_mm)
    # A generator of its own: the head is the same with and without the lesion.
    lesion = lesion_depth(np.random.default_rng((seed, 1)), points, geometry.spacing_mm, present=rare_class)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[box] = _labels(anatomy, lesion)
    scan = np.zeros(shape, dtype=np.int16)
    scan[box] = _scan(rng, _tissues(rng, anatomy, lesion, spacing_mm=geometry.spacing_mm), points, anatomy.envelope)
    return scan, labels, geometry


def _scan_seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


# The head and its place in the scanner.


def _geometry(rng: np.random.Generator, shape: tuple[int, int, int]) -> Geometry:
    coarseness = max(full / voxels for full, voxels in zip(FULL_SHAPE, shape, strict=True))
    z, y, x = (float(spacing * coarseness) for spacing in SPACINGS_MM[rng.integers(len(SPACINGS_MM))])
    # As in IBSR18, x falls from this origin to 0.
    return Geometry(shape=shape, spacing_mm=(z, y, x), origin_mm=((shape[2] - 1) * x, 0.0, 0.0), direction=DIRECTION)


def _head_points(rng: np.random.Generator, geometry: Geometry) -> tuple[tuple[slice, ...], Field]:
    """The part of the array that holds the head, and where in the head each of its voxels lies, in mm."""
    spacing = np.array(geometry.spacing_mm)
    rotation = _rotation(np.radians(rng.uniform(-8, 8, 3)))
    size = rng.uniform(0.93, 1.04, 3) * rng.uniform(0.96, 1.03)
    centre = (np.array(geometry.shape) - 1) / 2 + rng.uniform(-3, 3, 3) / spacing
    first = np.maximum(0, np.ceil(centre - _HALF_BOX_MM / spacing)).astype(int)
    last = np.minimum(geometry.shape, np.floor(centre + _HALF_BOX_MM / spacing) + 1).astype(int)
    axes = [(np.arange(first[i], last[i]) - centre[i]) * spacing[i] for i in range(3)]
    offset = np.stack(np.meshgrid(*axes, indexing="ij"))
    # Written out: a matrix product may be split between threads.
    turned = [sum(rotation[j, i] * offset[j] for j in range(3)) / size[i] for i in range(3)]
    points = np.stack(turned)
    wobble = [smooth_noise(rng, points, scale_mm=50) for _ in range(3)]
    return tuple(slice(*ends) for ends in zip(first, last, strict=True)), points + 2 * np.stack(wobble)


def _rotation(angles: Field) -> Field:
    (cz, cy, cx), (sz, sy, sx) = np.cos(angles), np.sin(angles)
    about_z = np.array([[1, 0, 0], [0, cz, -sz], [0, sz, cz]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[cx, -sx, 0], [sx, cx, 0], [0, 0, 1]])
    turned: Field = about_z @ about_y @ about_x
    return turned


# What is labelled, and what the scanner sees.


def _labels(anatomy: Anatomy, lesion: Field) -> NDArray[np.uint8]:
    labels = np.zeros(lesion.shape, dtype=np.uint8)
    hindbrain = anatomy.cerebellum > 0
    labels[hindbrain] = np.where(anatomy.cerebellar_white > 0, WHITE_MATTER, GREY_MATTER)[hindbrain]
    forebrain = anatomy.cerebrum > 0
    labels[forebrain] = np.where(anatomy.cortex > 0, GREY_MATTER, WHITE_MATTER)[forebrain]
    labels[forebrain & (anatomy.sulci > 0)] = 0
    labels[anatomy.stem > 0] = WHITE_MATTER
    labels[anatomy.nuclei > 0] = GREY_MATTER
    labels[anatomy.ventricles > 0] = CSF
    labels[lesion > 0] = LESION
    return labels


def _tissues(rng: np.random.Generator, anatomy: Anatomy, lesion: Field, *, spacing_mm: Triple) -> Field:
    """The signal without noise, relative to white matter = 1, with partial volume at every border."""
    width_mm = float(np.mean(spacing_mm))

    def fraction(depth: Field) -> Field:
        return np.clip(0.5 + depth / width_mm, 0, 1)

    grey, fluid, overlap = rng.uniform(0.62, 0.74), rng.uniform(0.25, 0.42), rng.uniform(0.45, 0.7)
    cerebellum = mix(1, grey, fraction(-anatomy.cerebellar_white))
    cerebrum = mix(mix(1, grey, fraction(anatomy.cortex)), fluid, 0.9 * fraction(anatomy.sulci))
    signal = np.full(lesion.shape, fluid)
    signal = mix(signal, cerebellum, fraction(anatomy.cerebellum))
    signal = mix(signal, cerebrum, fraction(anatomy.cerebrum))
    signal = mix(signal, 1, fraction(anatomy.stem))
    signal = mix(signal, grey + overlap * (1 - grey), fraction(anatomy.nuclei))
    signal = mix(signal, fluid, fraction(anatomy.ventricles))
    signal = mix(signal, 1.3, fraction(lesion))
    return np.asarray(ndimage.gaussian_filter(signal, sigma=0.45))


def _scan(rng: np.random.Generator, signal: Field, points: Field, envelope: Field) -> NDArray[np.int16]:
    bias = 1 + 0.12 * smooth_noise(rng, points, scale_mm=80)
    texture = 1 + 0.025 * smooth_noise(rng, points, scale_mm=12)
    real, imaginary = 0.06 * rng.standard_normal((2, *signal.shape))
    magnitude = np.sqrt((signal * bias * texture + real) ** 2 + imaginary**2)  # Rician noise
    magnitude = np.where(envelope > 0, magnitude, 0.0)
    maximum = np.exp(rng.uniform(np.log(79), np.log(300)))
    scan: NDArray[np.int16] = np.rint(magnitude * (maximum / magnitude.max())).astype(np.int16)
    return scan
