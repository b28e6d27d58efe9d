"""Names of the Brain Imaging Data Structure, and which files of a session make one scan.

`sub-<label>[_ses-<label>][_<key>-<label> ...]_<suffix>`. Source: https://bids-specification.readthedocs.io.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.data.naming import image_stem

_SUBJECT: Final = "sub-[A-Za-z0-9+]+"
_NAME: Final = re.compile(rf"(?P<entities>{_SUBJECT}(?:_[A-Za-z]+-[A-Za-z0-9+]+)*)_(?P<suffix>[A-Za-z0-9]+)")
_SESSION: Final = ("sub", "ses")


@dataclass(frozen=True)
class Name:
    """The name of an image.

    Attributes:
        entities: labels by key, in their order; `sub` first.
        suffix: what it shows, e.g. T1w.
    """

    entities: Mapping[str, str]
    suffix: str

    @property
    def session(self) -> str:
        """What the scans of one session have in common, `sub-01_ses-1`."""
        return _joined({key: self.entities[key] for key in _SESSION if key in self.entities})

    @property
    def rest(self) -> dict[str, str]:
        """The entities that tell images of one session apart."""
        return {key: label for key, label in self.entities.items() if key not in _SESSION}

    def shows(self, channel: str) -> bool:
        """Whether it is of a channel: a suffix, or the end of a name such as `acq-mprage_T1w`."""
        return f"_{_joined(self.entities)}_{self.suffix}".endswith(f"_{channel}")


@dataclass(frozen=True)
class BidsScan:
    """The images that make one scan.

    Attributes:
        id: subject and session, and what else tells it from the others of its session.
        name: the name of its first image.
        images: path by channel; a channel may be missing.
    """

    id: str
    name: Name
    images: Mapping[str, Path]


def parse_name(stem: str) -> Name | None:
    """The parts of a name without suffix; None where it is none of BIDS."""
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    return Name(dict(part.split("-", maxsplit=1) for part in match["entities"].split("_")), match["suffix"])


def subject_named(name: str) -> str | None:
    """The subject that a name begins with, whatever follows, `sub-01` of `sub-01_ses-1`; None where it begins otherwise."""
    match = re.match(rf"{_SUBJECT}(?=_|$)", name)
    return None if match is None else match[0]


def group_scans(paths: Iterable[Path], *, channels: Sequence[str]) -> list[BidsScan]:
    """Find what belongs together.

    Each image of the first channel is a scan. Of another channel it has the image with the same entities, or the only one of
    the session. A session without the first channel is a scan without it.

    Args:
        paths: images; those of other names and channels are left out.
        channels: suffixes, or longer ends of names.

    Returns:
        the scans by id.
    """
    sessions: dict[str, dict[str, list[tuple[Name, Path]]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(paths):
        name = parse_name(image_stem(path) or "")
        channel = None if name is None else next((channel for channel in channels if name.shows(channel)), None)
        if name is not None and channel is not None:
            sessions[name.session][channel].append((name, path))
    return sorted(
        (scan for session, found in sessions.items() for scan in _scans(session, found, channels)), key=lambda scan: scan.id
    )


def _scans(session: str, found: Mapping[str, Sequence[tuple[Name, Path]]], channels: Sequence[str]) -> list[BidsScan]:
    leading = next(channel for channel in channels if channel in found)
    scans = []
    for name, image in found[leading]:
        images = {leading: image}
        for channel in channels:
            alike = [path for other, path in found.get(channel, ()) if other.rest == name.rest or len(found[channel]) == 1]
            if channel != leading and len(alike) == 1:
                images[channel] = alike[0]
        alone = len(found[leading]) == 1 or not name.rest
        scans.append(BidsScan(session if alone else f"{session}_{_joined(name.rest)}", name, images))
    return scans


def _joined(entities: Mapping[str, str]) -> str:
    return "_".join(f"{key}-{label}" for key, label in entities.items())
