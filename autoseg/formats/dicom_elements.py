"""DICOM: a walk over a file's elements, before a reader is trusted with it. Source: the standard, parts 3, 5 and 10.

GDCM, with which SimpleITK reads DICOM, allocates whatever length an element gives, fills pixels that are missing with
whatever its memory held, and makes something of nearly every contradiction.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from autoseg.formats.dicom_fields import FIELDS, Field, Tag, field_text

_META_START: Final = 132
_UNDEFINED: Final = 0xFFFFFFFF
_HEAD_BYTES: Final = 8
"""Tag and length of an item, and of an element without a value representation (VR)."""

_DEEPEST: Final = 32
"""Sequences within sequences. Source: chosen; scanners write a handful."""

_META, _TRANSFER_SYNTAX, _PIXELS = 0x0002, (0x0002, 0x0010), (0x7FE0, 0x0010)
_ITEM, _ITEM_END, _ITEMS_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_DIRECTORY, _IMAGES = 0x0004, 0x0028
_SHORT_LENGTH: Final = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_LENGTH: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_IMPLICIT, _BIG_ENDIAN, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_RUN_LENGTHS: Final = "1.2.840.10008.1.2.5"
_UNCOMPRESSED: Final = {_IMPLICIT, "1.2.840.10008.1.2.1", _BIG_ENDIAN}

_RUN_LENGTH_TABLE: Final = struct.Struct("<16I")
"""How many segments there are, and where each begins. Source: part 5, G.5."""


class DicomError(ValueError):
    """A file cannot be read as DICOM.

    Attributes:
        fields: what it says before the damage, so that it is known which series lacks it.
    """

    def __init__(self, message: str, fields: Mapping[Field, str]) -> None:
        """With what is wrong and what was understood."""
        super().__init__(message)
        self.fields = fields


@dataclass(frozen=True)
class DicomHeader:
    """What a file says of its image.

    Attributes:
        fields: values, stripped; whole numbers in digits.
        pixel_bytes: how many bytes the pixels take in the file.
        compressed: whether they are in fragments that only a decoder understands.
        syntax: how they are stored, the UID of the transfer syntax.
    """

    fields: Mapping[Field, str]
    pixel_bytes: int
    compressed: bool
    syntax: str

    @property
    def is_scalar(self) -> bool:
        """Whether it is one image with one number per pixel."""
        return self.fields.get(Field.SAMPLES) == "1" and self.fields.get(Field.FRAMES, "1") == "1"

    def number(self, field: Field) -> int:
        """A whole number.

        Raises:
            ValueError: it is not there.
        """
        if field not in self.fields:
            msg = f"({field.replace('|', ',')}), {field.name.lower().replace('_', ' ')}, is missing"
            raise ValueError(msg)
        return int(self.fields[field])


def parse_dicom(content: bytes) -> DicomHeader | None:
    """Walk over all elements of a file.

    Args:
        content: the whole file, which begins like DICOM.

    Returns:
        what it says of its image, or None for what is no image, such as a report or the table of contents of a disc.

    Raises:
        DicomError: an element is longer than the file, breaks off or is not where it belongs, or pixels are announced and
            not there, or stored in a way that is not defined.
    """
    fields: dict[Field, str] = {}
    try:
        return _parse(content, fields)
    except struct.error:
        raise DicomError("it breaks off", fields) from None
    except ValueError as cause:
        raise DicomError(str(cause), fields) from None


def _parse(content: bytes, fields: dict[Field, str]) -> DicomHeader | None:
    """The same, with what was understood kept in `fields`."""
    meta = _Elements(content, {}, order="<", named=True)
    start = meta.walk(_META_START, stop=lambda tag: tag[0] != _META)
    syntax = meta.syntax
    if not syntax or syntax == _DEFLATED:
        msg = f"transfer syntax {syntax!r}{' (deflated)' if syntax else ''}, which readers do not support"
        raise ValueError(msg)
    order = ">" if syntax == _BIG_ENDIAN else "<"
    body = _Elements(content, fields, order=order, named=syntax != _IMPLICIT, after=meta.last)
    body.walk(start)
    if body.pixels is None:
        # What was cut off between two elements ends before its image is described, and looks like no image.
        if Field.ROWS in fields or _DIRECTORY < body.last[0] <= _IMAGES:
            msg = "it holds no pixels"
            raise ValueError(msg)
        return None
    header = DicomHeader(fields, *body.pixels, syntax)
    if header.compressed == (syntax in _UNCOMPRESSED):
        msg = f"its pixels are not stored as transfer syntax {syntax} demands"
        raise ValueError(msg)
    _check_format(header)
    if syntax == _RUN_LENGTHS and header.is_scalar:
        _check_run_lengths(body.fragments, segments=header.number(Field.BITS_ALLOCATED) // 8)
    return header


def _check_format(header: DicomHeader) -> None:
    """Require a known number of pixels of one number each that fill whole bytes from the lowest bit on."""
    header.number(Field.ROWS), header.number(Field.COLUMNS)
    allocated, stored, high, signed = (
        header.number(field) for field in (Field.BITS_ALLOCATED, Field.BITS_STORED, Field.HIGH_BIT, Field.SIGNED)
    )
    if allocated not in {8, 16, 32} or not 0 < stored <= allocated or high != stored - 1 or signed > 1:
        msg = f"pixels of {allocated} bits, {stored} of them used up to number {high}, signed {signed}"
        raise ValueError(msg)


def _check_run_lengths(fragments: Sequence[bytes], *, segments: int) -> None:
    """Require the table of contents of an image in run lengths: none or a wrong one ends GDCM, and with it the process.

    Source: part 5, G.5.
    """
    frame = fragments[1] if len(fragments) == 2 else b""  # the first says where frames begin
    if len(frame) < _RUN_LENGTH_TABLE.size:
        msg = "its run lengths are not those of one image"
        raise ValueError(msg)
    found, *starts = _RUN_LENGTH_TABLE.unpack_from(frame)
    places = [_RUN_LENGTH_TABLE.size, *starts[1:segments], len(frame)]
    if found != segments or starts[0] != places[0] or places != sorted(set(places)) or any(starts[segments:]):
        msg = f"its run lengths are in {found} segments from {starts} on, and pixels have {segments} bytes"
        raise ValueError(msg)


class _Elements:
    """Elements of one encoding, and what was found among them."""

    def __init__(self, content: bytes, fields: dict[Field, str], *, order: str, named: bool, after: Tag = (0, 0)) -> None:
        self.fields = fields
        self.syntax = ""
        self.pixels: tuple[int, bool] | None = None
        self.fragments: list[bytes] = []
        self.last = after
        self._content = content
        self._order = order
        self._named = named

    def walk(self, position: int, *, stop: Callable[[Tag], bool] = lambda _: False) -> int:
        """Walk over the elements of the file from `position` on; returns where it ended or what to stop at begins."""
        while position < len(self._content):
            if self.pixels and not self._content[position:].strip(b"\x00"):
                break  # what fills up the blocks of a medium
            tag = self._tag(position)
            if stop(tag):
                break
            if tag <= self.last:
                msg = f"element ({tag[0]:04x},{tag[1]:04x}) is there twice or out of order"
                raise ValueError(msg)
            self.last = tag
            position = self._element(tag, position + 4, depth=0)
        return position

    def items(self, position: int, *, end: int | None, depth: int) -> int:
        """Walk over the items of a sequence; returns where it ends, at `end` where that is known."""
        if depth > _DEEPEST:
            msg = "its sequences are nested too deeply"
            raise ValueError(msg)
        while end is None or position < end:
            tag, length = self._tag(position), self._length(position + 4)
            position += _HEAD_BYTES
            if tag == _ITEMS_END and end is None:
                return position
            if tag != _ITEM:
                msg = f"({tag[0]:04x},{tag[1]:04x}) stands where an item of a sequence should"
                raise ValueError(msg)
            position = self._item(position, end=None if length == _UNDEFINED else position + length, depth=depth)
        if position != end:
            msg = "a sequence does not end where it should"
            raise ValueError(msg)
        return position

    def _item(self, position: int, *, end: int | None, depth: int) -> int:
        while end is None or position < end:
            tag = self._tag(position)
            if tag == _ITEM_END and end is None:
                return position + _HEAD_BYTES
            position = self._element(tag, position + 4, depth=depth)
        return position

    def _element(self, tag: Tag, position: int, *, depth: int) -> int:
        vr, start, length = self._head(tag, position)
        if depth == 0 and tag == Field.GREY_TABLE.tag:
            self.fields[Field.GREY_TABLE] = "there"
        if length == _UNDEFINED and tag == _PIXELS and depth == 0:
            return self._gather(start)
        if length == _UNDEFINED:
            # A sequence of unknown VR is stored without VRs. Source: part 5, 6.2.2.
            inner = _Elements(self._content, {}, order="<", named=False) if vr == b"UN" else self
            return inner.items(start, end=None, depth=depth + 1)
        stop = start + length
        if (missing := stop - len(self._content)) > 0:
            msg = f"element ({tag[0]:04x},{tag[1]:04x}) should have {length} bytes, {max(0, length - missing)} are left"
            raise ValueError(msg)
        if vr == b"SQ" or (not self._named and length >= _HEAD_BYTES and self._tag(start) == _ITEM):
            return self.items(start, end=stop, depth=depth + 1)
        if depth == 0:
            self._keep(tag, vr, self._content[start:stop])
        return stop

    def _keep(self, tag: Tag, vr: bytes, value: bytes) -> None:
        """Keep a value that decides what is read."""
        if tag == _PIXELS:
            self.pixels = len(value), False
        elif tag == _TRANSFER_SYNTAX:
            self.syntax = value.rstrip(b"\x00 ").decode("ascii", errors="replace")
        elif tag in FIELDS:
            self.fields[FIELDS[tag]] = field_text(FIELDS[tag], value, vr=vr, order=self._order)

    def _gather(self, position: int) -> int:
        """Keep the fragments of compressed pixels; returns where they end."""
        while (tag := self._tag(position)) == _ITEM:
            start = position + _HEAD_BYTES
            position = start + self._length(position + 4)
            self.fragments.append(self._content[start:position])
        if tag != _ITEMS_END or self._length(position + 4) != 0:
            msg = "its compressed pixels break off"
            raise ValueError(msg)
        self.pixels = sum(map(len, self.fragments)), True
        return position + _HEAD_BYTES

    def _head(self, tag: Tag, position: int) -> tuple[bytes, int, int]:
        """VR of an element, empty where the file gives none, start of its value, and length."""
        if not self._named:
            return b"", position + 4, self._length(position)
        vr = self._content[position : position + 2]
        if vr in _LONG_LENGTH:
            return vr, position + 8, self._length(position + 4)
        if vr not in _SHORT_LENGTH:
            msg = f"element ({tag[0]:04x},{tag[1]:04x}) has the unknown VR {vr!r}"
            raise ValueError(msg)
        (length,) = struct.unpack_from(f"{self._order}H", self._content, position + 2)
        return vr, position + 4, int(length)

    def _tag(self, position: int) -> Tag:
        group, element = struct.unpack_from(f"{self._order}HH", self._content, position)
        return int(group), int(element)

    def _length(self, position: int) -> int:
        (length,) = struct.unpack_from(f"{self._order}I", self._content, position)
        return int(length)
