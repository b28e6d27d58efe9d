"""Folders by their names, and what is below one that is no scan for somebody: nothing is left out in silence."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from autoseg.data.dataset import Subset
from autoseg.data.naming import printable
from autoseg.events import Events

Kind = Literal["images", "labels"]
_Word = TypeVar("_Word", bound=str)

_NAMED: Final = 5
"""How many files a message names."""

_TEXT: Final = re.compile(
    r"\.(?:bib|bval|bvec|cfg|csv|db|docx?|html?|ini|ipynb|json|log|md|md5|ods|pdf|py|rst|sh|sha256|toml|tsv|txt|xlsx?|xml|ya?ml)$",
    re.IGNORECASE,
)
"""Endings of what lies beside scans and is none: descriptions, tables, gradients. Source: ours."""

_HEADERS: Final = (".hdr", ".HDR", ".mhd", ".MHD", ".nhdr", ".NHDR")
"""Endings of headers whose voxels lie in another file."""

_OURS: Final = ("predictions.csv", "plan.json")
"""What is written beside label maps of `predict`, and above those of training."""

_RECORD: Final = "record.json"
"""What is written beside the label maps and probabilities of held-out cases."""

_KINDS: Final[dict[Kind, str]] = {
    "images": "images?|imgs?|scans?|volumes?|vols?",
    "labels": "labels?|masks?|segmentations?|segs?|annotations?|groundtruths?|gts?",
}
_SUBSETS: Final[dict[Subset, str]] = {
    "training": "training|train|tr",
    "validation": "validation|valid|val|vl",
    "test": "testing|test|ts|te",
}
"""Names of folders, without signs between words. Source: nnU-Net (imagesTr, labelsTs, imagesVal), YOLO (train/images,
images/train), IBSR18 (Training_Set), Synapse's BTCV (img, label), and what people write.
"""
KIND_WORDS: Final = "|".join(_KINDS.values())
"""Words that say what a folder or file holds: a regular expression without groups."""
SUBSETS: Final = tuple(_SUBSETS)
"""The parts of a data set, training first."""
_SUBSET = "|".join(_SUBSETS.values())
_ROLE: Final = re.compile(
    rf"(?P<before>{_SUBSET})?(?P<kind>{KIND_WORDS})(?P<after>{_SUBSET})?|(?P<alone>{_SUBSET})(?:set|data)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Role:
    """What a folder holds by its name.

    Attributes:
        kind: scans or label maps; None: both, or it does not say.
        subset: of which part of the data set; None: it does not say.
    """

    kind: Kind | None = None
    subset: Subset | None = None


def role_of(name: str) -> Role:
    """What a folder holds by its name: `imagesTr` scans for training, `train_masks` label maps for it, `Test_Set` a part."""
    match = _ROLE.fullmatch(re.sub(r"[\W_]+", "", name))
    if match is None:
        return Role()
    subset = match["before"] or match["after"] or match["alone"]
    return Role(_meant(match["kind"], _KINDS), _meant(subset, _SUBSETS))


def _meant(word: str | None, words: Mapping[_Word, str]) -> _Word | None:
    return None if word is None else next(key for key, forms in words.items() if re.fullmatch(forms, word, re.IGNORECASE))


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is hidden by its name."""
    return path.name.startswith(".")


def files_below(folder: Path, *, visited: set[Path], skipped: list[Path]) -> Iterator[Path]:
    """The files in a folder and in those below it that are neither hidden nor visited; links may lead in circles.

    Args:
        folder: where to look.
        visited: folders that do not count; gets those that were searched.
        skipped: gets the folders of label maps that lie beside folders of scans, what is derived from the scans of BIDS,
            and results and workspaces of autoseg; what they hold is not among the files.
    """
    visited.add(folder.resolve())
    entries = sorted(path for path in folder.iterdir() if not is_hidden(path))
    folders = {path for path in entries if path.is_dir()}
    others = _other_folders([path.name for path in folders])
    for path in entries:
        if path not in folders:
            yield path
        elif path.name in others or _is_ours(path):
            skipped.append(path)
        elif path.resolve() not in visited:
            yield from files_below(path, visited=visited, skipped=skipped)


def all_files(folder: Path) -> Iterator[Path]:
    """The files in a folder and in those below it, without what is hidden or autoseg made; linked folders stay closed."""
    for parent, children, names in os.walk(folder):
        children[:] = sorted(name for name in children if not name.startswith(".") and not _is_ours(Path(parent) / name))
        yield from (Path(parent) / name for name in sorted(names) if not name.startswith("."))


def names_below(folder: Path, *, closed: Collection[str] = ()) -> set[str]:
    """Paths of the files in a folder and in those below it, by one listing for each folder: no file is asked for anything.

    Without what is hidden, what nobody would take for a scan by its name, and folders that autoseg made.

    Args:
        folder: where to look; links to other folders are followed.
        closed: paths of folders that are not looked into: they are among the paths themselves.

    Raises:
        OSError: the folder is not there, or may not be read; of those below it nothing is listed then.
    """
    found, linked, waiting = set[str](), set[str](), [str(folder)]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                inside = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
        except OSError:
            if place == str(folder):
                raise
            continue
        if place != str(folder) and any(entry.name in _OURS for entry in inside):
            continue
        for entry in inside:
            if entry.path in closed or not entry.is_dir():
                found |= set() if _TEXT.search(entry.name) else {entry.path}
            elif not entry.is_symlink() or (target := os.path.realpath(entry.path)) not in linked:
                linked |= {target} if entry.is_symlink() else set()  # links may lead in circles
                waiting.append(entry.path)
    return found


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds results or a workspace: their label maps are no scans."""
    return any((folder / name).is_file() for name in _OURS)


def _other_folders(names: Collection[str]) -> set[str]:
    """Of folders that lie beside each other, those that hold no scans."""
    others = set()
    if any(role_of(name).kind == "images" for name in names):
        others |= {name for name in names if role_of(name).kind == "labels"}
    if any(name.startswith("sub-") for name in names):
        others |= {"derivatives", "sourcedata", "code"} & set(names)
    return others


LABEL_MAPS: Final = "label maps by their names"
NO_SCANS: Final = "folders of label maps, derivatives or results"
SCANS: Final = "scans, as label maps have names or folders of their own"
UNREAD: Final = "files that are not read, by their names"
OTHER_KINDS: Final = "images of other kinds than the model reads, by their names"
UNUSED: Final = "images that belong to no case"


@dataclass(frozen=True)
class PassedOver:
    """Files that are not used, for whoever wonders where they are.

    Attributes:
        root: the folder that was searched.
        files: files and folders by the reason why they are not used.
    """

    root: Path
    files: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, paths: Iterable[Path], *, reason: str) -> None:
        """Take note of files or folders."""
        for path in paths:
            self.files.setdefault(reason, []).append(path)

    def add_unread(self, path: Path) -> None:
        """Take note of a file that is no image by its name, unless nobody would take it for one."""
        if not _TEXT.search(path.name) and not _is_part(path) and not _is_held_out(path):
            self.add([path], reason=UNREAD)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was skipped, a sentence for each reason."""
        return tuple(self._sentence(reason) for reason in self.files)

    def tell(self, events: Events) -> None:
        """Say it; a file that is not read may be a scan that somebody misses."""
        for reason in self.files:
            (events.warn if reason == UNREAD else events.info)(self._sentence(reason))

    def _sentence(self, reason: str) -> str:
        return f"skipped ({reason}): {some_files(self.files[reason], root=self.root)}"


def _is_part(path: Path) -> bool:
    """Whether a file holds the voxels of another, the header beside it under the same name."""
    parts = path.name.split(".")
    names = (".".join(parts[:count]) for count in range(1, len(parts)))
    return any((path.parent / f"{name}{suffix}").is_file() for name in names for suffix in _HEADERS)


def _is_held_out(path: Path) -> bool:
    """Whether a file holds the probabilities of a held-out case."""
    return path.suffix in {".npy", ".npz"} and (path.parent / _RECORD).is_file()


def some_files(paths: Sequence[Path], *, root: Path) -> str:
    """Some files by their names below a folder, and how many more there are, with their endings where these differ."""
    names = [printable(str(path.relative_to(root) if path.is_relative_to(root) else path)) for path in paths]
    if len(names) <= _NAMED:
        return ", ".join(names)
    endings = [printable(path.suffix.lower()) or "no ending" for path in paths]
    more = Counter(endings[_NAMED:])
    kinds = (
        f" ({', '.join(f'{count} {ending}' for ending, count in more.items())})" if more.keys() - endings[:_NAMED] else ""
    )
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more{kinds}"
