"""What segments of a DICOM segmentation are, in codes that other systems know.

Codes say what a class is in any language, but only where its name leaves no doubt; everything else is tissue, as 3D Slicer
takes it, and called by its name. Source: DICOM part 16, CID 7150 (categories) and 7151 (types); a test compares every code
and its meaning with pydicom's copy of the standard.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Concept:
    """A concept of SNOMED CT.

    Attributes:
        code: its number there.
        meaning: what DICOM calls it.
    """

    code: str
    meaning: str


@dataclass(frozen=True)
class Property:
    """What a segment is.

    Attributes:
        category: one of a few large groups.
        type: what it is in this group.
    """

    category: Concept
    type: Concept


TISSUE: Final = Concept("85756007", "Tissue")
_STRUCTURE: Final = Concept("91723000", "Anatomical Structure")
_ABNORMAL: Final = Concept("49755003", "Morphologically Abnormal Structure")
_SUBSTANCE: Final = Concept("91720002", "Body Substance")

UNKNOWN: Final = Property(TISSUE, TISSUE)
_GREY: Final = Property(TISSUE, Concept("389081007", "Gray Matter"))
_WHITE: Final = Property(TISSUE, Concept("389080008", "White Matter"))
_FLUID: Final = Property(_SUBSTANCE, Concept("65216001", "Cerebrospinal Fluid"))
_NEOPLASM: Final = Property(_ABNORMAL, Concept("108369006", "Neoplasm"))
_OEDEMA: Final = Property(_ABNORMAL, Concept("79654002", "Edema"))
_OESOPHAGUS: Final = Property(_STRUCTURE, Concept("32849002", "Esophagus"))
_BRAIN_STEM: Final = Property(_STRUCTURE, Concept("119238007", "Brain Stem"))
_BLADDER: Final = Property(_STRUCTURE, Concept("89837001", "Bladder"))
_CAUDATE: Final = Property(_STRUCTURE, Concept("11000004", "Caudate Nucleus"))

_KNOWN: Final = {
    "gray matter": _GREY,
    "grey matter": _GREY,
    "white matter": _WHITE,
    "cerebrospinal fluid": _FLUID,
    "tumour": _NEOPLASM,
    "tumor": _NEOPLASM,
    "edema": _OEDEMA,
    "oedema": _OEDEMA,
    "necrosis": Property(_ABNORMAL, Concept("6574001", "Necrosis")),
    "lesion": Property(_ABNORMAL, Concept("52988006", "Lesion")),
    "cyst": Property(_ABNORMAL, Concept("367643001", "Cyst")),
    "esophagus": _OESOPHAGUS,
    "oesophagus": _OESOPHAGUS,
    "caudate": _CAUDATE,
    "caudate nucleus": _CAUDATE,
    "brain stem": _BRAIN_STEM,
    "brainstem": _BRAIN_STEM,
    "bladder": _BLADDER,
    "urinary bladder": _BLADDER,
    **{
        concept.meaning.lower(): Property(_STRUCTURE, concept)
        for concept in (
            Concept("12738006", "Brain"),
            Concept("5366008", "Hippocampus"),
            Concept("4958002", "Amygdala"),
            Concept("42695009", "Thalamus"),
            Concept("89278009", "Putamen"),
            Concept("14738005", "Globus Pallidus"),
            Concept("113305005", "Cerebellum"),
            Concept("2748008", "Spinal cord"),
            Concept("80891009", "Heart"),
            Concept("87878005", "Left ventricle"),
            Concept("53085002", "Right ventricle"),
            Concept("82471001", "Left atrium"),
            Concept("73829009", "Right atrium"),
            Concept("15825003", "Aorta"),
            Concept("39607008", "Lung"),
            Concept("44567001", "Trachea"),
            Concept("69748006", "Thyroid"),
            Concept("10200004", "Liver"),
            Concept("28231008", "Gallbladder"),
            Concept("78961009", "Spleen"),
            Concept("15776009", "Pancreas"),
            Concept("64033007", "Kidney"),
            Concept("23451007", "Adrenal gland"),
            Concept("69695003", "Stomach"),
            Concept("38848004", "Duodenum"),
            Concept("71854001", "Colon"),
            Concept("41216001", "Prostate"),
            Concept("71341001", "Femur"),
            Concept("51282000", "Vertebra"),
            Concept("59441001", "Lymph Node"),
        )
    },
}
"""By the whole name in small letters; parts of names, such as "liver vessel", mean something else."""

_TOGETHER: Final = {"csf": _FLUID, "gm": _GREY, "wm": _WHITE}
"""Abbreviations that are only sure where the others stand beside them."""


def properties(names: Sequence[str]) -> list[Property]:
    """What the classes of one data set are.

    Args:
        names: of its foreground classes.
    """
    plain = [re.sub(r"[\W_]+", " ", name).strip().lower() for name in names]
    known = _KNOWN | _TOGETHER if _TOGETHER.keys() <= set(plain) else _KNOWN
    return [known.get(name, UNKNOWN) for name in plain]
