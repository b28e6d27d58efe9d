"""Figures on the report's page, each with what it shows and how to judge it."""

from typing import Final, Literal

from autoseg.reporting.findings import Findings
from autoseg.reporting.page import Block, Picture

_PLOTS: Final = {"figure_2_dice", "figure_2_hausdorff", "figure_3_curves", "calibration"}
"""Drawn as vector graphics; the others hold scans."""

_SENTENCES: Final = {
    "figure_1_data": (
        "Every scan's slice with the most foreground and its reference, as the networks see it.",
        """Colours should follow the borders you see, and all scans should lie the same way up; where one does not, mend that
        file and plan again.""",
    ),
    "figure_2_dice": (
        "Dice by class and network: mean, standard deviation, and every held-out case as a dot.",
        "Higher is better, 1 is perfect; a dot far below the others is a case to look at below.",
    ),
    "figure_2_hausdorff": (
        "The Hausdorff distance by class and network, in mm, in the same way.",
        """Lower is better; one stray voxel decides it, so that large values beside a good Dice mean islands, which
        autoseg select may clean away.""",
    ),
    "figure_3_curves": (
        "Loss and Dice over the epochs of all networks on this fold, in training and on held-out cases.",
        """Curves should flatten out together; training that improves while validation worsens means learning by heart (more
        data or stronger augmentation), curves still improving at the end ask for more minutes.""",
    ),
    "figure_4_planes": (
        "A typical held-out case in three planes, every network's label map above the reference.",
        """Rows should be hard to tell apart; what differs in all networks is a matter of the data, what differs in one of
        that network.""",
    ),
    "attention": (
        "Where the gates of the Attention U-Net look on a held-out slice, from fine to coarse.",
        "Gates should light up on the tissues and their borders; even grey everywhere means that they have learnt nothing.",
    ),
    "calibration": (
        "For every class of every held-out case, the Dice predicted without that case against the Dice it reached.",
        """Dots near the line mean that predict --uncertainty can be believed; a flat cloud means that it only knows the
        average.""",
    ),
}


def figures(found: Findings, stem: str) -> list[Block]:
    """The figures whose names begin with `stem`, in the order of their names."""
    shows, judge = (" ".join(sentence.split()) for sentence in _SENTENCES[stem])
    form: Literal["svg", "png"] = "svg" if stem in _PLOTS else "png"
    paths = sorted(path for path in found.figures if path.name.startswith(stem) and path.suffix == f".{form}")
    return [
        Picture(
            path.read_bytes(), form, alt=f"{_title(path.stem)}. {shows}", shows=f"{_title(path.stem)}. {shows}", judge=judge
        )
        for path in paths
    ]


def _title(stem: str) -> str:
    """`figure_3_curves_fold_0` as "Figure 3, fold 0"."""
    words = stem.split("_")
    name = " ".join(words[:2]) if words[0] == "figure" else words[0]
    rest = [word for word in words[2 if words[0] == "figure" else 1 :] if word not in {"data", "curves", "planes"}]
    return ", ".join([name.capitalize(), *([" ".join(rest)] if rest else [])])
