"""The normalisations of intensities a plan may name. A new one is a function and one line here."""

from dataclasses import dataclass
from typing import Final

from autoseg.catalogue.table import Entry, Table


@dataclass(frozen=True)
class NormalisationEntry(Entry):
    """What is known about a normalisation.

    Attributes:
        implementation: a function as `autoseg.preprocessing.intensity` describes it, "module:name".
        phrase: what the methods paragraph says that intensities: "were normalised per scan by ...".
        scale_free: whether the scan's own scale is taken away, so that only the shape of its histogram matters.
        references: the works that the phrase cites, in full.
        short: what the summary of a plan says that intensities are: "left as they are"; empty: by its name.
        why: what the summary says that it is chosen for.
    """

    phrase: str
    scale_free: bool
    references: tuple[str, ...] = ()
    short: str = ""
    why: str = ""


_QUANTILES: Final = (
    "were normalised per scan by mean and standard deviation of the voxels between the 25th and the 75th "
    "percentile of all positive intensities"
)
_POSITIVE: Final = "were normalised per scan by mean and standard deviation of the positive intensities"
_NO_SCALE: Final = "scans have no common scale"
_DATA_SET: Final = "were clipped to and scaled by the intensities of the training data's foreground"

NORMALISATIONS: Final[Table[NormalisationEntry]] = Table(
    "normalisation",
    NormalisationEntry,
    {
        "quantile_zscore": NormalisationEntry(
            "autoseg.preprocessing.intensity:quantile_zscore",
            _QUANTILES,
            scale_free=True,
            short="scaled by the middle half of each scan",
            why=_NO_SCALE,
        ),
        "zscore": NormalisationEntry(
            "autoseg.preprocessing.intensity:zscore",
            _POSITIVE,
            scale_free=True,
            short="scaled by mean and spread of each scan",
            why=_NO_SCALE,
        ),
        "ct": NormalisationEntry(
            "autoseg.preprocessing.intensity:ct",
            _DATA_SET,
            scale_free=False,
            short="clipped and scaled alike in all scans",
            why="CT has a physical unit",
        ),
        "none": NormalisationEntry(
            "autoseg.preprocessing.intensity:unchanged",
            "were left as they are",
            scale_free=False,
            short="left as they are",
            why="the data set asks for it",
        ),
    },
    group="autoseg.normalisations",
)
