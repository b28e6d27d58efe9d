"""What all layouts share."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from autoseg.data.dataset import Case, Dataset, LabelClass
from autoseg.data.label_values import LARGEST_LABEL
from autoseg.data.naming import image_stem, refuse_undecodable
from autoseg.errors import DatasetError


class Mismatch(Exception):  # noqa: N818 - not a failure: another layout may fit
    """The folder has not the signs of a layout; the message says which one is missing."""


class Layout(Protocol):
    """One way to arrange a data set in a folder."""

    def read(self, root: Path) -> Dataset:
        """Understand a folder.

        Raises:
            Mismatch: the folder is arranged in another way.
            DatasetError: it is arranged in this way, but contradicts itself.
        """


def images_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """The images of a folder with their names without suffix, by name; hidden files are passed over.

    Broken links and folders with an image's name are among them: whoever meant them should hear that they are none.

    Raises:
        DatasetError: the folder is a broken link, or the name of an image is not UTF-8.
    """
    refuse_broken_links([folder])
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            stem = image_stem(path)
            if stem is not None and not path.name.startswith("."):
                refuse_undecodable(path)
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
    tests, test_labels = read_images(root / "imagesTs"), unique_images(root / "labelsTs", ending=ending)
    refuse_unpaired(images=images, labels=labels, root=root)
    refuse_unpaired(images=tests.keys() & test_labels.keys(), labels=test_labels, root=root / "labelsTs")
    training = (Case(id=name, images=images[name], label=labels[name], subject=name) for name in images)
    test = (
        Case(id=name, images=paths, label=test_labels.get(name), subject=name, subset="test")
        for name, paths in tests.items()
    )
    return in_natural_order([*training, *test])


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
    """Refuse names that several files claim, naming all of them.

    Raises:
        DatasetError: there are such.
    """
    several = [f"{name}: {', '.join(map(str, paths))}" for name, paths in sorted(found.items()) if len(paths) > 1]
    if several:
        raise DatasetError(
            "several files for one id", where=root, found="; ".join(several), remedy="Rename them, or keep one of each."
        )


def refuse_broken_links(paths: Iterable[Path]) -> None:
    """Refuse links that lead nowhere, where a folder could be meant.

    Raises:
        DatasetError: there are such.
    """
    broken = [str(path) for path in paths if path.is_symlink() and not path.exists()]
    if broken:
        raise DatasetError("broken link(s)", found=", ".join(broken), remedy="Restore what they point to, or remove them.")


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
        found.append(f"image(s) without label: {', '.join(without_label)}")
    if without_image:
        found.append(f"label(s) without image: {', '.join(without_image)}")
    raise DatasetError(
        "images and labels do not belong together one by one",
        where=root,
        found="; ".join(found),
        remedy="Add what is missing; move scans without labels to the test set (Test_Set, imagesTs), "
        "or give them to `autoseg predict`.",
    )


def read_description(path: Path) -> Mapping[str, Any]:
    """Read a `dataset.json`.

    Raises:
        Mismatch: there is none.
        DatasetError: it is not a JSON object.
    """
    remedy = "Fix the file; it should be a JSON object with labels and channels."
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        json.dumps(document, ensure_ascii=False).encode()  # JSON can escape half a character, which is no text
    except FileNotFoundError:
        msg = f"no {path.name}"
        raise Mismatch(msg) from None
    except (ValueError, RecursionError) as cause:  # not JSON, not UTF-8, a number of thousands of digits; nested without end
        raise DatasetError(f"not a JSON document ({cause})", where=path, remedy=remedy) from None
    if not isinstance(document, dict):
        raise DatasetError("not a JSON object", where=path, remedy=remedy)
    return document


def read_channels(document: Mapping[str, Any], key: str, *, path: Path) -> tuple[str, ...]:
    """Names of the channels from an object {"0": name, "1": name, ...}."""
    entry = document.get(key)
    if not isinstance(entry, dict) or not _names_channels(entry):
        raise DatasetError(
            f"`{key}` does not name the channels",
            where=path,
            expected='an object such as {"0": "T1", "1": "T2"}',
            found=json.dumps(entry),
            remedy="Fix this entry.",
        )
    return tuple(entry[str(number)] for number in range(len(entry)))


def _names_channels(entry: Mapping[Any, Any]) -> bool:
    numbered = sorted(entry) == sorted(str(number) for number in range(len(entry)))
    return bool(entry) and numbered and all(isinstance(name, str) and name for name in entry.values())


def read_labels(document: Mapping[str, Any], *, path: Path) -> Mapping[str, Any]:
    """The object `labels` of a description; what it holds is for `make_classes` to judge."""
    labels = document.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise DatasetError(
            "`labels` is not an object that names the classes",
            where=path,
            found=json.dumps(labels),
            remedy="Fix this entry.",
        )
    return labels


def make_classes(pairs: Iterable[tuple[object, object]], *, path: Path) -> tuple[LabelClass, ...]:
    """Classes from (label value, name) pairs; values may be text, and background is added where it is not declared."""
    classes: dict[int, str] = {}
    for value, name in pairs:
        if isinstance(value, list) or name == "ignore":
            raise DatasetError(
                f"label `{name}` is a region or to be ignored",
                where=path,
                expected="classes that exclude each other, each with one whole number",
                remedy="Make one label map with exclusive classes, and declare these.",
            )
        text = str(value)
        if not _is_label_value(text) or not isinstance(name, str) or not name or not name.isprintable():
            raise DatasetError(
                "`labels` does not give every class a printable name and a whole number",
                where=path,
                expected=f"numbers from 0 to {LARGEST_LABEL}",
                found=f"{name!r}: {value!r}",
                remedy="Fix this entry.",
            )
        if int(text) in classes:
            raise DatasetError(
                f"two classes have the value {text}",
                where=path,
                found=f"{classes[int(text)]} and {name}",
                remedy="Give every class its own value.",
            )
        classes[int(text)] = name
    classes.setdefault(0, "background")
    if len(set(classes.values())) < len(classes):
        raise DatasetError(
            "two classes have the same name",
            where=path,
            found=", ".join(f"{value}: {name}" for value, name in sorted(classes.items())),
            remedy="Give every class its own name.",
        )
    return tuple(LabelClass(value=value, name=name) for value, name in sorted(classes.items()))


def _is_label_value(text: str) -> bool:
    digits = len(str(LARGEST_LABEL))
    return text.isascii() and text.isdecimal() and len(text) <= digits and int(text) <= LARGEST_LABEL
