"""The layout of the Medical Segmentation Decathlon, and of what MONAI reads like it.

Source: http://medicaldecathlon.com (Antonelli et al. 2022): `imagesTr`, `labelsTr`, `imagesTs` and a `dataset.json` with
`modality` and `labels`; several modalities lie in one 4D file. Its list `training` says which scans and label maps are
cases, as MONAI's `load_decathlon_datalist` takes it; so does `validation`, which MONAI adds.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autoseg.data.dataset import Case, Dataset, Subset
from autoseg.data.naming import dataset_name, named_file, stem_of_any
from autoseg.errors import DatasetError
from autoseg.layouts.common import (
    Choice,
    Layout,
    Mismatch,
    given_test_cases,
    in_natural_order,
    training_and_test,
    unique_images,
)
from autoseg.layouts.description import make_labels, read_description

_CASES: Final[tuple[Subset, ...]] = ("training", "validation")
"""Lists whose entries are cases; those of `test` only say what should be in `imagesTs`."""
_EXPECTED: Final = 'entries such as {"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}'


@dataclass(frozen=True)
class _Entry:
    """The files that an entry of a list names; None: it names no such file."""

    image: Path | None
    label: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(file for file in (self.image, self.label) if file is not None)


class Decathlon(Layout):
    """What the JSON lists, or where it lists no label maps, `imagesTr/<id>.nii.gz` beside `labelsTr/<id>.nii.gz`."""

    description = "read"

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        """Read a folder."""
        choice.refuse()
        description = read_description(root, channel_keys=("modality",))
        for folder in ("imagesTr", "labelsTr"):
            if not (root / folder).is_dir():
                msg = f"no folder {folder}"
                raise Mismatch(msg)
        lists = {key: list(dict.fromkeys(_entries(description.entries, key, description.path))) for key in (*_CASES, "test")}
        _refuse_missing(lists, description.path)
        labels = make_labels(description.labels().items(), path=description.path)
        return Dataset(
            name=dataset_name(root, description.entries),
            root=root,
            layout="decathlon",
            channels=description.channels(),
            classes=labels.classes,
            ignore=labels.ignore,
            cases=_listed_cases(lists, description.path)
            if _lists_cases(lists, description.path)
            else training_and_test(root, read_images=_images_in),
        )


def _images_in(folder: Path) -> dict[str, tuple[Path, ...]]:
    return {name: (path,) for name, path in unique_images(folder).items()}


def _entries(document: Mapping[str, Any], key: str, path: Path) -> Iterator[_Entry]:
    """The entries of a list, each a path or an object with `image` and `label`."""
    entries = document.get(key, [])
    for entry in entries if isinstance(entries, list) else [entries]:
        named = entry if isinstance(entry, dict) else {"image": entry}
        files = {part: named[part] for part in ("image", "label") if part in named}
        if not isinstance(entries, list) or not all(isinstance(file, str) for file in files.values()):
            raise DatasetError(
                f"`{key}` is not a list of files",
                where=path,
                expected=_EXPECTED,
                found=repr(entry),
                remedy="Fix or remove this entry.",
            )
        found = {part: named_file(path.parent / file) for part, file in files.items()}
        yield _Entry(found.get("image"), found.get("label"))


def _refuse_missing(lists: Mapping[Subset, Sequence[_Entry]], path: Path) -> None:
    """Refuse a description that lists files which are not there: a download or copy may have stopped half-way."""
    listed = (file for entries in lists.values() for entry in entries for file in entry.files)
    missing = [str(file) for file in listed if not file.exists() and not file.is_symlink()]
    if missing:
        raise DatasetError(
            "lists files that are not there",
            where=path,
            found=", ".join(missing),
            remedy="Restore them, or remove their entries from the file.",
        )


def _lists_cases(lists: Mapping[Subset, Sequence[_Entry]], path: Path) -> bool:
    """Whether every entry of `training`, and there are any, names a scan with its label map."""
    if lists["training"] and all(entry.image and entry.label for entry in lists["training"]):
        return True
    if lists["validation"]:
        raise DatasetError(
            "`validation` lists cases, but `training` does not",
            where=path,
            expected=_EXPECTED,
            remedy="List every training scan with its label map, too, or remove `validation`.",
        )
    return False


def _listed_cases(lists: Mapping[Subset, Sequence[_Entry]], path: Path) -> tuple[Case, ...]:
    """The cases of `training` and `validation`, and those of `imagesTs` that are none of them."""
    listed = [(subset, entry) for subset in _CASES for entry in lists[subset]]
    counts = Counter(file for _, entry in listed for file in entry.files)
    if repeated := [str(file) for file, count in counts.items() if count > 1]:
        raise DatasetError(
            "`training` and `validation` list files more than once",
            where=path,
            expected="one entry for each scan and its label map",
            found=", ".join(repeated),
            remedy="Keep one entry for each.",
        )
    cases = [_case(entry.image, entry.label, subset) for subset, entry in listed if entry.image is not None]
    given = given_test_cases(path.parent, read_images=_images_in)
    return in_natural_order([*cases, *(case for case in given if not counts[case.images[0]])])


def _case(image: Path, label: Path | None, subset: Subset) -> Case:
    # Scans that are listed for validation without a label map can only be predicted.
    name = stem_of_any(image)
    return Case(id=name, images=(image,), label=label, subject=name, subset="test" if label is None else subset)
