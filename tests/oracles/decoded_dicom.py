"""Slices in DICOM files, corrupted, and what they say: decoded from their bytes by the standard alone."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from oracles.corrupted_files import ReadCorrupted
from oracles.corrupted_images import any_bytes
from oracles.decoded_images import UndecidedError
from oracles.dicom_files import IMPLICIT, KINDS, PLAIN, RUN_LENGTHS, dicom_file, run_lengths, slice_elements

from autoseg.data.dicom import read_series
from autoseg.data.image import Image

SYNTAXES: Final = {"plain": PLAIN, "implicit": IMPLICIT, "compressed": RUN_LENGTHS}
_SHAPE = (12, 14)
_TEXTS = (
    "", " ", "0", "-1", "1", "3", "1e3", "1e999", "nan", "0x2", "1,5", r"1\2", r"0\0", r"2\-2", r"1e-9\1e9", r"1\2\3",
    r"0\1\0\0\0\1", r"0\1\0\1\0\0", r"1\0\0\1\0\0", r"1\0\0\0\2\0", r"0.6\0.8\0\-0.8\0.6\0", "MONOCHROME1", "RGB",
    "PALETTE COLOR", "MR", "CT", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5",
)  # fmt: skip
USED: Final = {tag for tag in KINDS if tag.startswith("0028") or tag in {"0018|1164", "0020|0032", "0020|0037"}}
"""Tags of what decides the voxels and where they lie."""

_NUMBERS = (0, 1, 2, 3, 5, 6, 7, 8, 12, 15, 16, 32, 255, 65535)


class ReadDicom(ReadCorrupted):
    """Reads corrupted slices."""

    file_name = "IM0001"

    def intact(self) -> Mapping[str, bytes]:
        """Four slices in every syntax."""
        return {
            f"{name} {number}": _slice(syntax, np.random.default_rng(number))
            for name, syntax in SYNTAXES.items()
            for number in range(4)
        }

    def corrupt(self, content: bytes, generator: Generator) -> bytes:
        """Change bytes, bits or elements."""
        for _ in range(int(generator.integers(1, 3))):
            way = generator.random()
            if way < 0.2:
                content = any_bytes(content, generator)
            elif way < 0.4 and len(content) > 128:
                changed = bytearray(content)
                changed[int(generator.integers(128, len(content)))] ^= 1 << int(generator.integers(8))
                content = bytes(changed)
            else:
                content = _element_corrupted(content, generator)
        return content

    def read(self, path: Path) -> Image:
        """As a series of one slice."""
        return read_series([path])

    def judge(self, found: Image, content: bytes) -> str:
        """Compare it with what the elements say."""
        try:
            _compare(found, content)
        except (UndecidedError, struct.error, KeyError, ValueError, IndexError) as cause:
            msg = f"accepted with {found.warnings}, although {cause!r}: {found.geometry}"
            raise AssertionError(msg) from cause
        return "accepted"


def _slice(syntax: str, generator: Generator) -> bytes:
    stored = generator.integers(-900, 900, _SHAPE).astype(np.int16)
    elements = slice_elements(0, shape=_SHAPE, spacing_mm=(1.5, 0.9, 0.8), origin_mm=(-10.0, 20.0, 30.0), number=7)
    if generator.random() < 0.5:
        elements |= {"0028|1052": "-4", "0028|1053": "0.5"}
    return dicom_file(elements, run_lengths(stored) if syntax == RUN_LENGTHS else stored.tobytes(), syntax=syntax)


# Corrupting


def _element_corrupted(content: bytes, generator: Generator) -> bytes:
    """Change, remove, repeat or move one element."""
    try:
        elements = list(_elements(content))
        one, other = (elements[int(number)] for number in generator.integers(len(elements), size=2))
    except (UndecidedError, struct.error, ValueError):
        return any_bytes(content, generator)
    whole = content[one.begin : one.end]
    way = generator.integers(6)
    if way == 0:
        return content[: one.begin] + content[one.end :]
    if way == 1:
        return content[: other.begin] + whole + content[other.begin :]
    if way == 2:
        moved = content[: one.begin] + content[one.end :]
        return moved[: other.begin] + whole + moved[other.begin :]
    if one.kind == "US":
        value = struct.pack("<H", int(generator.choice(_NUMBERS)))
    else:
        value = _TEXTS[int(generator.integers(len(_TEXTS)))].encode()
        value += b" " * (len(value) % 2)
    head = bytearray(content[one.begin : one.start])
    form, size = ("<I", 4) if len(head) == 12 or not one.named else ("<H", 2)
    struct.pack_into(form, head, len(head) - size, len(value))
    return content[: one.begin] + bytes(head) + value + content[one.end :]


# Decoding


@dataclass(frozen=True)
class _Element:
    tag: str
    kind: str
    named: bool
    begin: int
    start: int
    end: int


def _elements(content: bytes) -> Iterator[_Element]:
    """The elements of a file that holds no sequences."""
    if content[128:132] != b"DICM":
        msg = "no DICOM"
        raise UndecidedError(msg)
    position, syntax = 132, ""
    while position < len(content):
        group, number = struct.unpack_from("<HH", content, position)
        tag, begin = f"{group:04x}|{number:04x}", position
        if group != 2 and syntax not in SYNTAXES.values():
            msg = f"transfer syntax {syntax!r}"
            raise UndecidedError(msg)
        named = group == 2 or syntax != IMPLICIT
        kind = content[position + 4 : position + 6].decode("latin-1") if named else KINDS.get(tag, "")
        if named and kind in {"OB", "OW", "SQ", "UN", "UT", "UC", "UR", "OD", "OF", "OL", "OV", "SV", "UV"}:
            (length,), start = struct.unpack_from("<I", content, position + 8), position + 12
        elif named:
            (length,), start = struct.unpack_from("<H", content, position + 6), position + 8
        else:
            (length,), start = struct.unpack_from("<I", content, position + 4), position + 8
        if length == 0xFFFFFFFF and tag == "7fe0|0010":
            length = content.rindex(b"\xfe\xff\xdd\xe0" + bytes(4)) + 8 - start
        position = start + length
        if position > len(content):
            msg = f"{tag} breaks off"
            raise UndecidedError(msg)
        if tag == "0002|0010":
            syntax = content[start:position].rstrip(b"\0 ").decode("latin-1")
        yield _Element(tag, kind, named, begin, start, position)
        if tag == "7fe0|0010" and not content[position:].strip(b"\0"):
            return


def _decoded(content: bytes) -> tuple[dict[str, bytes], str]:
    """Values by tag, and the transfer syntax."""
    values: dict[str, bytes] = {}
    for element in _elements(content):
        if element.tag in values or (values and element.tag < max(values)):
            msg = f"{element.tag} twice, or out of order"
            raise UndecidedError(msg)
        if element.tag in USED and element.kind != KINDS[element.tag]:
            msg = f"{element.tag} as {element.kind}"
            raise UndecidedError(msg)
        values[element.tag] = content[element.start : element.end]
    return values, values["0002|0010"].rstrip(b"\0 ").decode("latin-1")


def _compare(found: Image, content: bytes) -> None:
    values, syntax = _decoded(content)
    stored = _stored(values, syntax)
    slope, intercept = (
        _floats(values[tag])[0] if tag in values else usual for tag, usual in (("0028|1053", 1.0), ("0028|1052", 0.0))
    )
    expected = stored * slope + intercept
    if values["0028|0004"].strip() == b"MONOCHROME1":
        assert any("MONOCHROME1" in note for note in found.warnings)
        assert found.array[0, 0].shape == expected.shape
    else:
        np.testing.assert_allclose(found.array[0, 0], expected, rtol=1e-5, atol=1e-6)
    if "0028|0030" in values:
        np.testing.assert_allclose(found.geometry.spacing_mm[1:], _floats(values["0028|0030"]), rtol=1e-6)
    elif "0018|1164" not in values:
        assert any("1 mm" in note for note in found.warnings)
    if "0020|0032" in values:
        np.testing.assert_allclose(found.geometry.origin_mm, _floats(values["0020|0032"]), rtol=1e-6)
    if "0020|0037" in values:
        columns, rows = np.reshape(_floats(values["0020|0037"]), (2, 3))
        axes = np.stack([columns, rows, np.cross(columns, rows)], axis=1)
        np.testing.assert_allclose(np.reshape(found.geometry.direction, (3, 3)), axes, atol=2e-3)


def _stored(values: Mapping[str, bytes], syntax: str) -> NDArray[np.int64]:
    rows, columns, samples, allocated, bits, high, signed = (
        struct.unpack("<H", values[f"0028|{name}"])[0] for name in ("0010", "0011", "0002", "0100", "0101", "0102", "0103")
    )
    if samples != 1 or allocated not in {8, 16} or not 0 < bits <= allocated or high != bits - 1 or signed > 1:
        msg = f"pixels of {samples} x {allocated} bits, {bits} used, up to {high}, {signed}"
        raise UndecidedError(msg)
    if int(values.get("0028|0008", b"1")) != 1:
        msg = "several frames"
        raise UndecidedError(msg)
    data = values["7fe0|0010"]
    count = rows * columns
    if syntax == RUN_LENGTHS:
        planes = _unpacked(data, segments=allocated // 8, count=count)
        raw = sum(np.frombuffer(plane, "u1").astype(np.int64) << (8 * place) for place, plane in enumerate(planes[::-1]))
    else:
        raw = np.frombuffer(data, f"<u{allocated // 8}", count=count).astype(np.int64)
    low = np.asarray(raw) & ((1 << bits) - 1)
    if signed:
        low = np.where(low >> (bits - 1), low - (1 << bits), low)
    return low.reshape(rows, columns)


def _unpacked(data: bytes, *, segments: int, count: int) -> list[bytes]:
    """Byte planes of a picture in run lengths, the most significant first."""
    (first,) = struct.unpack_from("<I", data, 4)
    (length,) = struct.unpack_from("<I", data, 12 + first)
    frame = data[16 + first : 16 + first + length]
    number, *starts = struct.unpack_from("<16I", frame)
    if number != segments:
        msg = f"{number} segments"
        raise UndecidedError(msg)
    planes = []
    for start in starts[:number]:
        plane, position = b"", start
        while len(plane) < count:
            code = frame[position]
            if code < 128:
                plane += frame[position + 1 : position + 2 + code]
                position += 2 + code
            else:
                plane += frame[position + 1 : position + 2] * (257 - code if code > 128 else 0)
                position += 2 if code > 128 else 1
        planes.append(plane[:count])
    return planes


def _floats(value: bytes) -> list[float]:
    return [float(number) for number in value.decode("ascii").strip("\0 ").split("\\")]
