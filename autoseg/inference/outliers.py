"""Scans that differ from everything a model has seen: there its label maps may be wrong without looking wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from autoseg.planning.tilt import unusual_tilt

SPACING_MARGIN: Final = 1.25
"""Spacings beyond the training range by more than this factor are warned about.

Source: ours; the plan's augmentation scales by about as much, so that a network has seen such sizes."""

VOLUME_MARGIN: Final = 1.5
"""The same for the volume of all foreground. Source: ours; whole scans of IBSR18 and the hippocampus left out one at a time
stay within 1.3 of the others' range."""

INTENSITY_MARGIN: Final = 1.5
"""The same for ratios of intensities. Source: as above; an inverted contrast and strong noise are beyond."""


@dataclass(frozen=True)
class TrainingData:
    """Data that networks were trained on, to compare scans with.

    Attributes:
        name: of the data set.
        fingerprint: of its cases.
        normalisation: each channel's, as planned.
    """

    name: str
    fingerprint: Fingerprint
    normalisation: tuple[NormalisationStep, ...]


def unusual(image: Image, labels: LabelMap, trained_on: TrainingData, data: DataSection) -> list[str]:
    """Everything that is unusual about a scan and its label map.

    Args:
        image: the scan.
        labels: what was found in it.
        trained_on: what it is compared with.
        data: channels and classes.
    """
    fingerprint = trained_on.fingerprint
    return [
        *unusual_spacing(image.geometry, fingerprint),
        *unusual_orientation(image.geometry, fingerprint),
        *unusual_intensities(image.array, trained_on.normalisation, fingerprint, names=data.channels),
        *unusual_colours(image, fingerprint),
        *unusual_volume(foreground_ml(labels), fingerprint),
        *missing_classes(volumes_ml(labels, data.classes), data.classes, fingerprint),
    ]


def unusual_spacing(geometry: Geometry, fingerprint: Fingerprint) -> list[str]:
    """Warnings about spacings outside those of training, per anatomical axis, and on a picture where volumes were learnt."""
    if geometry.dimensions < fingerprint.dimensions:
        return ["a 2D image, taken for one slice (training: volumes)"]
    warnings = []
    for name, spacing_mm in _spacing_by_axis(geometry).items():
        seen_mm = [case.spacing_mm[case.axes.index(name)] for case in fingerprint.cases if name in case.axes]
        if seen_mm and _beyond(spacing_mm, seen_mm, SPACING_MARGIN):
            warnings.append(f"spacing {spacing_mm:.3g} mm {name} (training: {_range(seen_mm)} mm)")
    return warnings


def unusual_orientation(geometry: Geometry, fingerprint: Fingerprint) -> list[str]:
    """Warnings about a tilt against the patient's axes that no scan of training had."""
    return unusual_tilt(geometry.tilt_degrees, [case.tilt_degrees for case in fingerprint.cases])


def unusual_intensities(
    channels: NDArray[np.float32], steps: Sequence[NormalisationStep], fingerprint: Fingerprint, *, names: Sequence[str]
) -> list[str]:
    """Warnings about channels whose histogram, of the voxels > 0, is unlike those of training.

    Args:
        channels: the scan, (C, Z, Y, X), float32.
        steps: each channel's normalisation: where it takes the scale away, the scale is not looked at.
        fingerprint: of the training data.
        names: of the channels.
    """
    warnings = []
    for index, (channel, step, name) in enumerate(zip(channels, steps, names, strict=True)):
        seen = [case.channels[index].positive for case in fingerprint.cases]
        trained = [_shape(statistics, step) for statistics in seen if statistics is not None]
        statistics = intensity_statistics(channel[channel > 0])
        if statistics is None:
            if None not in seen:  # a colour may be missing from training images, too
                warnings.append(f"no voxel of {name} is > 0")
            continue
        for what, value in _shape(statistics, step).items():
            values = [shape[what] for shape in trained if what in shape]
            if values and _beyond(value, values, INTENSITY_MARGIN):
                warnings.append(f"{what} of {name} {value:.3g} (training: {_range(values)})")
    return warnings


def unusual_colours(image: Image, fingerprint: Fingerprint) -> list[str]:
    """A warning about grey values stored as colours where every training image shows colours."""
    if not image.colours or not is_grey(image.array):
        return []
    seen = (case.channels for case in fingerprint.cases)
    trained = any(red == green == blue for red, green, blue in (channels[:COLOURS] for channels in seen))
    return [] if trained else ["red, green and blue are equal (training: colours in every image)"]


def unusual_volume(total_ml: float, fingerprint: Fingerprint) -> list[str]:
    """Warnings about the volume of all foreground together, in ml, which is known of scans that are labelled throughout."""
    if total_ml == 0:
        return ["nothing was found"] if all(_foreground_ml(case) > 0 for case in fingerprint.cases) else []
    whole = (case for case in fingerprint.cases if case.unlabelled is None)
    seen_ml = [case_ml for case in whole if (case_ml := _foreground_ml(case)) > 0]
    if seen_ml and _beyond(total_ml, seen_ml, VOLUME_MARGIN):
        return [f"{total_ml:.4g} ml of foreground (training: {_range(seen_ml)} ml)"]
    return []


def _foreground_ml(case: CaseFingerprint) -> float:
    voxels = sum(count for value, count in case.class_voxels.items() if value > 0)
    return voxels * float(np.prod(case.spacing_mm)) / 1000


def missing_classes(found_ml: Mapping[str, float], classes: Sequence[LabelClass], fingerprint: Fingerprint) -> list[str]:
    """A warning about classes that were not found, though every training scan shows them.

    Args:
        found_ml: volume of each foreground class by name.
        classes: what the label values stand for.
        fingerprint: of the training data.
    """
    missing = [
        label.name
        for label in classes
        if found_ml.get(label.name) == 0 and all(case.voxels_of(label) > 0 for case in fingerprint.cases)
    ]
    some = any(volume_ml > 0 for volume_ml in found_ml.values())  # else that nothing was found says it
    return [f"no {', no '.join(missing)} was found (training: in every case)"] if missing and some else []


def _spacing_by_axis(geometry: Geometry) -> dict[str, float]:
    names = [ANATOMICAL_AXES[axis] for axis in geometry.anatomical_axes()]
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


def _beyond(value: float, seen: Sequence[float], margin: float) -> bool:
    return not min(seen) / margin <= value <= max(seen) * margin  # all are >= 0


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"
