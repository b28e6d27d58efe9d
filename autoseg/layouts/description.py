"""The `dataset.json` that the Decathlon's layout and nnU-Net's have in common."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoseg.data.dataset import LabelClass
from autoseg.errors import DatasetError
from autoseg.images.label_values import LARGEST_LABEL
from autoseg.layouts.common import Mismatch
from autoseg.storage.files import named_once


@dataclass(frozen=True)
class Description:
    """What a data set says of itself.

    Attributes:
        path: its `dataset.json`.
        entries: what is in it.
        channel_key: the entry that names the channels.
    """

    path: Path
    entries: Mapping[str, Any]
    channel_key: str

    def channels(self) -> tuple[str, ...]:
        """Names of the channels, from an object {"0": name, "1": name, ...}.

        Raises:
            DatasetError: they are not named like this.
        """
        entry = self.entries[self.channel_key]
        if not isinstance(entry, dict) or not _names_channels(entry):
            raise DatasetError(
                f"`{self.channel_key}` does not name the channels",
                where=self.path,
                expected='an object such as {"0": "T1", "1": "T2"}',
                found=json.dumps(entry),
                remedy="Fix this entry.",
            )
        return tuple(entry[str(number)] for number in range(len(entry)))

    def labels(self) -> Mapping[str, Any]:
        """The object `labels`, not empty; what it holds, `make_classes` checks.

        Raises:
            DatasetError: it is no such object.
        """
        labels = self.entries.get("labels")
        if not isinstance(labels, dict) or not labels:
            raise DatasetError(
                "`labels` is not an object that names the classes",
                where=self.path,
                found=json.dumps(labels),
                remedy="Fix this entry.",
            )
        return labels


def read_description(root: Path, *, channel_keys: tuple[str, ...]) -> Description:
    """Read the `dataset.json` of a folder.

    Args:
        root: the folder.
        channel_keys: entries that may name the channels; the first that is there counts.

    Raises:
        Mismatch: there is no such file, or it has none of these entries.
        DatasetError: it is not a JSON object.
    """
    path = root / "dataset.json"
    remedy = "Fix the file; it should be a JSON object with labels and channels."
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=named_once)
        json.dumps(document, ensure_ascii=False).encode()  # JSON can escape half a character, which is no text
    except FileNotFoundError:
        msg = f"no {path.name}"
        raise Mismatch(msg) from None
    except (ValueError, RecursionError) as cause:  # not JSON, not UTF-8, a number of thousands of digits; nested without end
        raise DatasetError(f"not a JSON document ({cause})", where=path, remedy=remedy) from None
    if not isinstance(document, dict):
        raise DatasetError("not a JSON object", where=path, remedy=remedy)
    key = next((key for key in channel_keys if key in document), None)
    if key is None:
        msg = f"{path.name} has no `{channel_keys[0]}`"
        raise Mismatch(msg)
    return Description(path, document, key)


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
