"""The augmentations a plan may add to those it has keys for. A new one is a class and one line here."""

from dataclasses import dataclass
from typing import Final

from autoseg.catalogue.table import Entry, Table


@dataclass(frozen=True)
class AugmentationEntry(Entry):
    """What is known about an augmentation.

    Attributes:
        implementation: a transform as `autoseg.training.augmentation` describes it, "module:name".
        phrase: how the methods paragraph names it, among "rotation by up to 20 degrees, mirroring along rows".
        references: the works that the phrase cites, in full.
    """

    phrase: str
    references: tuple[str, ...] = ()


AUGMENTATIONS: Final[Table[AugmentationEntry]] = Table(
    "augmentation",
    AugmentationEntry,
    {
        # None so far: rotation, mirroring and changes of intensity have keys of their own in a plan.
    },
    group="autoseg.augmentations",
    predicts=False,
)
