"""nnU-Net's raw layout.

Source: nnU-Net v2's documentation of its data set format: `imagesTr/<id>_0000.nii.gz` with one file per channel,
`labelsTr/<id>.nii.gz`, `dataset.json` with `channel_names` and `labels`; version 1 had `modality` instead. A label with a
list of values is a region, and the label `ignore` stands for voxels that nobody labelled. An entry
`dataset` may name the files of the training cases, wherever they are, relative to `dataset.json`:
`{"<id>": {"images": [<path>, ...], "label": <path>}}`, one image for each channel.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from autoseg.data.dataset import Dataset
from autoseg.data.naming import case_and_channel, dataset_name
from autoseg.errors import DatasetError
from autoseg.formats import named_format
from autoseg.images.colours import COLOURS
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
from autoseg.layouts.listed import listed_cases


class NnunetRaw(Layout):
    """One file per channel, numbered in its name."""

    description = "read"

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        """Read a folder."""
        choice.refuse()
        description = read_description(root, channel_keys=("channel_names", "modality"))
        version_1 = description.channel_key == "modality"
        ending = _file_ending(description.entries, description.path)
        listed = "dataset" in description.entries
        found = unique_images(root / "imagesTr", ending=ending)
        if not listed and not any(case_and_channel(stem) for stem in found):
            msg = f"imagesTr does not hold files called <id>_0000{ending}, <id>_0001{ending}, ..."
            raise Mismatch(msg)
        if version_1 and not listed and found.keys() & unique_images(root / "labelsTr", ending=ending).keys():
            msg = "imagesTr and labelsTr hold files of equal names, so that four digits at their ends are no channel"
            raise Mismatch(msg)
        channels = description.channels()
        read_images = partial(_by_case, channels=len(channels), ending=ending)
        named = description.labels()
        swapped = version_1 and all(str(name).isdecimal() for name in named)  # from value to name
        pairs = named.items() if swapped else [(value, name) for name, value in named.items()]
        labels = make_labels(pairs, path=description.path, order=description.entries.get("regions_class_order"))
        return Dataset(
            name=dataset_name(root, description.entries),
            root=root,
            layout="nnunet_raw",
            channels=channels,
            classes=labels.classes,
            ignore=labels.ignore,
            cases=in_natural_order(
                [*listed_cases(description), *given_test_cases(root, read_images=read_images, ending=ending)]
            )
            if listed
            else training_and_test(root, read_images=read_images, ending=ending),
        )


def _file_ending(document: Mapping[str, Any], path: Path) -> str:
    """The ending of all files of the data set; empty where the description gives none."""
    ending = document.get("file_ending", "")
    if not isinstance(ending, str):
        raise DatasetError(
            "`file_ending` is not text",
            where=path,
            expected="such as .nii.gz",
            found=repr(ending),
            remedy="Fix this entry.",
        )
    return ending


def _by_case(folder: Path, *, channels: int, ending: str) -> dict[str, tuple[Path, ...]]:
    """The files of a folder by case, in the order of channels; every case must have exactly the channels declared.

    A picture, whose red, green and blue lie in one file, has the number of the first channel alone.
    """
    numbered: dict[str, dict[int, Path]] = defaultdict(dict)
    for stem, path in unique_images(folder, ending=ending).items():
        found = case_and_channel(stem)
        if found is None:
            raise DatasetError(
                "a file without a channel number", where=path, expected="<id>_0000", remedy="Rename or remove it."
            )
        case, channel = found
        numbered[case][channel] = path
    wrong = [
        f"{case}: {', '.join(f'{number:04d}' for number in sorted(files))}"
        for case, files in sorted(numbered.items())
        if sorted(files) != list(range(channels)) and not _in_one_picture(files, channels=channels)
    ]
    if wrong:
        raise DatasetError(
            "cases have not the channels that dataset.json declares",
            where=folder,
            expected=", ".join(f"{number:04d}" for number in range(channels)),
            found="; ".join(wrong),
            remedy="Add the missing files, or correct `channel_names`.",
        )
    return {case: tuple(files[number] for number in sorted(files)) for case, files in sorted(numbered.items())}


def _in_one_picture(files: Mapping[int, Path], *, channels: int) -> bool:
    """Whether all channels of a case may be the colours, with their transparency, of one picture."""
    if list(files) != [0] or channels not in {COLOURS, COLOURS + 1}:
        return False
    promised = named_format(files[0])
    return promised is not None and promised.describe is not None
