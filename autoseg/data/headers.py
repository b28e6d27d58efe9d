"""What the header of an image file claims, parsed from its raw bytes before any reader is trusted with the file.

Only as much of each format is understood as is needed to hold the claims against the bytes that follow.
Sources: the NIfTI-1 header (nifti1.h), the MetaIO and the NRRD format definitions.
"""

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from autoseg.data import nifti_orientation
from autoseg.errors import ImageError

HEADER_BYTES: Final = 1 << 20
"""No supported header is longer. Source: chosen; NIfTI takes 352 bytes, NRRD with many named segments some 10^5."""

NIFTI_BYTES: Final = 348
"""Length of a NIfTI-1 or ANALYZE header."""

Encoding = Literal["raw", "gzip", "zlib", "unchecked"]

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ufffd]")
_UNSPACED = "the header states no voxel spacing; 1 mm is assumed"
_REMEDY = "The header is damaged: get the file again from its source, or write it anew with the tool that made it."
_MOST_DIMENSIONS = 7  # NIfTI's limit; readers stop earlier
_NIFTI_DATA_START = 352  # the header and the four bytes that announce extensions
_NIFTI_VOXEL_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
_LEAST_SLOPE = 1e-15  # ITK 5.4 compares with the spacing of doubles at 1, 2.2e-16
_NIFTI_FLOATS = {16: "f4", 64: "f8"}
_NIFTI_NOT_SCALAR = {32: "complex", 1792: "complex", 2048: "complex", 128: "RGB", 2304: "RGBA"}
_SCALAR_BYTES = {"char": 1, "short": 2, "int": 4, "long": 4, "long_long": 8, "float": 4, "double": 8}
_FORMATS = {
    ".nii": "NIfTI", ".hdr": "NIfTI or ANALYZE", ".mha": "MetaImage", ".mhd": "MetaImage", ".nrrd": "NRRD", ".nhdr": "NRRD",
}  # fmt: skip
_METAIMAGE_VECTORS = ("DimSize", "ElementSpacing", "ElementSize", "Offset", "Position", "Origin", "CenterOfRotation")
_METAIMAGE_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_METAIMAGE_SWITCHES = ("BinaryData", "CompressedData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_METAIMAGE_SYNONYMS = (("Offset", "Position", "Origin"), _METAIMAGE_MATRICES, _METAIMAGE_SWITCHES[2:])
_METAIMAGE_KEYS = {
    *_METAIMAGE_VECTORS, *_METAIMAGE_MATRICES, *_METAIMAGE_SWITCHES, "ObjectType", "NDims", "ElementType", "HeaderSize",
    "ElementNumberOfChannels", "ElementDataFile",
    "CompressedDataSize",
}  # fmt: skip
_NRRD_SPACES = {
    "left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las",
}  # fmt: skip
_NRRD_GRID_KINDS = {"domain", "space", "time", "???", "none"}
_NRRD_ALIASES = {"longlong": "long_long", "int8": "char", "int16": "short", "int32": "int", "int64": "long_long"}


@dataclass(frozen=True)
class Header:
    """The claims of a header.

    Attributes:
        kind: name of the format.
        sizes: voxels along the file's axes (X, Y, Z, ...), each >= 1.
        spacing_mm: distance between voxel centres along the first three axes at most, not yet judged.
        voxel_bytes: bytes of one voxel.
        data_start: bytes before the voxel data in the file that holds them.
        data_file: name of that file where it is another one, relative to the header's folder.
        encoding: how the voxel data are stored; "unchecked" where their size cannot be told beforehand.
        stored_bytes: how many bytes they take compressed, where the header says so.
        must_be_finite: numpy's name for the type of voxels whose reader replaces NaN and infinities by 0 in silence.
        notes: remarks for the user.
    """

    kind: str
    sizes: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    voxel_bytes: int
    data_start: int
    data_file: str | None = None
    encoding: Encoding = "raw"
    stored_bytes: int | None = None
    must_be_finite: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def data_bytes(self) -> int:
        """Bytes of the voxel data once decompressed."""
        return math.prod(self.sizes) * self.voxel_bytes


def parse(content: bytes, path: Path) -> Header | None:
    """Understand the header at the start of `content`.

    Args:
        content: the first `HEADER_BYTES` of the file, decompressed; fewer where it is shorter.
        path: the file, for messages and the names of files beside it.

    Returns:
        the header, or None where the content begins like none of NIfTI, ANALYZE, MetaImage and NRRD.

    Raises:
        ImageError: the header contradicts itself, or claims something that is no scalar image on a grid.
    """
    try:
        header = _parse_any(content, path)
    except (KeyError, ValueError, struct.error) as cause:
        raise ImageError(f"the header cannot be understood ({cause})", where=path, remedy=_REMEDY) from None
    if header is not None:
        _check_claims(header, path)
    return header


def format_by_name(path: Path) -> str | None:
    """The format that a file's name promises, where it is one that is understood here."""
    return _FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def _parse_any(content: bytes, path: Path) -> Header | None:
    if content[:4] in {struct.pack("<i", NIFTI_BYTES), struct.pack(">i", NIFTI_BYTES)}:
        return _parse_nifti(content, path)
    if content[:4] in {struct.pack("<i", 540), struct.pack(">i", 540)}:
        raise ImageError(
            "NIfTI-2, which SimpleITK does not read",
            where=path,
            remedy="Convert it to NIfTI-1, for example with nibabel.",
        )
    if re.match(rb"\s*(ObjectType|ObjectSubType|Comment|NDims)\s*=", content):
        return _parse_metaimage(content, path)
    if content.startswith(b"NRRD000"):
        return _parse_nrrd(content, path)
    return None


def _check_claims(header: Header, path: Path) -> None:
    if not 1 <= len(header.sizes) <= _MOST_DIMENSIONS or any(size < 1 for size in header.sizes):
        raise ImageError("impossible image size", where=path, expected="sizes >= 1", found=header.sizes, remedy=_REMEDY)
    for axis, (size, spacing) in enumerate(zip(header.sizes, header.spacing_mm, strict=False)):
        without_extent = size == 1 and spacing == 0  # the one voxel of a 2D image has no neighbour to be distant from
        if not (math.isfinite(spacing) and spacing > 0) and not without_extent:
            raise ImageError(
                f"impossible voxel spacing along axis {'XYZ'[axis]}",
                where=path,
                expected="a positive number of mm",
                found=spacing,
                remedy="Correct the spacing in the header: distances and volumes depend on it.",
            )


def _not_scalar(path: Path, found: str) -> ImageError:
    return ImageError(
        "not a scalar image",
        where=path,
        expected="one number per voxel",
        found=found,
        remedy="Convert it to greyscale, or store each channel in a file of its own.",
    )


# NIfTI-1 and ANALYZE 7.5, which share the places of all fields used here.


def _parse_nifti(content: bytes, path: Path) -> Header:
    if len(content) < NIFTI_BYTES:
        raise ImageError(
            "cut off inside its header",
            where=path,
            expected=f"{NIFTI_BYTES} bytes",
            found=f"{len(content)} bytes",
            remedy="Get the file again from its source.",
        )
    order = "<" if content[0] else ">"
    magic = content[344:348]
    single = magic == b"n+1\0"
    named = single or magic == b"ni1\0"  # ANALYZE has no magic
    if not single and not path.name.lower().endswith(".hdr"):
        raise ImageError("neither NIfTI nor the header of a pair", where=path, found=f"magic {magic!r}", remedy=_REMEDY)
    dims = struct.unpack_from(f"{order}8h", content, 40)
    pixdim = struct.unpack_from(f"{order}8f", content, 76)
    if not 1 <= dims[0] <= _MOST_DIMENSIONS:
        raise ImageError("impossible number of dimensions", where=path, found=dims[0], remedy=_REMEDY)
    # Beyond space, writers leave 0 where they mean 1.
    sizes = tuple(size if axis < 3 else size or 1 for axis, size in enumerate(dims[1 : dims[0] + 1]))
    (datatype,) = struct.unpack_from(f"{order}h", content, 70)
    _check_nifti_scaling(*struct.unpack_from(f"{order}2f", content, 112), path=path)
    return Header(
        kind="NIfTI" if named else "ANALYZE",
        sizes=sizes,
        spacing_mm=pixdim[1 : min(dims[0], 3) + 1],
        voxel_bytes=_nifti_voxel_bytes(datatype, path),
        data_start=_nifti_data_start(struct.unpack_from(f"{order}f", content, 108)[0], path, single=single),
        data_file=None if single else path.with_suffix(".img").name,
        must_be_finite=order + _NIFTI_FLOATS[datatype] if datatype in _NIFTI_FLOATS else None,
        notes=_nifti_remarks(content, order) if named else (nifti_orientation.UNKNOWN,),
    )


def _nifti_remarks(content: bytes, order: str) -> tuple[str, ...]:
    nifti_orientation.check(content, order)
    return nifti_orientation.remarks(content, order)


def _nifti_voxel_bytes(datatype: int, path: Path) -> int:
    if datatype in _NIFTI_NOT_SCALAR:
        raise _not_scalar(path, _NIFTI_NOT_SCALAR[datatype])
    if datatype not in _NIFTI_VOXEL_BYTES:
        raise ImageError(
            f"voxels of an unsupported type (NIfTI code {datatype})",
            where=path,
            remedy="Convert the image to integers or 32-bit floats.",
        )
    return _NIFTI_VOXEL_BYTES[datatype]


def _check_nifti_scaling(slope: float, intercept: float, *, path: Path) -> None:
    # By the standard a slope of 0 switches scaling off; SimpleITK then adds the intercept all the same.
    if 0 < abs(slope) < _LEAST_SLOPE:
        raise ImageError(
            "the header scales voxels to next to nothing (scl_slope), which SimpleITK takes for no scaling",
            where=path,
            expected=f"scl_slope 0, or at least {_LEAST_SLOPE:g}",
            found=slope,
            remedy="Store the image in a larger unit, or set scl_slope to 1.",
        )
    off = slope == 0 or not math.isfinite(slope)
    if not off and not math.isfinite(intercept):
        raise ImageError(
            "the header shifts voxels by no number (scl_inter)",
            where=path,
            expected="a finite number",
            found=intercept,
            remedy=_REMEDY,
        )
    if off and intercept != 0 and math.isfinite(intercept):
        raise ImageError(
            "the header scales voxels by nothing and shifts them (scl_slope and scl_inter)",
            where=path,
            expected="scl_slope 1, or scl_inter 0",
            found=f"scl_slope {slope}, scl_inter {intercept}",
            remedy="Set scl_slope to 1 if the shift is meant, else set scl_inter to 0.",
        )


def _nifti_data_start(vox_offset: float, path: Path, *, single: bool) -> int:
    least = _NIFTI_DATA_START if single else 0
    if not (math.isfinite(vox_offset) and vox_offset >= least and vox_offset == int(vox_offset)):
        raise ImageError(
            "impossible start of the voxel data (vox_offset)",
            where=path,
            expected=f"a whole number >= {least}",
            found=vox_offset,
            remedy=_REMEDY,
        )
    return int(vox_offset)


# MetaImage


def _parse_metaimage(content: bytes, path: Path) -> Header:
    fields: dict[str, str] = {}
    position = 0
    while "ElementDataFile" not in fields:
        line, position = _next_line(content, position)
        key, separator, value = (part.strip() for part in line.partition("="))
        if not separator or key in fields:
            msg = f"the line {line[:60]!r} " + ("repeats a key" if separator else "is not of the form key = value")
            raise ValueError(msg)
        fields[key] = value
    _check_metaimage_fields(fields)
    _check_metaimage_lengths(fields)
    if int(fields.get("ElementNumberOfChannels", 1)) != 1:
        raise _not_scalar(path, f"{fields['ElementNumberOfChannels']} numbers per voxel")
    sizes = tuple(int(size) for size in fields["DimSize"].split())
    spacing = tuple(float(number) for number in fields.get("ElementSpacing", fields.get("ElementSize", "")).split())
    source = _one_file(fields["ElementDataFile"])
    own = source.upper() == "LOCAL"
    return Header(
        kind="MetaImage",
        sizes=sizes,
        spacing_mm=spacing[:3],
        voxel_bytes=_SCALAR_BYTES[fields["ElementType"].removeprefix("MET_").lower().removeprefix("u")],
        data_start=position if own else max(0, int(fields.get("HeaderSize", 0))),
        data_file=None if own else source,
        encoding=_metaimage_encoding(fields),
        stored_bytes=_metaimage_stored_bytes(fields),
        notes=() if spacing else (_UNSPACED,),
    )


def _check_metaimage_fields(fields: Mapping[str, str]) -> None:
    # MetaIO takes what it does not understand for 0, False or absent, without a word.
    known = {key.lower() for key in _METAIMAGE_KEYS}
    misspelt = [key for key in fields if key.lower() in known and key not in _METAIMAGE_KEYS]
    if misspelt or fields.get("ObjectType", "Image") != "Image":
        msg = f"unknown key {misspelt[0]}" if misspelt else f"ObjectType {fields['ObjectType']}"
        raise ValueError(msg)
    for key in (*_METAIMAGE_VECTORS, *_METAIMAGE_MATRICES):
        if not all(math.isfinite(float(number)) for number in fields.get(key, "").split()):
            msg = f"{key} = {fields[key]}"
            raise ValueError(msg)
    for key in _METAIMAGE_SWITCHES:
        if fields.get(key, "True").lower() not in {"true", "false"}:
            msg = f"{key} = {fields[key]}"
            raise ValueError(msg)
    for synonyms in _METAIMAGE_SYNONYMS:
        if len({fields[key] for key in synonyms if key in fields}) > 1:
            msg = f"{' and '.join(key for key in synonyms if key in fields)} differ"
            raise ValueError(msg)


def _check_metaimage_lengths(fields: Mapping[str, str]) -> None:
    # MetaIO 5.4 trusts NDims: a wrong one makes it write beyond its memory, which ends the whole process.
    dimensions = int(fields["NDims"])
    vectors = dict.fromkeys(_METAIMAGE_VECTORS, dimensions)
    matrices = dict.fromkeys(_METAIMAGE_MATRICES, dimensions**2)
    for key, length in {**vectors, **matrices}.items():
        if key in fields and len(fields[key].split()) != length:
            msg = f"{key} has not the {length} numbers that NDims = {dimensions} asks for"
            raise ValueError(msg)


def _metaimage_stored_bytes(fields: Mapping[str, str]) -> int | None:
    # Without this key MetaIO takes compressed data for voxels.
    return int(fields["CompressedDataSize"]) if fields.get("CompressedData", "False").lower() == "true" else None


def _metaimage_encoding(fields: Mapping[str, str]) -> Encoding:
    counted_from_end = int(fields.get("HeaderSize", 0)) < 0
    text = fields.get("BinaryData", "True").lower() == "false"
    if counted_from_end or text:
        return "unchecked"
    return "zlib" if fields.get("CompressedData", "False").lower() == "true" else "raw"


# NRRD


def _parse_nrrd(content: bytes, path: Path) -> Header:
    fields: dict[str, str] = {}
    _, position = _next_line(content, 0)
    line, position = _next_line(content, position)
    while line:
        key, separator, value = _nrrd_parts(line)
        if separator == ": ":
            fields[key.lower().replace(" ", "")] = value.strip()
        detached_end = "datafile" in fields and position >= len(content)  # only a header of its own may lack the empty line
        line, position = ("", position) if detached_end else _next_line(content, position)
    spacing = _nrrd_spacing(fields)
    origin = _nrrd_vectors(fields.get("spaceorigin", "(0)"))
    if len(origin) != 1 or not all(math.isfinite(number) for number in origin[0]):
        msg = f"space origin {fields['spaceorigin'][:60]!r}"
        raise ValueError(msg)
    if not set(fields.get("kinds", "").lower().split()) <= _NRRD_GRID_KINDS:
        raise _not_scalar(path, f"kinds: {fields['kinds']}")
    sizes = tuple(int(size) for size in fields["sizes"].split())
    if int(fields["dimension"]) != len(sizes):
        msg = f"dimension {fields['dimension']}, but sizes {fields['sizes']}"
        raise ValueError(msg)
    source = _one_file(fields["datafile"]) if "datafile" in fields else None
    return Header(
        kind="NRRD",
        sizes=sizes,
        spacing_mm=spacing[:3],
        voxel_bytes=_nrrd_voxel_bytes(fields["type"]),
        data_start=0 if source else position,
        data_file=source,
        encoding=_nrrd_encoding(fields),
        notes=_nrrd_notes(fields, spacing),
    )


def _nrrd_parts(line: str) -> tuple[str, str, str]:
    """A field (": "), a pair (":=") or a remark ("#"), taken apart."""
    if line.startswith("#"):
        return "", "#", line
    found = re.match(r"(?P<key>[^:]*)(?P<separator>: |:=)(?P<value>.*)", line)
    if found is None:
        msg = f"the line {line[:60]!r} is neither a field nor a remark"
        raise ValueError(msg)
    return found["key"], found["separator"], found["value"]


def _nrrd_vectors(text: str) -> list[tuple[float, ...]]:
    """Vectors such as (1,0,0) (0,1,0); `none` stands for an axis without a direction."""
    parts = re.findall(r"\([^()]*\)|none|\S", text)
    if not all(part[0] in "(n" for part in parts):
        msg = f"{text[:60]!r} are no vectors"
        raise ValueError(msg)
    return [tuple(float(number) for number in part[1:-1].split(",")) for part in parts if part != "none"]


def _nrrd_notes(fields: Mapping[str, str], spacing: tuple[float, ...]) -> tuple[str, ...]:
    notes = () if spacing else (_UNSPACED,)
    if fields.get("space", "").lower() not in _NRRD_SPACES or "spacedirections" not in fields:
        notes = (*notes, nifti_orientation.UNKNOWN)
    return notes


def _nrrd_spacing(fields: Mapping[str, str]) -> tuple[float, ...]:
    if "spacings" in fields:
        return tuple(float(number) for number in fields["spacings"].split())
    return tuple(math.hypot(*vector) for vector in _nrrd_vectors(fields.get("spacedirections", "")))


def _nrrd_voxel_bytes(name: str) -> int:
    plain = name.lower().replace("unsigned ", "").replace("signed ", "").replace(" ", "").removesuffix("_t")
    plain = plain.removesuffix("int") if plain not in {"int", "uint"} else plain
    plain = plain.removeprefix("u")
    return _SCALAR_BYTES[_NRRD_ALIASES.get(plain, plain)]


def _nrrd_encoding(fields: Mapping[str, str]) -> Encoding:
    skips = fields.get("lineskip", "0") != "0" or fields.get("byteskip", "0") != "0"
    if skips:
        return "unchecked"
    names: dict[str, Encoding] = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
    return names.get(fields["encoding"].lower(), "unchecked")


def _one_file(source: str) -> str:
    """The file that holds the voxels; readers take files that are missing from a series for slices of zeros."""
    if source.upper().startswith("LIST") or "%" in source:
        msg = f"the voxels are said to lie in a series of files ({source[:60]}); convert it to a single file"
        raise ValueError(msg)
    return source


def _next_line(content: bytes, position: int) -> tuple[str, int]:
    """The line at `position` without its end, and where the next one starts."""
    if position >= len(content):
        msg = "it ends too early"
        raise ValueError(msg)
    end = content.find(b"\n", position)
    end = len(content) if end < 0 else end
    line = content[position:end].decode("utf-8", errors="replace").removesuffix("\r")
    if _CONTROL.search(line):  # readers part there, or stop
        msg = f"control characters in the line {line[:60]!r}"
        raise ValueError(msg)
    return line, end + 1
