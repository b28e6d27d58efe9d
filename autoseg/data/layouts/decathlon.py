"""The layout of the Medical Segmentation Decathlon.

Source: http://medicaldecathlon.com (Antonelli et al. 2022): `imagesTr`, `labelsTr`, `imagesTs` and a `dataset.json` with
`modality` and `labels`; several modalities lie in one 4D file.
"""

from pathlib import Path

from autoseg.data.dataset import Case, Dataset
from autoseg.data.layouts.common import (
    Mismatch,
    make_classes,
    read_channels,
    read_description,
    read_labels,
    refuse_unpaired,
    unique_images,
)
from autoseg.data.layouts.naming import dataset_name


class Decathlon:
    """`imagesTr/<id>.nii.gz` beside `labelsTr/<id>.nii.gz`. What lies in the folders counts, not the lists of the JSON."""

    def read(self, root: Path) -> Dataset:
        """Understand a folder."""
        path = root / "dataset.json"
        document = read_description(path)
        if "modality" not in document:
            msg = "dataset.json has no `modality`"
            raise Mismatch(msg)
        for folder in ("imagesTr", "labelsTr"):
            if not (root / folder).is_dir():
                msg = f"no folder {folder}"
                raise Mismatch(msg)
        images, references = unique_images(root / "imagesTr"), unique_images(root / "labelsTr")
        refuse_unpaired(images=images, labels=references, root=root)
        training = [Case(id=name, images=(images[name],), label=references[name], subject=name) for name in images]
        tests, test_labels = unique_images(root / "imagesTs"), unique_images(root / "labelsTs")
        test = [
            Case(id=name, images=(image,), label=test_labels.get(name), subject=name, subset="test")
            for name, image in tests.items()
        ]
        return Dataset(
            name=dataset_name(root, document),
            root=root,
            layout="decathlon",
            channels=read_channels(document, "modality", path=path),
            classes=make_classes(read_labels(document, path=path).items(), path=path),
            cases=tuple(sorted([*training, *test], key=lambda case: case.id)),
        )
