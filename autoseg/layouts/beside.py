"""Folders as they are: scans with their label maps beside them, however deep, often in a folder for each patient.

A label map is known by the end of its name (`_seg`, `-label`, `_mask`, `.seg` ...). It belongs to the scan of its folder
that has the rest of its name, or to the only one there. Where none has, and every folder holds the same images (`x_t1`,
`x_flair`, `x_seg`, as in BraTS; or `T1`, `FLAIR`, `mask`), these are the channels of one scan. Scans of equal names are
called after their folders.
"""

import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.data.dataset import Dataset, Subset
from autoseg.data.folders import files_below, role_of
from autoseg.data.ids import Place
from autoseg.data.naming import channel_of, dataset_name, is_label_stem, without_label_ending
from autoseg.layouts.common import Choice, Layout, Mismatch, refuse_several, refuse_unpaired, several_label_maps
from autoseg.layouts.located import Located, images_among, located_cases

_Key = tuple[Path, str]
"""The folder of a scan, and what its files' names have in common."""

_IMAGE: Final = "image"
_LAST: Final = chr(sys.maxunicode)
"""Comes after all that names hold, in the order of texts."""


@dataclass(frozen=True)
class _Found:
    """What was found.

    Attributes:
        images: the images of each scan by channel.
        labels: the label maps of each scan that has any.
        lost: label maps without a scan.
    """

    images: Mapping[_Key, Mapping[str, Sequence[Path]]]
    labels: Mapping[_Key, Sequence[Path]]
    lost: Sequence[Path]


class Beside(Layout):
    """A scan and its label map in one folder, told apart by the ends of their names."""

    subjects = "folder"

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        """Read a folder."""
        files = {path: stem for stem, path in images_among(files_below(root, visited=set(), skipped=[]))}
        labels = _label_maps(files, root, choice)
        scans = {path: stem for path, stem in files.items() if path not in labels and not is_label_stem(stem)}
        channels = choice.channels or (_IMAGE,)
        found = _find(scans, labels, choice.channels)
        if found.lost and not choice.channels and (shared := _shared_channels(scans, labels)):
            channels, found = shared, _find(scans, labels, shared)
        if not found.labels:
            msg = "no label map such as <id>_seg, <id>_mask or <id>-label beside its scan"
            raise Mismatch(msg)
        _refuse_unclear(found, root=root)
        return Dataset(
            name=dataset_name(root, {}),
            root=root,
            layout="beside",
            channels=channels,
            classes=None,
            cases=located_cases([_located(key, found, root=root) for key in found.images], channels, root=root),
        )


def _label_maps(files: Mapping[Path, str], root: Path, choice: Choice) -> dict[Path, str]:
    """The label maps by what their names say beside it: as they are chosen, else by their names."""
    chosen = None if choice.labels is None else set(choice.label_maps(root))
    wanted = (path for path, stem in files.items() if (is_label_stem(stem) if chosen is None else path in chosen))
    return {path: without_label_ending(files[path]) for path in wanted}


def _find(scans: Mapping[Path, str], labels: Mapping[Path, str], channels: Sequence[str]) -> _Found:
    """Put together what belongs together.

    Args:
        scans: stems of the images.
        labels: what the names of the label maps say.
        channels: ends of the names of the images of one scan; none: every image is a scan.
    """
    images: dict[_Key, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    folders: dict[Path, set[str]] = defaultdict(set)
    holders = {path.parent for path in labels}  # a folder of slices may hold its own label map
    for path, stem in scans.items():
        named = channel_of(stem, channels) if channels else (stem, _IMAGE)
        if named is not None:
            folder = path if path in holders else path.parent
            images[folder, named[0]][named[1]].append(path)
            folders[folder].add(named[0])
    owned: dict[_Key, list[Path]] = defaultdict(list)
    lost = []
    for path, base in labels.items():
        there = folders[path.parent]
        owner = base if base in there else next(iter(there)) if len(there) == 1 else None
        if owner is None:
            lost.append(path)
        else:
            owned[path.parent, owner].append(path)
    return _Found(images, owned, lost)


def _shared_channels(scans: Mapping[Path, str], labels: Mapping[Path, str]) -> tuple[str, ...]:
    """What follows a label map's own name in those of the images beside it, the same for all label maps."""
    stems: dict[Path, list[str]] = defaultdict(list)
    for stem, path in sorted((stem, path) for path, stem in scans.items()):
        stems[path.parent].append(stem)
    shared: set[str] | None = None
    for path, base in labels.items():
        beside = stems[path.parent]
        ends = {stem[len(base) :] for stem in beside[bisect_left(beside, base) : bisect_left(beside, base + _LAST)]}
        names = {end.lstrip("_.-") for end in ends if not base or end[:1] in {"_", ".", "-"}}
        shared = names if shared is None else shared & names
    return tuple(sorted(shared or ()))


def _refuse_unclear(found: _Found, *, root: Path) -> None:
    refuse_several(
        {_shown(key, root): paths for key, images in found.images.items() for paths in images.values()},
        root=root,
    )
    training = {key for key in found.images if _subset(key[0], root)[0] == "training"}
    owned = {_shown(key, root) for key in found.labels}
    refuse_unpaired(
        images={_shown(key, root) for key in training} | owned,
        labels=owned | {path.relative_to(root).as_posix() for path in found.lost},
        root=root,
    )
    if several := {_shown(key, root): paths for key, paths in found.labels.items() if len(paths) > 1}:
        raise several_label_maps(several, root=root)


def _located(key: _Key, found: _Found, *, root: Path) -> Located:
    folder, base = key
    subset, part = _subset(folder, root)
    return Located(
        place=Place.below(root, folder, base),
        part=1 + part,
        images={channel: paths[0] for channel, paths in found.images[key].items()},
        label=found.labels[key][0] if key in found.labels else None,
        subset=subset,
    )


def _subset(folder: Path, root: Path) -> tuple[Subset, int]:
    """The part of the data set that the first folder on the way is, and how many folders say so."""
    first = folder.relative_to(root).parts[:1]
    role = role_of("".join(first))
    return (role.subset, 1) if role.subset is not None and role.kind is None else ("training", 0)


def _shown(key: _Key, root: Path) -> str:
    return (key[0].relative_to(root) / key[1]).as_posix()
