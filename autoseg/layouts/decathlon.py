"""The layout of the Medical Segmentation Decathlon.

Source: http://medicaldecathlon.com (Antonelli et al. 2022): `imagesTr`, `labelsTr`, `imagesTs` and a `dataset.json` with
`modality` and `labels`; several modalities lie in one 4D file.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autoseg.data.dataset import Dataset
from autoseg.data.naming import dataset_name, named_file
from autoseg.errors import DatasetError
from autoseg.layouts.common import Choice, Mismatch, training_and_test, unique_images
from autoseg.layouts.description import make_labels, read_description


class Decathlon:
    """`imagesTr/<id>.nii.gz` beside `labelsTr/<id>.nii.gz`; the folders may hold more than the JSON lists, but not less."""

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        """Read a folder."""
        choice.refuse()
        description = read_description(root, channel_keys=("modality",))
        for folder in ("imagesTr", "labelsTr"):
            if not (root / folder).is_dir():
                msg = f"no folder {folder}"
                raise Mismatch(msg)
        _refuse_missing(description.entries, description.path)
        labels = make_labels(description.labels().items(), path=description.path)
        return Dataset(
            name=dataset_name(root, description.entries),
            root=root,
            layout="decathlon",
            channels=description.channels(),
            classes=labels.classes,
            ignore=labels.ignore,
            cases=training_and_test(root, read_images=_images_in),
        )


def _images_in(folder: Path) -> dict[str, tuple[Path, ...]]:
    return {name: (path,) for name, path in unique_images(folder).items()}


def _refuse_missing(document: Mapping[str, Any], path: Path) -> None:
    """Refuse a description that lists files which are not there: a download or copy may have stopped half-way."""
    listed = [named_file(path.parent / name) for name in _listed(document, path)]
    missing = [str(file) for file in listed if not file.exists() and not file.is_symlink()]
    if missing:
        raise DatasetError(
            "lists files that are not there",
            where=path,
            found=", ".join(missing),
            remedy="Restore them, or remove their entries from the file.",
        )


def _listed(document: Mapping[str, Any], path: Path) -> Iterator[str]:
    """The files that the lists `training` and `test` name; an entry is a path, or an object with `image` and `label`."""
    for key in ("training", "test"):
        entries = document.get(key, [])
        for entry in entries if isinstance(entries, list) else [entries]:
            files = [entry[part] for part in ("image", "label") if part in entry] if isinstance(entry, dict) else [entry]
            if not isinstance(entries, list) or not all(isinstance(file, str) for file in files):
                raise DatasetError(
                    f"`{key}` is not a list of files",
                    where=path,
                    expected='entries such as {"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}',
                    found=repr(entry),
                    remedy="Fix or remove this entry.",
                )
            yield from files
