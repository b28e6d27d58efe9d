"""Which channels images in single files have: red, green and blue, or one where they are grey.

Layouts read no voxels: a table names one image per case, and nnU-Net's data sets of photographs name R, G and B and hold one
file. What the files hold decides. Where red, green and blue are equal throughout the training images, they are one channel.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from autoseg.data.dataset import Dataset
from autoseg.errors import AutosegError, ImageError
from autoseg.images.colours import COLOURS, GREY_AS_COLOURS, colours_for_grey, is_grey
from autoseg.images.image import Image
from autoseg.planning.case_fingerprint import CaseFingerprint

Pixels = Literal["grey", "grey as colours", "colours"]
CommonPixels = Literal["grey", "colours"]

GREY: Final = "grey"
"""Name of the one channel of images that are declared to have three."""

_UNNAMED: Final = {"image", "rgb", "rgba", "colour", "color", "colours", "colors", "picture", "photo", "grey", "gray"}
"""Names of a channel that say nothing more about red, green and blue."""


def pixels_of(image: Image, *, files: int) -> Pixels | None:
    """What the pixels of an image are; None where its channels are what its files or its fourth axis say."""
    if files != 1 or len(image.array) not in {1, COLOURS}:
        return None
    if not image.colours:
        return "grey" if len(image.array) == 1 else None
    return "grey as colours" if is_grey(image.array) else "colours"


def common_pixels(found: Sequence[Pixels]) -> CommonPixels | None:
    """What the training images of a data set have in common, or most of them; None where nothing is in single files."""
    if not found:
        return None
    coloured = found.count("colours")
    return "grey" if coloured == 0 or coloured < found.count("grey") else "colours"


def problem_with(pixels: Pixels, wanted: CommonPixels, path: Path) -> AutosegError | None:
    """What is wrong with an image among images of other pixels; grey values stored as colours go with both."""
    if wanted == "grey" and pixels == "colours":
        return colours_for_grey(path)
    if wanted == "colours" and pixels == "grey":
        return ImageError(
            "grey values, where red, green and blue are expected",
            where=path,
            expected="colours, as the data set declares or most training images have them",
            found="one number per pixel",
            remedy="A data set holds grey images or colour images, not both: store it in colour, or take it out.",
        )
    return None


def with_one_channel(case: CaseFingerprint) -> CaseFingerprint:
    """A case whose red, green and blue are equal, as one of grey values."""
    return case.model_copy(update={"channels": case.channels[:1], "colours": False})


def found_channels(dataset: Dataset, cases: Sequence[CaseFingerprint]) -> Dataset:
    """The data set with the channels that its files were found to have."""
    count = len(cases[0].channels)
    if count == len(dataset.channels):
        return dataset
    if count == 1:
        return dataset.model_copy(update={"channels": (GREY,)})
    (name,) = dataset.channels
    colours = ("R", "G", "B")
    named = colours if name.lower() in _UNNAMED else tuple(f"{name} {colour}" for colour in colours)
    return dataset.model_copy(update={"channels": named})


def remark_on(pixels: Pixels, wanted: CommonPixels) -> tuple[str, ...]:
    """What to say about how an image is stored."""
    return (GREY_AS_COLOURS,) if wanted == "grey" and pixels == "grey as colours" else ()
