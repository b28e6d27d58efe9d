"""What the data dictates about channels and their intensities: one small pure function per decision."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from autoseg.catalogue import Recipe
from autoseg.planning.case_fingerprint import CaseFingerprint, IntensityStatistics
from autoseg.planning.channels import GREY
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.recipes import Choice
from autoseg.planning.rules import significant
from autoseg.planning.sections import NormalisationStep
from autoseg.wording import from_to

NORMALISED_CLIP: Final = 10.0
"""Where values are clipped after `quantile_zscore`, in normalised units.

Source: the middle half of a normal distribution has 0.378 times its standard deviation, so this lies 3.8 of these from
the mean and only reaches outliers."""


BACKGROUND_FRACTION: Final = 0.2
"""From so many voxels of 0 on, they are no intensities, but what was put around the subject.

Source: chosen: skull-stripped scans of IBSR18 have .80 to .90, those of the hippocampus at most .001."""

_CT: Final = frozenset({"ct", "cect", "ncct", "nect", "ldct", "hrct", "cta"})
"""Words for CT in Hounsfield units: contrast-enhanced, without contrast, of low dose, of high resolution, of vessels."""

_OTHERS: Final = re.compile(r"pet|suv\w*|fdg|spect|mri?|t[12](w|c|ce|gd)?|flair|dwi|adc|ultrasound|cbct|micro")
"""Words that say that a channel shows something else, or CT on another scale."""


def declared_channels(fingerprint: Fingerprint, *, declared: tuple[str, ...], layout: str) -> Choice[tuple[str, ...]]:
    """What each channel shows, as the data set declares it and its files hold it."""
    if any(case.colours for case in fingerprint.cases):
        return Choice(declared, "The images are in colour: red, green and blue are a channel each.")
    if declared == (GREY,):
        return Choice(declared, "Red, green and blue are equal in all training images: they are one channel.")
    return Choice(declared, f"As the data set declares them (layout {layout}).")


def normalisation(fingerprint: Fingerprint, *, channel: int, name: str, recipe: Recipe) -> Choice[NormalisationStep]:
    """How to bring one channel to a common scale, by what its name says it shows."""
    words = _words(name)
    if _is_ct(words):
        return _ct_normalisation(fingerprint, channel=channel, name=name)
    if words[:1] == ["nonorm"]:
        return Choice(NormalisationStep(method="none"), f"{name}: the data set asks for none.")
    if recipe != "paper" and any(case.colours for case in fingerprint.cases):
        return Choice(
            NormalisationStep(method="zscore", clip=NORMALISED_CLIP),
            f"{name}: a colour, brought to a common scale by mean and standard deviation of its values > 0 in each image, "
            "because the middle half of a photograph's values may all be those of its background.",
        )
    if recipe == "paper":
        return Choice(NormalisationStep(method="quantile_zscore"), f"{name}: eq. 1 of the paper, per scan.")
    if _clips_what_matters(fingerprint, channel):
        return Choice(
            NormalisationStep(method="zscore"),
            f"{name}: {_intensity_range(fingerprint, channel)}; the middle half of them is not the subject's, and a scale "
            f"made of it would leave labelled or bright voxels of the median scan more than {NORMALISED_CLIP:g} away, so "
            "each scan is brought to a common scale by mean and standard deviation of its voxels > 0, unclipped.",
        )
    background = _background(fingerprint, channel)
    return Choice(
        NormalisationStep(method="quantile_zscore", clip=NORMALISED_CLIP, background=background),
        f"{name}: {_intensity_range(fingerprint, channel)}, so each scan is brought to a common scale by the middle "
        f"half of its own intensities; beyond {NORMALISED_CLIP:g} lie only outliers."
        + ("" if background is None else _why_background(fingerprint, background)),
    )


def _words(name: str) -> list[str]:
    """The letters and digits of a name, in lower case: two words of `ct_venous`, three of `SUV (PET/CT)`."""
    return re.findall(r"[^\W_]+", name.lower())


def _is_ct(words: Sequence[str]) -> bool:
    """Whether a channel is called CT, and neither something else besides, as in PET/CT, nor the opposite, as in non-CT."""
    opposite = any(first in {"non", "no", "not"} and second in _CT for first, second in pairwise(words))
    return not opposite and not _CT.isdisjoint(words) and not any(map(_OTHERS.fullmatch, words))


def _background(fingerprint: Fingerprint, channel: int) -> float | None:
    """The darkest that scaling would make of 0 in any scan, where 0 is what surrounds the subject in all of them."""
    groups = [group for case in fingerprint.cases if (group := case.channels[channel].positive) is not None]
    if min(map(_empty_fraction, fingerprint.cases)) < BACKGROUND_FRACTION or len(groups) < len(fingerprint.cases):
        return None
    darkest = [-centre / width for centre, width in map(_middle_half, groups) if width > 0]
    return max(-NORMALISED_CLIP, significant(min(darkest), 2)) if darkest else None


def _middle_half(group: IntensityStatistics) -> tuple[float, float]:
    """Mean and standard deviation of intensities between the quartiles, as if they were evenly spread there."""
    return (group.percentile_25 + group.percentile_75) / 2, (group.percentile_75 - group.percentile_25) / math.sqrt(12)


def _clips_what_matters(fingerprint: Fingerprint, channel: int) -> bool:
    """Whether scaling by the middle half would clip more than outliers in the median scan.

    More are a quarter of the labelled voxels, on either side, or the brightest 0.5 % of those > 0: where most of a scan is
    noise, or dark tissue around bright lesions, the middle half is theirs.
    """
    lowest, highest = [], []
    for case in fingerprint.cases:
        positive, labelled = case.channels[channel].positive, case.channels[channel].labelled
        if positive is None:
            continue
        centre, width = _middle_half(positive)
        if width == 0:
            continue
        low = positive.percentile_25 if labelled is None else labelled.percentile_25
        high = positive.percentile_99_5 if labelled is None else max(positive.percentile_99_5, labelled.percentile_75)
        lowest.append((low - centre) / width)
        highest.append((high - centre) / width)
    return bool(highest) and (median(lowest) < -NORMALISED_CLIP or median(highest) > NORMALISED_CLIP)


def _why_background(fingerprint: Fingerprint, background: float) -> str:
    return (
        f" In every scan at least {min(map(_empty_fraction, fingerprint.cases)):.0%} of the voxels are 0: they surround the "
        f"subject, and all become {background:g}, the darkest that scaling would make of them, instead of another value in "
        "each scan."
    )


def _empty_fraction(case: CaseFingerprint) -> float:
    return 1.0 - case.nonzero_voxels / math.prod(case.shape)


def _ct_normalisation(fingerprint: Fingerprint, *, channel: int, name: str) -> Choice[NormalisationStep]:
    groups = [group for case in fingerprint.cases if (group := case.channels[channel].labelled) is not None]
    lower = significant(median(group.percentile_00_5 for group in groups), 6)
    upper = significant(median(group.percentile_99_5 for group in groups), 6)
    mean, std = _pooled(groups)
    step = NormalisationStep(method="ct", lower=lower, upper=upper, mean=mean, std=std or 1.0)
    return Choice(
        step,
        f"{name}: intensities of CT have a physical meaning, so all scans share one scale: clipped to {lower:g} .. "
        f"{upper:g} (medians of the scans' 0.5 % and 99.5 % quantiles inside the labels), mean {mean:g}, standard "
        f"deviation {std:g}.",
    )


def _pooled(groups: Sequence[IntensityStatistics]) -> tuple[float, float]:
    # Mean and standard deviation of all voxels together, from those of the parts.
    total = sum(group.voxels for group in groups)
    mean = sum(group.voxels * group.mean for group in groups) / total
    variance = sum(group.voxels * (group.std**2 + (group.mean - mean) ** 2) for group in groups) / total
    return significant(mean, 6), significant(math.sqrt(variance), 6)


def _intensity_range(fingerprint: Fingerprint, channel: int) -> str:
    medians = [group.percentile_50 for case in fingerprint.cases if (group := case.channels[channel].positive)]
    if not medians:
        return "no voxel is > 0"
    span = from_to(min(medians), max(medians), ".4g")
    same = " to " not in span
    return f"medians of voxels > 0 {f'are {span} in every scan' if same else f'range from {span} between scans'}"
