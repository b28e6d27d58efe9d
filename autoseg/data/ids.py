"""Ids of scans by where they lie: the name of a file, or the folders that tell files of the same name apart."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.data.naming import normalised


@dataclass(frozen=True)
class Place:
    """Where a scan lies.

    Attributes:
        folders: names of the folders on the way down to it, that of the folder which was searched first.
        stem: its name without suffix, and without what belongs to a channel or a label map.
    """

    folders: tuple[str, ...]
    stem: str

    @classmethod
    def below(cls, root: Path, folder: Path, stem: str) -> "Place":
        """Where a file lies in a folder that is `root` or below it."""
        return cls((root.resolve().name, *folder.relative_to(root).parts), stem)


def identify(places: Sequence[Place]) -> list[str]:
    """Name scans.

    A name that is there once is the id. Where it repeats, the names of the folders that differ are, joined by `_`:
    `p1/day1/T1` and `p2/day1/T1` are p1 and p2. Where that is not enough, the file's own name comes last: `p1_T1` and
    `p1_T2`. A file without a name of its own, such as `p1/mask`, is called after its folder. Scans which still share an id
    afterwards cannot be told apart by where they lie.

    Args:
        places: of all scans that are to be told apart.

    Returns:
        an id for each place, in the same order.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, place in enumerate(places):
        groups[place.stem].append(index)
    ways: list[tuple[str, ...]] = [()] * len(places)
    for members in groups.values():
        if len(members) > 1:
            for index, way in zip(members, _differing([places[index].folders for index in members]), strict=True):
                ways[index] = tuple(normalised(name) for name in way)
    ids = [
        "_".join(way) or place.stem or normalised("".join(place.folders[-1:]))
        for way, place in zip(ways, places, strict=True)
    ]
    counts = Counter(ids)
    for stem, members in groups.items():
        if any(counts[ids[index]] > 1 for index in members):
            for index in members:
                ids[index] = "_".join((*ways[index], stem)) if stem else ids[index]
    return ids


def subjects(places: Sequence[Place], ids: Sequence[str]) -> list[str]:
    """Whose scans they are: a folder that holds several, whatever lies between, is taken for one subject's.

    Args:
        places: of all scans of a set.
        ids: of the scans, in the same order.

    Returns:
        the first folder on the way to each scan that is not on the way to all of them; the id where there is none.
    """
    shared = _common([place.folders for place in places])
    return [
        normalised(place.folders[shared]) if len(place.folders) > shared else name
        for place, name in zip(places, ids, strict=True)
    ]


def _differing(ways: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The folders of each way that are not the same on all of them; compared level by level where all are equally deep."""
    depths = {len(way) for way in ways}
    if len(depths) == 1:
        levels = [level for level in range(depths.pop()) if len({way[level] for way in ways}) > 1]
        return [tuple(way[level] for level in levels) for way in ways]
    first = _common(ways)
    last = min(_common([way[::-1] for way in ways]), min(depths) - first)
    return [way[first : len(way) - last] for way in ways]


def _common(ways: Sequence[tuple[str, ...]]) -> int:
    """How many folders at the beginning all ways share."""
    shared = 0
    for level in zip(*ways, strict=False):
        if len(set(level)) > 1:
            break
        shared += 1
    return shared
