"""IBSR18, as it is taught and as it was published, and folders arranged like it.

Taught: `Training_Set|Validation_Set|Test_Set/<id>/<id>.nii.gz` beside `<id>_seg.nii.gz`; also without the set folders,
and without a folder per case. Published: `<id>_ana_strip` beside `<id>_segTRI_ana`, among other files of each case.

A folder that holds several cases is one subject's, unless it holds all of its set.

Source: http://www.cma.mgh.harvard.edu/ibsr/.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from autoseg.data.dataset import Case, Dataset, LabelClass, Subset
from autoseg.data.naming import LABEL_ENDING, dataset_name, is_label_stem, normalised, without_label_ending
from autoseg.layouts.common import (
    Choice,
    Layout,
    Mismatch,
    images_in,
    in_natural_order,
    refuse_broken_links,
    refuse_several,
    refuse_unpaired,
)

SET_FOLDERS: Final[dict[str, Subset]] = {
    "Training_Set": "training",
    "Validation_Set": "validation",
    "Test_Set": "test",
}
TISSUES: Final = tuple(LabelClass(value=value, name=name) for value, name in enumerate(("background", "CSF", "GM", "WM")))
_PUBLISHED_IMAGE, _PUBLISHED_LABEL = "_ana_strip", "_segTRI_ana"
_PUBLISHED_OTHERS: Final = ("_ana", "_seg_ana", "_ana_brainmask", "_segTRI_fill_ana")
"""Unstripped scan, 34 structures, brain mask, labels with filled gaps: published beside what is used."""


@dataclass(frozen=True)
class _Set:
    """The files of one set by case id, the ids that have their published names, and those of label maps with other names."""

    place: Path
    subset: Subset
    published: frozenset[str]
    others: set[str] = field(default_factory=set)
    images: dict[str, list[Path]] = field(default_factory=dict)
    labels: dict[str, list[Path]] = field(default_factory=dict)


class Ibsr18(Layout):
    """An image and, where there is one, its label map beside it, told apart by the ends of their names."""

    subjects = "folder"

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        """Read a folder."""
        choice.refuse()
        places = {root / name: subset for name, subset in SET_FOLDERS.items() if (root / name).is_dir()}
        sets = [_find(place, subset) for place, subset in (places or {root: "training"}).items()]
        if not any(found.labels.keys() & found.images.keys() for found in sets):
            where = f" in {', '.join(place.name for place in places)}" if places else ""
            msg = f"no <id>_seg beside <id>{where}, nor <id>_segTRI_ana beside <id>_ana_strip"
            raise Mismatch(msg)
        if any(len({path.parent for path in paths}) > 1 for found in sets for paths in found.images.values()):
            msg = "scans of equal names in different folders"
            raise Mismatch(msg)
        if any(found.others & found.images.keys() - found.labels.keys() for found in sets if found.subset == "training"):
            msg = "scans whose label maps are called otherwise"
            raise Mismatch(msg)
        refuse_broken_links([*root.iterdir(), *(path for place in places for path in place.iterdir())])
        for found in sets:
            refuse_several(found.images, root=found.place)
            refuse_several(found.labels, root=found.place)
        _refuse_unpaired(sets, root)
        cases = [case for found in sets for case in _cases(found)]
        known = all(case.id.startswith("IBSR") for case in cases) or any(found.published for found in sets)
        return Dataset(
            name=dataset_name(root, {}),
            root=root,
            layout="ibsr18",
            channels=("T1",) if known else ("image",),
            classes=TISSUES if known else None,
            cases=in_natural_order(cases),
        )


def _find(place: Path, subset: Subset) -> _Set:
    """Sort the files of a set, which lie in it or in one folder per case."""
    folders = [place, *sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))]
    files = [(stem, path) for folder in folders for stem, path in images_in(folder)]
    found = _Set(place, subset, frozenset(_published(stem for stem, _ in files)))
    for stem, path in files:
        if (name := _stripped(stem, _PUBLISHED_LABEL)) or (name := _stripped(stem, LABEL_ENDING)):
            found.labels.setdefault(name, []).append(path)
        elif name := _stripped(stem, _PUBLISHED_IMAGE):
            found.images.setdefault(name, []).append(path)
        elif _is_other(stem, found.published):
            continue
        elif is_label_stem(stem):
            found.others.add(without_label_ending(stem))
        else:
            found.images.setdefault(stem, []).append(path)
    return found


def _published(stems: Iterable[str]) -> Iterator[str]:
    """Ids of the files that have their published names."""
    for stem in stems:
        if name := _stripped(stem, _PUBLISHED_IMAGE) or _stripped(stem, _PUBLISHED_LABEL):
            yield name


def _is_other(stem: str, published: Collection[str]) -> bool:
    return any(_stripped(stem, end) in published for end in _PUBLISHED_OTHERS)


def _stripped(stem: str, end: str) -> str:
    """What stands before an end; empty where the stem ends in another way."""
    return stem.removesuffix(end) if stem.endswith(end) else ""


def _refuse_unpaired(sets: Iterable[_Set], root: Path) -> None:
    """Refuse training images without label, and labels without image in any set, all at once."""
    images: set[str] = set()
    labels: set[str] = set()
    for found in sets:
        where = "" if found.place == root else f"{found.place.name}/"
        wanting = found.images.keys() if found.subset == "training" else found.images.keys() & found.labels.keys()
        images |= {f"{where}{name}" for name in wanting}
        labels |= {f"{where}{name}" for name in found.labels}
    refuse_unpaired(images=images, labels=labels, root=root)


def _cases(found: _Set) -> Iterator[Case]:
    """The cases of a set; a folder in it that holds several of them, but not all, is one subject's."""
    held = Counter(images[0].parent for images in found.images.values())
    for name, images in found.images.items():
        label = found.labels[name][0] if name in found.labels else None
        folder = images[0].parent
        subject = normalised(folder.name) if folder != found.place and 1 < held[folder] < len(found.images) else name
        # Scans that a validation set has no labels for can only be predicted.
        subset: Subset = "test" if label is None else found.subset
        yield Case(id=name, images=(images[0],), label=label, subject=subject, subset=subset)
