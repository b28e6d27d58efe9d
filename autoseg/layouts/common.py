"""What all layouts have in common."""

import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from autoseg.data.dataset import Case, Dataset
from autoseg.data.naming import image_stem, refuse_undecodable
from autoseg.errors import DatasetError


class Mismatch(Exception):  # noqa: N818 - not a failure: another layout may fit
    """The folder has not the signs of a layout; the message says which one is missing."""


@dataclass(frozen=True)
class Choice:
    """What to take where a folder holds more than one could mean.

    Attributes:
        labels: which files are the label maps: a name or a path below the data set with `*` for what differs; None: by
            their names.
        channels: ends of the names of the channels' images, in their order; none: by what is there.
        ignore: label value of voxels that nobody labelled; None: the one that the data set declares, if it does.
    """

    labels: str | None = None
    channels: tuple[str, ...] = ()
    ignore: int | None = None

    def __bool__(self) -> bool:
        """Whether any of the files are chosen."""
        return self.labels is not None or bool(self.channels)

    @property
    def options(self) -> list[str]:
        """Options of commands that choose so, as a shell takes them."""
        asked = [] if self.labels is None else [f"--labels {shlex.quote(self.labels)}"]
        asked += [f"--channel {shlex.quote(channel)}" for channel in self.channels]
        return asked if self.ignore is None else [*asked, f"--ignore {self.ignore}"]

    def refuse(self) -> None:
        """For a layout that leaves no choice.

        Raises:
            Mismatch: there is one.
        """
        if self:
            msg = "leaves nothing to choose with --labels or --channel"
            raise Mismatch(msg)

    def label_maps(self, root: Path) -> list[Path]:
        """The files that are chosen as label maps.

        Raises:
            DatasetError: the pattern is none, or nothing fits it.
        """
        pattern = self.labels or ""
        try:
            found = sorted(root.glob(pattern if "/" in pattern else f"**/{pattern}"))
        except (ValueError, NotImplementedError) as cause:
            raise DatasetError(
                f"not a pattern for label maps ({cause})",
                where=f"--labels {pattern}",
                expected="a name or a path below the data set, such as '*_dseg.nii.gz' or 'derivatives/manual/**/*.nii.gz'",
                remedy="Give another pattern.",
            ) from None
        chosen = [path for path in found if image_stem(path) is not None and not _is_below_hidden(path, root)]
        if not chosen:
            raise DatasetError(
                "no image fits the pattern of the label maps",
                where=root,
                expected=f"files like {pattern}",
                remedy="Give another pattern with --labels: a name, or a path below the data set, with * for what differs.",
            )
        return chosen


def _is_below_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") and part != ".." for part in path.relative_to(root).parts)


class Layout(ABC):
    """One way to arrange a data set in a folder.

    Attributes:
        description: whether it reads `dataset.json`, has something else `instead` that says what data these are, or leaves
            such a file `unread`, of which the user is warned.
        subjects: whose scans those are that join a data set later: what was `stated` alone says it, or the name of the
            `folder` of a subject, too, or besides these the names of `bids`.
    """

    description: ClassVar[Literal["read", "instead", "unread"]] = "unread"
    subjects: ClassVar[Literal["stated", "folder", "bids"]] = "stated"

    @abstractmethod
    def read(self, root: Path, *, choice: Choice) -> Dataset:
        """Read a folder.

        Args:
            root: the folder.
            choice: what is wanted of it; a layout that leaves no choice is a `Mismatch` where there is one.

        Raises:
            Mismatch: the folder is arranged in another way.
            DatasetError: it is arranged in this way, but contradicts itself.
        """


def images_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """The images of a folder with their names without suffix, by name; hidden files are skipped.

    Broken links and folders with an image's name are among them: whoever meant them should hear that they are none.

    Raises:
        DatasetError: the folder is a broken link, or the name of an image is not UTF-8.
    """
    refuse_broken_links([folder])
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            stem = image_stem(path)
            if stem is not None and not path.name.startswith("."):
                refuse_undecodable(path.name, where=path)
                yield stem, path


def unique_images(folder: Path, *, ending: str = "") -> dict[str, Path]:
    """The images of a folder by their names without suffix.

    Args:
        folder: where to look; none are found where it does not exist.
        ending: only files whose names end like this.

    Raises:
        DatasetError: files differ in their suffix only.
    """
    found: dict[str, list[Path]] = {}
    for stem, path in images_in(folder):
        if path.name.endswith(ending):
            found.setdefault(stem, []).append(path)
    refuse_several(found, root=folder)
    return {stem: paths[0] for stem, paths in found.items()}


def training_and_test(
    root: Path, *, read_images: Callable[[Path], Mapping[str, tuple[Path, ...]]], ending: str = ""
) -> tuple[Case, ...]:
    """Cases of `imagesTr` with `labelsTr`, and of `imagesTs` with what `labelsTs` holds of them.

    Args:
        root: the folder that holds these folders.
        read_images: gives the images of a folder by case id, one path per file of a case.
        ending: how the names of label files end.

    Raises:
        DatasetError: a training image has no label, or any label no image.
    """
    images, labels = read_images(root / "imagesTr"), unique_images(root / "labelsTr", ending=ending)
    refuse_unpaired(images=images, labels=labels, root=root)
    training = (Case(id=name, images=images[name], label=labels[name], subject=name) for name in images)
    return in_natural_order([*training, *given_test_cases(root, read_images=read_images, ending=ending)])


def given_test_cases(
    root: Path, *, read_images: Callable[[Path], Mapping[str, tuple[Path, ...]]], ending: str = ""
) -> list[Case]:
    """Cases of `imagesTs`, with what `labelsTs` holds of them; arguments as in `training_and_test`.

    Raises:
        DatasetError: a label has no image.
    """
    images, labels = read_images(root / "imagesTs"), unique_images(root / "labelsTs", ending=ending)
    refuse_unpaired(images=images.keys() & labels.keys(), labels=labels, root=root / "labelsTs")
    return [
        Case(id=name, images=paths, label=labels.get(name), subject=name, subset="test") for name, paths in images.items()
    ]


def in_natural_order(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Cases by rising id, with the numbers in ids by their value: s2 stands before s10."""
    return tuple(sorted(cases, key=lambda case: (_parts(case.id), case.id)))


def _parts(name: str) -> list[tuple[int, str]]:
    """The text and the numbers of a name in turn; numbers compare by their length first, however long they are."""
    parts = re.split("([0-9]+)", name)
    numbers = (digits.lstrip("0") for digits in parts[1::2])
    ranked = [(0, part) for part in parts]
    ranked[1::2] = [(len(digits), digits) for digits in numbers]
    return ranked


def refuse_several(found: Mapping[str, Sequence[Path]], *, root: Path) -> None:
    """Refuse names that several files have, naming all of them.

    Raises:
        DatasetError: there are such.
    """
    several = [f"{name}: {', '.join(map(str, paths))}" for name, paths in sorted(found.items()) if len(paths) > 1]
    if several:
        raise DatasetError(
            "several files for one id", where=root, found="; ".join(several), remedy="Rename them, or keep one of each."
        )


def refuse_lacking(
    scans: Iterable[tuple[str, Collection[str]]], channels: Sequence[str], *, root: Path, what: str, remedy: str
) -> None:
    """Refuse scans that do not have every channel.

    Args:
        scans: ids, and the channels that they have.
        channels: those that they need.
        root: the data set's folder.
        what: is wrong then.
        remedy: what to do about it.

    Raises:
        DatasetError: names the scans, and the channels they lack.
    """
    lacking = [
        f"{name}: {', '.join(channel for channel in channels if channel not in there)}"
        for name, there in scans
        if not set(channels) <= set(there)
    ]
    if lacking:
        raise DatasetError(what, where=root, expected=", ".join(channels), found="; ".join(lacking), remedy=remedy)


def refuse_broken_links(paths: Iterable[Path]) -> None:
    """Refuse links that lead nowhere, where a folder could be meant.

    Raises:
        DatasetError: there are such.
    """
    broken = [str(path) for path in paths if path.is_symlink() and not path.exists()]
    if broken:
        raise DatasetError("broken links", found=", ".join(broken), remedy="Restore what they point to, or remove them.")


def refuse_unpaired(*, images: Iterable[str], labels: Iterable[str], root: Path) -> None:
    """Refuse images that lack their label and labels that lack their image, naming all of both.

    Raises:
        DatasetError: there are such.
    """
    images, labels = set(images), set(labels)
    without_label, without_image = sorted(images - labels), sorted(labels - images)
    if not (without_label or without_image):
        return
    found = []
    if without_label:
        found.append(f"images without a label: {', '.join(without_label)}")
    if without_image:
        found.append(f"labels without an image: {', '.join(without_image)}")
    raise DatasetError(
        "images and labels do not belong together one by one",
        where=root,
        found="; ".join(found),
        remedy="Add what is missing; move scans without labels to the test set (Test_Set, imagesTs), "
        "or give them to `autoseg predict`.",
    )


def several_label_maps(found: Mapping[str, Sequence[Path]], *, root: Path) -> DatasetError:
    """The error for scans that have several label maps each, with how to choose."""
    name, paths = next(iter(found.items()))
    shown = [path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path) for path in paths]
    more = f" (and so have {len(found) - 1} more scans)" if len(found) > 1 else ""
    return DatasetError(
        "several label maps for one scan",
        where=root,
        expected="one",
        found=f"{name}: {', '.join(shown)}{more}",
        remedy=f"Choose with --labels, as in --labels '{_pattern(max(paths, key=lambda path: len(path.name)), root)}', "
        "or remove the others.",
    )


def _pattern(path: Path, root: Path) -> str:
    """A pattern that label maps like this one fit: the folders above those of the case, and the end of the name."""
    folders = path.parent.relative_to(root).parts[:2] if path.is_relative_to(root) else ()
    above = [name for name in folders if not any(sign.isdecimal() for sign in name)]
    end = re.sub(r"^(?:sub-[^_]+(?:_ses-[^_]+)?|[^_.-]*)(?=[_.-])", "", path.name)
    return "/".join([*above, "**", f"*{end}"] if above else [f"*{end}"])
