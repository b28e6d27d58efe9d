"""A folder of scans beside a folder of label maps: `images/` and `labels/`, or what people call these.

`images`, `imagesTr`, `train_images`, `img`, `scans` ... beside `labels`, `labelsTr`, `masks`, `segmentations` ...; for
parts of the data set in folders of their own, `train/images` or `images/train`. A scan and its label map have the same name,
below the same folders; the label map's may end in `_seg`, `_mask` or the like, and both may say what they are (`img0001`
and `label0001`). Channels are numbered as nnU-Net numbers them, or chosen by the ends of their names.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from autoseg.data.dataset import Dataset, Subset
from autoseg.data.folders import KIND_WORDS, SUBSETS, Kind, Role, files_below, is_hidden, role_of
from autoseg.data.ids import Place
from autoseg.data.naming import case_and_channel, channel_of, dataset_name, without_label_ending
from autoseg.layouts.common import Choice, Layout, Mismatch, refuse_several, refuse_unpaired, several_label_maps
from autoseg.layouts.located import Located, images_among, located_cases

_Key = tuple[tuple[str, ...], str]
"""Folders below that of the kind, and a name."""

_IMAGE: Final = "image"
_KIND: Final = re.compile(rf"^(?:{KIND_WORDS})[_.-]?(?=.)|(?<=.)[_.-](?:{KIND_WORDS})$", re.IGNORECASE)
_RULES: Final[tuple[Callable[[str], str], ...]] = (str, without_label_ending, lambda stem: _KIND.sub("", stem))
"""What a label map's name has in common with its scan's, tried in turn; the last one is applied to both."""


@dataclass(frozen=True)
class _Part:
    """A folder that holds files of one kind."""

    folder: Path
    kind: Kind
    subset: Subset


@dataclass(frozen=True)
class _File:
    """An image with its names below the folder of its kind."""

    part: _Part
    folders: tuple[str, ...]
    stem: str
    path: Path


@dataclass(frozen=True)
class _Reading:
    """How names are read.

    Attributes:
        channel: what an image's name says: its scan and its channel; None: it is none of a scan's.
        common: what of a scan's name its label map's has in common.
        label: what of a label map's name that is.
    """

    channel: Callable[[str], tuple[str, str] | None]
    common: Callable[[str], str]
    label: Callable[[str], str]

    def matches(self, images: Iterable[_File], labels: Iterable[_File]) -> int:
        """How many label maps find their scan."""
        there = {self.key(file) for file in images}
        return sum(self.label_key(file) in there for file in labels)

    def key(self, file: _File) -> _Key | None:
        """What the images of a scan have in common."""
        named = self.channel(file.stem)
        return None if named is None else (file.folders, self.common(named[0]))

    def label_key(self, file: _File) -> _Key:
        """The same of a label map."""
        return file.folders, self.label(file.stem)


class FolderPair(Layout):
    """Scans and label maps apart, with names in common."""

    subjects = "folder"

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        """Read a folder."""
        chosen = None if choice.labels is None else set(choice.label_maps(root))
        parts = list(_parts(root, chosen or ()))
        if not all(any(part.kind == kind and part.subset == "training" for part in parts) for kind in ("images", "labels")):
            msg = "no folder images beside a folder labels or masks"
            raise Mismatch(msg)
        files = [file for part in parts for file in _files(part)]
        images = [file for file in files if file.part.kind == "images"]
        labels = [file for file in files if file.part.kind == "labels"]
        if chosen is not None:
            labels = [file for file in labels if file.path in chosen]
        if not labels:
            msg = f"no label map in {', '.join(part.folder.name for part in parts if part.kind == 'labels')}"
            raise Mismatch(msg)
        reading = max(_readings(images, choice.channels), key=lambda reading: reading.matches(images, labels))
        found = [scan for subset in SUBSETS for scan in _scans(subset, images, labels, reading, root=root)]
        present = {channel for scan in found for channel in scan.images}
        channels = choice.channels or tuple(sorted(present, key=lambda channel: (len(channel), channel)))  # 2 before 10
        return Dataset(
            name=dataset_name(root, {}),
            root=root,
            layout="folder_pair",
            channels=channels,
            classes=None,
            cases=located_cases(found, channels, root=root),
        )


def _parts(root: Path, chosen: Iterable[Path]) -> Iterator[_Part]:
    """The folders of scans and of label maps, with the part of the data set that they, or the folders they are in, say.

    Args:
        root: the data set.
        chosen: label maps; folders in the data set that hold such and say nothing are of label maps, too.
    """
    for folder in sorted({root / path.relative_to(root).parts[0] for path in chosen if path.is_relative_to(root)}):
        if folder.is_dir() and role_of(folder.name) == Role():
            yield _Part(folder, "labels", "training")
    for folder, role in _roles(root):
        inner = _roles(folder)
        subset = role.subset or "training"
        if role.kind is None:
            yield from (_Part(below, other.kind, subset) for below, other in inner if other.kind is not None)
        elif parts := [(below, other.subset) for below, other in inner if other.kind is None and other.subset is not None]:
            yield from (_Part(below, role.kind, part) for below, part in parts)
        else:
            yield _Part(folder, role.kind, subset)


def _roles(folder: Path) -> list[tuple[Path, Role]]:
    """The folders in a folder whose names say what they hold."""
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))
    return [(path, role) for path in below if (role := role_of(path.name)) != Role()]


def _files(part: _Part) -> Iterator[_File]:
    for stem, path in images_among(files_below(part.folder, visited=set(), skipped=[])):
        yield _File(part, path.parent.relative_to(part.folder).parts, stem, path)


def _readings(images: Sequence[_File], channels: Sequence[str]) -> Iterator[_Reading]:
    """Ways to read the names, the plainest first."""
    ways: list[Callable[[str], tuple[str, str] | None]] = [lambda stem: (stem, _IMAGE)]
    if channels:
        ways = [partial(channel_of, channels=channels)]
    elif all(case_and_channel(file.stem) for file in images):
        ways.append(_numbered)
    for way in ways:
        for rule in _RULES:
            yield _Reading(way, rule if rule is _RULES[-1] else str, rule)


def _numbered(stem: str) -> tuple[str, str] | None:
    found = case_and_channel(stem)
    return None if found is None else (found[0], f"channel {found[1]}")


def _scans(
    subset: Subset, images: Sequence[_File], labels: Sequence[_File], reading: _Reading, *, root: Path
) -> list[Located]:
    """The scans of one part of the data set, each with its label map; in the training set all must have one."""
    by_scan: dict[_Key, dict[str, list[_File]]] = defaultdict(lambda: defaultdict(list))
    for file in images:
        key, named = reading.key(file), reading.channel(file.stem)
        if file.part.subset == subset and key is not None and named is not None:
            by_scan[key][named[1]].append(file)
    by_label: dict[_Key, list[Path]] = defaultdict(list)
    for file in labels:
        if file.part.subset == subset:
            by_label[reading.label_key(file)].append(file.path)
    refuse_several(
        {_shown(key): [file.path for file in files] for key, scan in by_scan.items() for files in scan.values()}, root=root
    )
    wanting = by_scan.keys() if subset == "training" else by_scan.keys() & by_label.keys()
    refuse_unpaired(images=map(_shown, wanting), labels=map(_shown, by_label), root=root)
    if several := {_shown(key): paths for key, paths in by_label.items() if len(paths) > 1}:
        raise several_label_maps(several, root=root)
    return [_located(scan, by_label.get(key), reading, root=root) for key, scan in by_scan.items()]


def _located(
    scan: Mapping[str, Sequence[_File]], labels: Sequence[Path] | None, reading: _Reading, *, root: Path
) -> Located:
    first = next(iter(scan.values()))[0]
    named = reading.channel(first.stem)
    return Located(
        place=Place.below(root, first.path.parent, first.stem if named is None else named[0]),
        part=1 + len(first.part.folder.relative_to(root).parts),
        images={channel: files[0].path for channel, files in scan.items()},
        label=None if labels is None else labels[0],
        subset=first.part.subset,
    )


def _shown(key: _Key) -> str:
    return "/".join((*key[0], key[1]))
