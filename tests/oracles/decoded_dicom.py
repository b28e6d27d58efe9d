"""Slices in DICOM files, corrupted, and what they say by pydicom, which the package does without."""

import io
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.random import Generator
from oracles.corrupted_files import ReadCorrupted
from oracles.corrupted_images import any_bytes
from oracles.decoded_images import UndecidedError
from oracles.dicom_files import IMPLICIT, KINDS, PLAIN, RUN_LENGTHS, dicom_file, run_lengths, slice_elements
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import data_element_generator
from pydicom.pixels import pixel_array
from pydicom.tag import BaseTag

from autoseg.images.image import Image, read_series

SYNTAXES: Final = {"plain": PLAIN, "implicit": IMPLICIT, "compressed": RUN_LENGTHS}
_SHAPE = (12, 14)
_TEXTS = (
    "", " ", "0", "-1", "1", "3", "1e3", "1e999", "nan", "0x2", "1,5", r"1\2", r"0\0", r"2\-2", r"1e-9\1e9", r"1\2\3",
    r"0\1\0\0\0\1", r"0\1\0\1\0\0", r"1\0\0\1\0\0", r"1\0\0\0\2\0", r"0.6\0.8\0\-0.8\0.6\0", "MONOCHROME1", "RGB",
    "PALETTE COLOR", "MR", "CT", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5",
)  # fmt: skip
_SYNTAX, _PIXELS = 0x00020010, 0x7FE00010
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
        except AssertionError:
            raise
        except Exception as cause:
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
    except Exception:  # noqa: BLE001 - whatever stops pydicom leaves no elements to change
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
    struct.pack_into("<I" if one.length_bytes == 4 else "<H", head, len(head) - one.length_bytes, len(value))
    return content[: one.begin] + bytes(head) + value + content[one.end :]


# Decoding


@dataclass(frozen=True)
class _Element:
    raw: RawDataElement | DataElement
    kind: str
    length_bytes: int
    begin: int
    start: int
    end: int


def _elements(content: bytes) -> Iterator[_Element]:
    """The elements of a file, one after the other, as pydicom finds them."""
    stream, end, syntax = io.BytesIO(content), 132, ""
    if content[128:end] != b"DICM":
        msg = "no DICOM"
        raise UndecidedError(msg)
    stream.seek(end)
    for in_body in (False, True):
        named = not in_body or syntax != IMPLICIT
        group_ends = None if in_body else (lambda tag, _kind, _length: tag.group != 2)
        for found in data_element_generator(stream, is_implicit_VR=not named, is_little_endian=True, stop_when=group_ends):
            begin, end = end, stream.tell()
            if end > len(content) or (isinstance(found.value, bytes) and found.length not in {len(found.value), 0xFFFFFFFF}):
                msg = f"{found.tag} breaks off"
                raise UndecidedError(msg)
            if found.tag == _SYNTAX:
                syntax = found.value.rstrip(b"\0 ").decode("latin-1")
            kind = found.VR if named else KINDS.get(_name(found.tag), "")
            length_bytes = 4 if not named or found.value_tell - begin == 12 else 2
            yield _Element(found, kind, length_bytes, begin, found.value_tell, end)
            if found.tag == _PIXELS and not content[end:].strip(b"\0"):
                return


def _name(tag: BaseTag) -> str:
    return f"{tag.group:04x}|{tag.element:04x}"


def _decoded(content: bytes) -> Dataset:
    """The elements of the slice; of those about the file, which pydicom would all understand, the transfer syntax alone."""
    found = [element.raw for element in _elements(content)]
    tags = [one.tag for one in found]
    if tags != sorted(set(tags)):  # pydicom takes the last of several
        msg = "elements that are there twice, or out of order"
        raise UndecidedError(msg)
    said = Dataset({one.tag: one for one in found if one.tag.group != 2})
    said.file_meta = FileMetaDataset({one.tag: one for one in found if one.tag == _SYNTAX})
    said.set_original_encoding(is_implicit_vr=said.file_meta.TransferSyntaxUID == IMPLICIT, is_little_endian=True)
    return said


def _compare(found: Image, content: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = _decoded(content)
        stored = pixel_array(said, index=0).astype(np.int64)
        expected = stored * float(said.get("RescaleSlope", 1)) + float(said.get("RescaleIntercept", 0))
        greys, spacing_mm = said.PhotometricInterpretation, said.get("PixelSpacing")
        position_mm, orientation = said.get("ImagePositionPatient"), said.get("ImageOrientationPatient")
    if int(said.get("NumberOfFrames", 1)) != 1 or said.HighBit != said.BitsStored - 1:  # pydicom looks at neither
        msg = f"{said.get('NumberOfFrames')} frames, up to bit {said.HighBit}"
        raise UndecidedError(msg)
    if greys == "MONOCHROME1":
        assert any("MONOCHROME1" in warning for warning in found.warnings)
        assert found.array[0, 0].shape == expected.shape
    else:
        np.testing.assert_allclose(found.array[0, 0], expected, rtol=1e-5, atol=1e-6)
    if "PixelSpacing" in said:
        np.testing.assert_allclose(found.geometry.spacing_mm[1:], spacing_mm, rtol=1e-6)
    elif "ImagerPixelSpacing" not in said:
        assert any("1 mm" in warning for warning in found.warnings)
    if position_mm is not None:
        np.testing.assert_allclose(found.geometry.origin_mm, position_mm, rtol=1e-6)
    if orientation is not None:
        columns, rows = np.reshape(orientation, (2, 3))
        axes = np.stack([columns, rows, np.cross(columns, rows)], axis=1)
        np.testing.assert_allclose(np.reshape(found.geometry.direction, (3, 3)), axes, atol=2e-3)
