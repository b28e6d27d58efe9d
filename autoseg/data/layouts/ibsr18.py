"""IBSR18, as it is taught and as it was published, and folders arranged like it.

Taught: `Training_Set|Validation_Set|Test_Set/<id>/<id>.nii.gz` beside `<id>_seg.nii.gz`; also without the set folders,
and without a folder per case. Published: `<id>_ana_strip` beside `<id>_segTRI_ana`, among other files of each case.

Source: http://www.cma.mgh.harvard.edu/ibsr/.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.data.dataset import Case, Dataset, LabelClass, Subset
from autoseg.data.layouts.common import Mismatch, refuse_unpaired, unique_images
from autoseg.data.layouts.naming import dataset_name
from autoseg.errors import DatasetError

SET_FOLDERS: Final[dict[str, Subset]] = {
    "Training_Set": "training",
    "Validation_Set": "validation",
    "Test_Set": "test",
}
TISSUES: Final = tuple(LabelClass(value=value, name=name) for value, name in enumerate(("background", "CSF", "GM", "WM")))
_LABEL: Final = "_seg"
_PUBLISHED_IMAGE, _PUBLISHED_LABEL = "_ana_strip", "_segTRI_ana"


@dataclass
class _Found:
    """The files of one set: images and labels by case id, and whether they have their published names."""

    images: dict[str, Path]
    labels: dict[str, Path]
    published: bool


class Ibsr18:
    """An image and, where there is one, its label map beside it, told apart by the ends of their names."""

    def read(self, root: Path) -> Dataset:
        """Understand a folder."""
        places = {root / name: subset for name, subset in SET_FOLDERS.items() if (root / name).is_dir()}
        sets = [(subset, _find(place)) for place, subset in (places or {root: "training"}).items()]
        if not any(found.labels for _, found in sets):
            expected = "<id>_seg beside <id>" if not places else f"<id>_seg beside <id> in {', '.join(SET_FOLDERS)}"
            msg = f"no {expected}, nor <id>_segTRI_ana beside <id>_ana_strip"
            raise Mismatch(msg)
        cases: list[Case] = []
        for subset, found in sets:
            if subset == "training":
                refuse_unpaired(images=found.images, labels=found.labels, root=root)
            else:
                refuse_unpaired(images=set(found.images) & set(found.labels), labels=found.labels, root=root)
            cases += _cases(found, subset)
        known = all(case.id.upper().startswith("IBSR") for case in cases) or any(found.published for _, found in sets)
        return Dataset(
            name=dataset_name(root, {}),
            root=root,
            layout="ibsr18",
            channels=("T1",) if known else ("image",),
            classes=TISSUES if known else None,
            cases=tuple(sorted(cases, key=lambda case: case.id)),
        )


def _cases(found: _Found, subset: Subset) -> Iterator[Case]:
    for name, image in found.images.items():
        label = found.labels.get(name)
        # Scans that a validation set has no labels for can only be predicted.
        yield Case(id=name, images=(image,), label=label, subject=name, subset="test" if label is None else subset)


def _find(place: Path) -> _Found:
    """Sort the files of a set, which lie in it or in one folder per case."""
    folders = [place, *sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))]
    files: dict[str, list[Path]] = {}
    for folder in folders:
        for stem, path in unique_images(folder).items():
            files.setdefault(stem, []).append(path)
    published = any(stem.endswith(_PUBLISHED_LABEL) for stem in files)
    image_end, label_end = (_PUBLISHED_IMAGE, _PUBLISHED_LABEL) if published else ("", _LABEL)
    single = {stem: _only(stem, paths) for stem, paths in files.items()}
    labels = {stem.removesuffix(label_end): path for stem, path in single.items() if stem.endswith(label_end)}
    images = {
        stem.removesuffix(image_end): path
        for stem, path in single.items()
        if stem.endswith(image_end) and not stem.endswith(label_end)
    }
    return _Found(images, labels, published)


def _only(stem: str, paths: list[Path]) -> Path:
    if len(paths) > 1:
        raise DatasetError(
            f"two files stand for {stem}",
            where=paths[0].parent,
            found=", ".join(str(path) for path in paths),
            remedy="Rename or remove one of them.",
        )
    return paths[0]
