"""The losses a plan may name. A new one is a function and one line here."""

from dataclasses import dataclass
from typing import Final

from autoseg.catalogue.table import Entry, Table


@dataclass(frozen=True)
class LossEntry(Entry):
    """What is known about a loss.

    Attributes:
        implementation: a function as `autoseg.training.losses` describes it, "module:name".
        phrase: how the methods paragraph names it: "trained with class-weighted cross-entropy".
        references: the works that the phrase cites, in full.
        class_weighted: whether it has a cross-entropy weighted by class, so that networks find rare classes too often and a
            plan corrects them (`prediction.prior_power`).
        without_labels: whether it leaves out voxels without a label, whose target is K, one beyond the classes; data that
            has such voxels cannot be learnt with others.
        regions: whether it knows classes that are regions, which have a logit less and contain one another; data with
            regions cannot be learnt with others.
        short: what the summary of a plan calls it: "soft Dice"; empty: by its name.
    """

    phrase: str
    references: tuple[str, ...] = ()
    class_weighted: bool = False
    without_labels: bool = False
    regions: bool = False
    short: str = ""


LOSSES: Final[Table[LossEntry]] = Table(
    "loss",
    LossEntry,
    {
        "cross_entropy": LossEntry(
            "autoseg.training.losses:weighted_cross_entropy",
            "class-weighted cross-entropy",
            class_weighted=True,
            without_labels=True,
            regions=True,
            short="cross-entropy",
        ),
        "dice": LossEntry(
            "autoseg.training.losses:soft_dice", "soft Dice loss", without_labels=True, regions=True, short="soft Dice"
        ),
        "cross_entropy_dice": LossEntry(
            "autoseg.training.losses:cross_entropy_and_dice",
            "the sum of class-weighted cross-entropy and soft Dice loss",
            class_weighted=True,
            without_labels=True,
            regions=True,
            short="cross-entropy + Dice",
        ),
    },
    group="autoseg.losses",
    predicts=False,
)
