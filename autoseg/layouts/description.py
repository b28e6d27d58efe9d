"""The `dataset.json` that the Decathlon's layout and nnU-Net's have in common."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoseg.data.dataset import IGNORE, LabelClass, check_regions, names_by_value
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
        """The object `labels`, not empty; what it holds, `make_labels` checks.

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


@dataclass(frozen=True)
class Labels:
    """What the values of a data set's label maps stand for.

    Attributes:
        classes: by rising value, background first.
        ignore: the value of voxels without a label; None: there are none.
    """

    classes: tuple[LabelClass, ...]
    ignore: int | None


def make_labels(pairs: Iterable[tuple[object, object]], *, path: Path, order: object = None) -> Labels:
    """Classes from (label value, name) pairs; values may be text, and background is added where it is not declared.

    Where the value of any is a list, all except background are regions: each is the voxels of all its values.

    Args:
        pairs: in the order of the description. The name `ignore` stands for voxels without a label.
        path: of the description.
        order: of regions, as nnU-Net's `regions_class_order` has it: the value that each is written with, one for each in
            the order of the description, in which they are written one over another.

    Raises:
        DatasetError: they are no such pairs, two share a value or a name, or regions do not nest.
    """
    pairs = list(pairs)
    ignored = [value for value, name in pairs if name == IGNORE]
    pairs = [(value, name) for value, name in pairs if name != IGNORE]
    if any(isinstance(value, list) for value, _ in pairs):
        classes = _regions(pairs, order, path)
    elif order is not None:
        raise DatasetError(
            "`regions_class_order` is given, but no label is a region",
            where=path,
            remedy='Leave it out, or list the values of each region, as in "whole tumour": [1, 2, 3].',
        )
    else:
        classes = _exclusive(pairs, path)
    ignore = _ignored_value(ignored, classes, path)
    if 0 not in {label.value for label in classes}:
        classes.append(LabelClass(value=0, name="background"))
    if len({label.name for label in classes}) < len(classes):
        raise DatasetError(
            "two classes have the same name",
            where=path,
            found=", ".join(f"{label.value}: {label.name}" for label in sorted(classes, key=lambda label: label.value)),
            remedy="Give every class its own name.",
        )
    return Labels(tuple(sorted(classes, key=lambda label: label.value)), ignore)


def _exclusive(pairs: Iterable[tuple[object, object]], path: Path) -> list[LabelClass]:
    """Classes that exclude one another."""
    classes: dict[int, str] = {}
    for value, name in pairs:
        number, text = _label_value(value), _name(name)
        if number is None or text is None:
            raise _misnamed(name, value, path)
        if number in classes:
            raise _value_twice(number, classes[number], text, path)
        classes[number] = text
    return [LabelClass(value=value, name=name) for value, name in classes.items()]


def _regions(pairs: Sequence[tuple[object, object]], order: object, path: Path) -> list[LabelClass]:
    """Regions, and background."""
    background, regions = list[LabelClass](), list[tuple[str, list[int]]]()
    for value, name in pairs:
        text, numbers = _name(name), [_label_value(each) for each in (value if isinstance(value, list) else [value])]
        known = [number for number in numbers if number is not None]
        if text is None or not numbers or len(known) < len(numbers):
            raise _misnamed(name, value, path)
        if known == [0]:
            background.append(LabelClass(value=0, name=text))
        elif 0 in known:
            raise DatasetError(
                f"the region `{text}` contains the background, 0",
                where=path,
                found=json.dumps(known),
                remedy="Leave 0 out of it.",
            )
        else:
            regions.append((text, known))
    written = [_label_value(value) for value in order] if isinstance(order, list) else []
    if len(written) != len(regions) or None in written or len(set(written)) < len(written):
        raise DatasetError(
            "`regions_class_order` does not say with which value each region is written",
            where=path,
            expected=f"{len(regions)} different whole numbers, one for each region, in the order in which they are written",
            found=json.dumps(order),
            remedy="Add one number for each region, outer regions before those inside them, as in [1, 2, 3].",
        )
    classes = [
        *background[:1],
        *(
            LabelClass(value=value, name=name, values=tuple(sorted(set(values))), order=place)
            for place, (value, (name, values)) in enumerate(zip(written, regions, strict=True))
            if value is not None
        ),
    ]
    try:
        check_regions([background[0] if background else LabelClass(value=0, name="background"), *classes[len(background) :]])
    except ValueError as cause:
        raise DatasetError(
            str(cause),
            where=path,
            remedy="Let each lie inside another or apart from it, and write each with a value of its own, outer ones first.",
        ) from None
    return classes


def _ignored_value(values: Sequence[object], classes: Sequence[LabelClass], path: Path) -> int | None:
    """The value of voxels without a label, if one is declared."""
    if not values:
        return None
    number = _label_value(values[0])
    if number is None or number == 0:
        raise _misnamed(IGNORE, values[0], path)
    names = names_by_value(classes)
    if number in names:
        raise _value_twice(number, names[number], IGNORE, path)
    return number


def _misnamed(name: object, value: object, path: Path) -> DatasetError:
    return DatasetError(
        "`labels` does not give every class a printable name and a whole number",
        where=path,
        expected=f"numbers from 0 to {LARGEST_LABEL}",
        found=f"{name!r}: {value!r}",
        remedy="Fix this entry.",
    )


def _value_twice(value: int, one: str, other: str, path: Path) -> DatasetError:
    return DatasetError(
        f"two classes have the value {value}",
        where=path,
        found=f"{one} and {other}",
        remedy="Give every class its own value.",
    )


def _name(name: object) -> str | None:
    return name if isinstance(name, str) and name and name.isprintable() else None


def _label_value(value: object) -> int | None:
    text = str(value)
    return int(text) if _is_label_value(text) else None


def _is_label_value(text: str) -> bool:
    digits = len(str(LARGEST_LABEL))
    return text.isascii() and text.isdecimal() and len(text) <= digits and int(text) <= LARGEST_LABEL
