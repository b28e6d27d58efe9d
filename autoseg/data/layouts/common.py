"""What all layouts share."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from autoseg.data.dataset import Dataset, LabelClass
from autoseg.data.image import image_stem
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
    """The images of a folder with their names without suffix, by name; hidden files are passed over."""
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            stem = image_stem(path)
            if stem is not None and not path.name.startswith(".") and not path.is_dir():
                yield stem, path


def unique_images(folder: Path) -> dict[str, Path]:
    """The images of a folder by their names without suffix.

    Raises:
        DatasetError: two files differ in their suffix only.
    """
    found: dict[str, Path] = {}
    for stem, path in images_in(folder):
        if stem in found:
            raise DatasetError(
                f"two files stand for {stem}",
                where=folder,
                found=f"{found[stem].name} and {path.name}",
                remedy="Remove one of them.",
            )
        found[stem] = path
    return found


def refuse_unpaired(*, images: Iterable[str], labels: Iterable[str], root: Path) -> None:
    """Refuse training images without label and labels without image, naming all of both.

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
        "training images and labels do not belong together one by one",
        where=root,
        found="; ".join(found),
        remedy="Add what is missing; move scans without labels to the test set, or give them to `autoseg predict`.",
    )


def read_description(path: Path) -> Mapping[str, Any]:
    """Read a `dataset.json`.

    Raises:
        Mismatch: there is none.
        DatasetError: it is not a JSON object.
    """
    remedy = "Mend the file; it should be a JSON object with labels and channels."
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        msg = f"no {path.name}"
        raise Mismatch(msg) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as cause:
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
            remedy="Mend this entry.",
        )
    return tuple(entry[str(number)] for number in range(len(entry)))


def _names_channels(entry: Mapping[Any, Any]) -> bool:
    numbered = sorted(entry) == sorted(str(number) for number in range(len(entry)))
    return bool(entry) and numbered and all(isinstance(name, str) and name for name in entry.values())


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
        if not text.isdecimal() or isinstance(value, bool) or not isinstance(name, str) or not name:
            raise DatasetError(
                "`labels` does not give every class a name and a whole number",
                where=path,
                found=f"{name!r}: {value!r}",
                remedy="Mend this entry.",
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
    return tuple(LabelClass(value=value, name=name) for value, name in sorted(classes.items()))
