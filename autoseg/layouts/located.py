"""Cases that are named by where they lie, for layouts of folders as they are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.data.dataset import Case, Subset
from autoseg.data.ids import Place, identify, subjects
from autoseg.data.naming import image_stem, is_label_stem, normalised, refuse_undecodable
from autoseg.formats.dicom_files import is_dicom
from autoseg.layouts.common import in_natural_order, refuse_lacking


@dataclass(frozen=True)
class Located:
    """A scan that was found.

    Attributes:
        place: where it lies below the data set.
        part: how many of the folders on the way down to it are the data set's, or those of a part of it or of a kind of
            file, and say nothing of whose scan it is.
        images: by channel.
        label: its label map; None: there is none.
        subset: the part of the data set.
    """

    place: Place
    part: int
    images: Mapping[str, Path]
    label: Path | None
    subset: Subset


def located_cases(found: Sequence[Located], channels: Sequence[str], *, root: Path) -> tuple[Case, ...]:
    """Cases with ids, and with subjects by the folders they are in; scans without label map can only be predicted.

    Args:
        found: the scans.
        channels: what each must have, in this order.
        root: the data set.

    Raises:
        DatasetError: scans lack channels.
    """
    ids = identify([scan.place for scan in found])
    refuse_lacking(
        sorted((name, tuple(scan.images)) for name, scan in zip(ids, found, strict=True)),
        channels,
        root=root,
        what="scans lack channels",
        remedy="Add the missing files, or choose others with --channel, by the ends of their names.",
    )
    owners: dict[int, str] = {}
    by_part: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, scan in enumerate(found):
        by_part[scan.place.folders[: scan.part]].append(index)
    for members in by_part.values():
        ways = [Place(found[index].place.folders[found[index].part :], found[index].place.stem) for index in members]
        owners |= zip(members, subjects(ways, [ids[index] for index in members]), strict=True)
    return in_natural_order(
        Case(
            id=name,
            images=tuple(scan.images[channel] for channel in channels),
            label=scan.label,
            subject=owners[index],
            subset="test" if scan.label is None else scan.subset,
        )
        for index, (name, scan) in enumerate(zip(ids, found, strict=True))
    )


def images_among(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Those of some files that are images, with their names without suffix.

    Where none but label maps are, folders of DICOM slices stand for images: beside files they are what these were made of.

    Raises:
        DatasetError: the name of one is not UTF-8.
    """
    others: dict[Path, list[Path]] = defaultdict(list)
    only_labels = True
    for path in paths:
        stem = image_stem(path)
        if stem is None:
            others[path.parent].append(path)
        else:
            only_labels = only_labels and is_label_stem(stem)
            refuse_undecodable(path.name, where=path)
            yield stem, path
    for folder, files in others.items():
        if only_labels and any(map(is_dicom, files)):
            refuse_undecodable(folder.name, where=folder)
            yield image_stem(folder) or normalised(folder.name), folder
