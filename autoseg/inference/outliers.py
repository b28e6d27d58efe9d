"""Scans that differ from everything a model has seen: there its label maps may be wrong without looking wrong."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.catalogue import NORMALISATIONS
from autoseg.data.dataset import LabelClass
from autoseg.images.colours import COLOURS, is_grey
from autoseg.images.geometry import ANATOMICAL_AXES, Geometry
from autoseg.images.image import Image, LabelMap
from autoseg.inference.table import foreground_ml, volumes_ml
from autoseg.planning.case_fingerprint import CaseFingerprint, IntensityStatistics, intensity_statistics
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.sections import DataSection, NormalisationStep
from autoseg.planning.tilt import Tilt, outermost, unusual_tilt
from autoseg.wording import from_to

SPACING_MARGIN: Final = 1.25
"""Spacings beyond the training range by more than this factor are warned about.

Source: ours; the plan's augmentation scales by about as much, so that a network has seen such sizes."""

VOLUME_MARGIN: Final = 1.5
"""The same for the volume of all foreground. Source: ours; whole scans of IBSR18 and the hippocampus left out one at a time
stay within 1.3 of the others' range."""

INTENSITY_MARGIN: Final = 1.5
"""The same for ratios of intensities. Source: as above; an inverted contrast and strong noise are beyond."""


ALIKE_IN_LABEL_MAPS: Final = 0.5
"""Fraction of a label map's voxels > 0 that have the value of the next voxel of their row. Source: ours; thin structures of
two voxels reach it, and noise of a few grey values does not."""


@dataclass(frozen=True)
class Range:
    """From the smallest to the largest of some values >= 0."""

    low: float
    high: float

    def misses(self, value: float, *, margin: float) -> bool:
        """Whether a value lies outside by more than a factor."""
        return not self.low / margin <= value <= self.high * margin

    def __str__(self) -> str:
        return from_to(self.low, self.high)


@dataclass(frozen=True)
class TrainingData:
    """Data that networks were trained on, to compare scans with.

    Its cases, which may be very many, are gone through once and not for every scan.

    Attributes:
        name: of the data set.
        fingerprint: of its cases.
        normalisation: each channel's, as planned: where it takes the scale away, the scale is not looked at.
    """

    name: str
    fingerprint: Fingerprint
    normalisation: tuple[NormalisationStep, ...]

    @cached_property
    def spacing_mm(self) -> Mapping[str, Range]:
        """Spacings of the cases, by anatomical axis."""
        return _ranges(dict(zip(case.axes, case.spacing_mm, strict=True)) for case in self.fingerprint.cases)

    @cached_property
    def voxels(self) -> Mapping[str, Range]:
        """Voxels along each anatomical axis of the cases."""
        return _ranges(dict(zip(case.axes, case.shape, strict=True)) for case in self.fingerprint.cases)

    @cached_property
    def tilts(self) -> Sequence[Tilt | None]:
        """Tilts that stand for those of all cases."""
        tilts = [case.tilt_degrees for case in self.fingerprint.cases]
        return [tilts[place] for place in outermost(tilts)]

    @cached_property
    def intensities(self) -> Sequence[Mapping[str, Range]]:
        """What describes the histogram of the voxels > 0, of each channel."""
        return [
            _ranges(_shape(found, step) for found in self._positive(channel) if found is not None)
            for channel, step in enumerate(self.normalisation)
        ]

    @cached_property
    def always_positive(self) -> Sequence[bool]:
        """Whether every case has voxels > 0, of each channel; a colour may be missing from training images."""
        return [None not in self._positive(channel) for channel in range(len(self.normalisation))]

    @cached_property
    def brightest(self) -> float:
        """What the 99.5th percentile of the voxels > 0 reaches in every case and channel that has some."""
        every = (self._positive(channel) for channel in range(len(self.normalisation)))
        return min((found.percentile_99_5 for cases in every for found in cases if found is not None), default=0.0)

    @cached_property
    def holds_grey(self) -> bool:
        """Whether an image of colours shows none."""
        channels = (case.channels[:COLOURS] for case in self.fingerprint.cases)
        return any(red == green == blue for red, green, blue in channels)

    @cached_property
    def foreground_ml(self) -> Range | None:
        """Volume of all foreground of the cases that have some and are labelled throughout; None: of no case."""
        whole = (_foreground_ml(case) for case in self.fingerprint.cases if case.unlabelled is None)
        return _ranges({"ml": case_ml} for case_ml in whole if case_ml > 0).get("ml")

    @cached_property
    def labelled(self) -> Collection[frozenset[int]]:
        """Foreground values that occur together in a case; what cases have in common is there once."""
        return {
            frozenset(value for value, count in case.class_voxels.items() if value > 0 and count > 0)
            for case in self.fingerprint.cases
        }

    def _positive(self, channel: int) -> list[IntensityStatistics | None]:
        return [case.channels[channel].positive for case in self.fingerprint.cases]


def unusual(image: Image, labels: LabelMap, trained_on: TrainingData, data: DataSection) -> list[str]:
    """Everything that is unusual about a scan and its label map.

    Args:
        image: the scan.
        labels: what was found in it.
        trained_on: what it is compared with.
        data: channels and classes.
    """
    return [
        *label_map_instead(image.array, trained_on, data.classes),
        *unusual_spacing(image.geometry, trained_on),
        *single_slice(image.geometry, trained_on),
        *unusual_orientation(image.geometry, trained_on),
        *unusual_intensities(image.array, trained_on, names=data.channels),
        *unusual_colours(image, trained_on),
        *unusual_volume(foreground_ml(labels), trained_on),
        *missing_classes(volumes_ml(labels, data.classes), data.classes, trained_on),
    ]


def label_map_instead(channels: NDArray[np.float32], trained_on: TrainingData, classes: Sequence[LabelClass]) -> list[str]:
    """A warning about a scan that is a label map, as far as its voxels tell.

    Every voxel has the value of a class, most have that of the next one, and all scans of training were brighter, so that
    binary and dark images are no label maps.

    Args:
        channels: the scan, (C, Z, Y, X), float32.
        trained_on: what it is compared with.
        classes: what label values stand for.
    """
    values = sorted({value for label in classes for value in label.label_values})
    if channels.max() > values[-1] or channels.min() < 0 or trained_on.brightest <= values[-1]:
        return []
    if channels.min() == channels.max() or not np.isin(channels, values).all():
        return []
    shown = channels[..., :-1] > 0
    same = channels[..., :-1] == channels[..., 1:]
    if np.count_nonzero(shown & same) < ALIKE_IN_LABEL_MAPS * np.count_nonzero(shown):
        return []
    return ["every voxel has the value of a class: this is probably a label map, and no scan"]


def unusual_spacing(geometry: Geometry, trained_on: TrainingData) -> list[str]:
    """Warnings about spacings outside those of training, per anatomical axis, and on a picture where volumes were learnt."""
    if geometry.dimensions < trained_on.fingerprint.dimensions:
        return ["a 2D image, taken for one slice (training: volumes)"]
    seen_mm = trained_on.spacing_mm
    return [
        f"spacing {spacing_mm:.3g} mm {name} (training: {seen_mm[name]} mm)"
        for name, spacing_mm in _spacing_by_axis(geometry).items()
        if name in seen_mm and seen_mm[name].misses(spacing_mm, margin=SPACING_MARGIN)
    ]


def single_slice(geometry: Geometry, trained_on: TrainingData) -> list[str]:
    """A warning about a volume of one slice where no case of training was one: what lies beside it is not seen."""
    if geometry.dimensions == 2:
        return []  # which `unusual_spacing` warns of
    voxels = zip(_axis_names(geometry), geometry.shape, strict=True)
    seen = {name: trained_on.voxels[name] for name, count in voxels if count == 1}
    return [
        f"a single voxel {name} (training: {from_to(found.low, found.high, 'g')})"
        for name, found in seen.items()
        if found.low > 1
    ]


def unusual_orientation(geometry: Geometry, trained_on: TrainingData) -> list[str]:
    """Warnings about a tilt against the patient's axes that no scan of training had."""
    return unusual_tilt(geometry.tilt_degrees, trained_on.tilts)


def unusual_intensities(channels: NDArray[np.float32], trained_on: TrainingData, *, names: Sequence[str]) -> list[str]:
    """Warnings about channels whose histogram, of the voxels > 0, is unlike those of training.

    Args:
        channels: the scan, (C, Z, Y, X), float32.
        trained_on: what it is compared with.
        names: of the channels.
    """
    warnings = []
    for index, (channel, step, name) in enumerate(zip(channels, trained_on.normalisation, names, strict=True)):
        statistics = intensity_statistics(channel[channel > 0])
        if statistics is None:
            if trained_on.always_positive[index]:
                warnings.append(f"no voxel of {name} is > 0")
            continue
        seen = trained_on.intensities[index]
        warnings += [
            f"{what} of {name} {value:.3g} (training: {seen[what]})"
            for what, value in _shape(statistics, step).items()
            if what in seen and seen[what].misses(value, margin=INTENSITY_MARGIN)
        ]
    return warnings


def unusual_colours(image: Image, trained_on: TrainingData) -> list[str]:
    """A warning about grey values stored as colours where every training image shows colours."""
    if not image.colours or not is_grey(image.array) or trained_on.holds_grey:
        return []
    return ["red, green and blue are equal (training: colours in every image)"]


def unusual_volume(total_ml: float, trained_on: TrainingData) -> list[str]:
    """Warnings about the volume of all foreground together, in ml, which is known of scans that are labelled throughout."""
    if total_ml == 0:
        return ["nothing was found"] if all(trained_on.labelled) else []
    seen_ml = trained_on.foreground_ml
    if seen_ml is not None and seen_ml.misses(total_ml, margin=VOLUME_MARGIN):
        return [f"{total_ml:.4g} ml of foreground (training: {seen_ml} ml)"]
    return []


def missing_classes(found_ml: Mapping[str, float], classes: Sequence[LabelClass], trained_on: TrainingData) -> list[str]:
    """A warning about classes that were not found, though every training scan shows them.

    Args:
        found_ml: volume of each foreground class by name.
        classes: what the label values stand for.
        trained_on: what the scan is compared with.
    """
    missing = [
        label.name
        for label in classes
        if found_ml.get(label.name) == 0 and not any(values.isdisjoint(label.label_values) for values in trained_on.labelled)
    ]
    some = any(volume_ml > 0 for volume_ml in found_ml.values())  # else that nothing was found says it
    return [f"no {', no '.join(missing)} was found (training: in every case)"] if missing and some else []


def _foreground_ml(case: CaseFingerprint) -> float:
    voxels = sum(count for value, count in case.class_voxels.items() if value > 0)
    return voxels * math.prod(case.spacing_mm) / 1000


def _axis_names(geometry: Geometry) -> list[str]:
    return [ANATOMICAL_AXES[axis] for axis in geometry.anatomical_axes()]


def _spacing_by_axis(geometry: Geometry) -> dict[str, float]:
    names = _axis_names(geometry)
    axes = range(3) if geometry.dimensions == 3 else range(1, 3)  # a picture has no third axis
    return {names[axis]: geometry.spacing_mm[axis] for axis in axes}


def _shape(statistics: IntensityStatistics, step: NormalisationStep) -> dict[str, float]:
    """Positive numbers that describe a histogram."""
    median, spread = statistics.percentile_50, statistics.percentile_75 - statistics.percentile_25
    if not NORMALISATIONS[step.method].scale_free:
        return {"median intensity": median, "spread of intensities": spread}
    return {
        "darkest over median intensity": statistics.percentile_00_5 / median,
        "brightest over median intensity": statistics.percentile_99_5 / median,
        "spread over median intensity": spread / median,
    }


def _ranges(cases: Iterable[Mapping[str, float]]) -> dict[str, Range]:
    """From the smallest to the largest value of each name that cases give."""
    found: dict[str, Range] = {}
    for values in cases:
        for name, value in values.items():
            before = found.get(name, Range(value, value))
            found[name] = Range(min(before.low, value), max(before.high, value))
    return found
