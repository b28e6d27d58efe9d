"""DICOM series as a scanner would export them, written slice by slice, element by element."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PLAIN = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
RUN_LENGTHS = "1.2.840.10008.1.2.5"

_MR_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
_LONG = {"OB", "OW", "SQ", "UN"}
KINDS = {
    "0008|0016": "UI", "0008|0018": "UI", "0008|0060": "CS", "0018|0050": "DS", "0018|1164": "DS", "0020|000d": "UI",
    "0020|000e": "UI", "0020|0011": "IS", "0020|0013": "IS", "0020|0032": "DS", "0020|0037": "DS", "0028|0002": "US",
    "0028|0004": "CS", "0028|0008": "IS", "0028|0010": "US", "0028|0011": "US", "0028|0030": "DS", "0028|0100": "US",
    "0028|0101": "US", "0028|0102": "US", "0028|0103": "US", "0028|1052": "DS", "0028|1053": "DS",
}  # fmt: skip
"""Kinds of the elements that are written."""


def dicom_file(elements: Mapping[str, str], pixels: bytes, *, syntax: str = PLAIN) -> bytes:
    """A DICOM file.

    Args:
        elements: values by tag, several numbers divided by a backslash.
        pixels: the content of the pixel data; fragments where the transfer syntax compresses them.
        syntax: transfer syntax.
    """
    meta = b"".join(
        [
            _element("0002|0001", "OB", b"\x00\x01"),
            _element("0002|0002", "UI", _text(elements["0008|0016"], "UI")),
            _element("0002|0003", "UI", _text(elements["0008|0018"], "UI")),
            _element("0002|0010", "UI", _text(syntax, "UI")),
        ]
    )
    named = syntax != IMPLICIT
    body = [_element(tag, KINDS[tag], _value(tag, elements[tag]), named=named) for tag in sorted(elements)]
    length = 0xFFFFFFFF if syntax == RUN_LENGTHS else None
    body.append(_element("7fe0|0010", "OB" if syntax == RUN_LENGTHS else "OW", pixels, named=named, length=length))
    return bytes(128) + b"DICM" + _element("0002|0000", "UL", struct.pack("<I", len(meta))) + meta + b"".join(body)


def slice_elements(
    index: int,
    *,
    shape: tuple[int, int],
    spacing_mm: tuple[float, float, float],
    origin_mm: tuple[float, float, float],
    number: int,
) -> dict[str, str]:
    """The elements of one slice of an MR series."""
    uid = f"1.2.826.0.1.3680043.8.498.{number}"
    return {
        "0008|0016": _MR_STORAGE,
        "0008|0018": f"{uid}.{index + 1}",
        "0008|0060": "MR",
        "0018|0050": str(spacing_mm[0]),
        "0020|000d": f"{uid}.99",
        "0020|000e": uid,
        "0020|0011": str(number),
        "0020|0013": str(index + 1),
        "0020|0032": f"{origin_mm[0]}\\{origin_mm[1]}\\{origin_mm[2] + index * spacing_mm[0]}",
        "0020|0037": "1\\0\\0\\0\\1\\0",
        "0028|0002": "1",
        "0028|0004": "MONOCHROME2",
        "0028|0010": str(shape[0]),
        "0028|0011": str(shape[1]),
        "0028|0030": f"{spacing_mm[1]}\\{spacing_mm[2]}",
        "0028|0100": "16",
        "0028|0101": "16",
        "0028|0102": "15",
        "0028|0103": "1",
    }


def write_series(
    folder: Path,
    volume: NDArray[np.int16],
    *,
    spacing_mm: tuple[float, float, float] = (1.5, 0.9, 0.8),
    origin_mm: tuple[float, float, float] = (-10.0, 20.0, 30.0),
    number: int = 7,
    changes: Mapping[int, Mapping[str, str | None]] | None = None,
    left_out: Sequence[int] = (),
    names: str = "IM{:04d}",
    syntax: str = PLAIN,
) -> list[Path]:
    """Write the slices of a volume (Z, Y, X) as files of one series, the last slice under the first name.

    Args:
        folder: where to.
        volume: stored values.
        spacing_mm: (Z, Y, X).
        origin_mm: (x, y, z) of the first voxel.
        number: of the series.
        changes: elements of single slices that differ from what they should be, by slice; None: the element is not there.
        left_out: slices without a file.
        names: pattern of the file names.
        syntax: transfer syntax.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, stored in enumerate(volume):
        if index in left_out:
            continue
        usual = slice_elements(
            index, shape=(volume.shape[1], volume.shape[2]), spacing_mm=spacing_mm, origin_mm=origin_mm, number=number
        )
        elements = usual | (changes or {}).get(index, {})
        pixels = run_lengths(stored) if syntax == RUN_LENGTHS else stored.astype("<i2").tobytes()
        path = folder / names.format(len(volume) - index)
        path.write_bytes(
            dicom_file({tag: value for tag, value in elements.items() if value is not None}, pixels, syntax=syntax)
        )
        paths.append(path)
    return paths


def run_lengths(stored: NDArray[np.int16]) -> bytes:
    """An image of at most 128 columns as the fragments of DICOM's run-length syntax, a literal run for each row."""
    segments = []
    for offset in (0, 1):
        runs = [row.astype(">i2").tobytes()[offset::2] for row in stored]
        segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(segment + bytes(len(segment) % 2))
    starts = [64, 64 + len(segments[0])]
    frame = struct.pack("<16I", 2, *starts, *[0] * 13) + b"".join(segments)
    item = b"\xfe\xff\x00\xe0"
    return item + bytes(4) + item + struct.pack("<I", len(frame)) + frame + b"\xfe\xff\xdd\xe0" + bytes(4)


def _value(tag: str, text: str) -> bytes:
    return struct.pack("<H", int(text)) if KINDS[tag] == "US" else _text(text, KINDS[tag])


def _text(text: str, kind: str) -> bytes:
    value = text.encode("ascii")
    return value + (b"\x00" if kind == "UI" else b" ") * (len(value) % 2)


def _element(tag: str, kind: str, value: bytes, *, named: bool = True, length: int | None = None) -> bytes:
    group, element = (int(part, 16) for part in tag.split("|"))
    head = struct.pack("<HH", group, element)
    length = len(value) if length is None else length
    if not named:
        return head + struct.pack("<I", length) + value
    if kind in _LONG:
        return head + kind.encode() + bytes(2) + struct.pack("<I", length) + value
    return head + kind.encode() + struct.pack("<H", length) + value
