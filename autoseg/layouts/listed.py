"""Training cases that nnU-Net's `dataset.json` lists by their paths, in its entry `dataset`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoseg.data.dataset import Case
from autoseg.data.naming import named_file, normalised, refuse_unusable
from autoseg.errors import DatasetError
from autoseg.layouts.description import Description


def listed_cases(description: Description) -> tuple[Case, ...]:
    """The training cases of the entry `dataset`.

    Args:
        description: has this entry.

    Raises:
        DatasetError: it is no such list, a case has another number of images than there are channels, or files are missing;
            all of those are named.
    """
    entries = description.entries["dataset"]
    if not isinstance(entries, dict):
        raise _malformed(description.path, entries)
    channels = len(description.channels())
    cases = [_case(name, entry, description.path) for name, entry in entries.items()]
    wrong = [f"{case.id}: {len(case.images)}" for case in cases if len(case.images) != channels]
    if wrong:
        raise DatasetError(
            "`dataset` lists cases with another number of images than there are channels",
            where=description.path,
            expected=str(channels),
            found="; ".join(wrong),
            remedy=f"Correct these entries, or `{description.channel_key}`.",
        )
    missing = [
        f"{case.id}: {path}"
        for case in cases
        for path in (*case.images, case.label)
        if path is not None and not path.exists() and not path.is_symlink()
    ]
    if missing:
        raise DatasetError(
            "`dataset` lists files that are not there",
            where=description.path,
            found="; ".join(missing),
            remedy="Correct the paths, which are relative to this file, or restore the files.",
        )
    return tuple(cases)


def _case(name: str, entry: object, path: Path) -> Case:
    if not (isinstance(entry, dict) and _names_files(entry)):
        raise _malformed(path, {name: entry})
    problem = "`dataset` holds an id that does not do as a file's name"
    refuse_unusable(name, problem, where=path, remedy="Give the case another id.")
    folder, case = path.parent, normalised(name)
    images = tuple(named_file(folder / image) for image in entry["images"])
    return Case(id=case, images=images, label=named_file(folder / entry["label"]), subject=case)


def _names_files(entry: Mapping[str, Any]) -> bool:
    images = entry.get("images")
    return isinstance(images, list) and all(isinstance(name, str) and name for name in [*images, entry.get("label")])


def _malformed(path: Path, found: object) -> DatasetError:
    return DatasetError(
        "`dataset` does not list training cases with their files",
        where=path,
        expected='entries such as "a": {"images": ["scans/a.nii.gz"], "label": "labels/a.nii.gz"}',
        found=json.dumps(found),
        remedy="Fix or remove this entry.",
    )
