"""NRRD. Source: the format definition, and what its library in ITK 5.4 does with what breaks it."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

from autoseg.formats.format import Format
from autoseg.formats.grid import sheared
from autoseg.formats.header import SHEARED, UNORIENTED, UNSPACED, Encoding, Header, not_scalar
from autoseg.formats.segments import segments_of
from autoseg.formats.text import SCALAR_BYTES, next_line, one_file
from autoseg.formats.units import stated_mm

_SPACES = {"left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las"}
_GRID_KINDS = {"domain", "space", "time", "???", "none"}
_ALPHA_KINDS = {"rgba-color", "4-color"}
_CHANNEL_KINDS = {*_ALPHA_KINDS, "rgb-color", "3-color", "vector", "3-vector", "4-vector", "list"}
_ALIASES = {"longlong": "long_long", "int8": "char", "int16": "short", "int32": "int", "int64": "long_long"}


def parse_nrrd(content: bytes, path: Path) -> Header:
    """Parse a NRRD header, and nothing that its library would ignore.

    Args:
        content: the beginning of the file.
        path: the file.

    Raises:
        ImageError: it is no header of an image.
        KeyError, ValueError: it breaks the format's definition.
    """
    fields, pairs, position = _fields(content)
    origin = _vectors(fields.get("spaceorigin", "(0)"))
    if len(origin) != 1 or not all(math.isfinite(number) for number in origin[0]):
        msg = f"space origin {fields['spaceorigin'][:60]!r}"
        raise ValueError(msg)
    kinds = fields.get("kinds", "").lower().split()
    several = bool(kinds) and kinds[0] in _CHANNEL_KINDS
    if not set(kinds[several:]) <= _GRID_KINDS:
        raise not_scalar(path, f"kinds: {fields['kinds']}")
    sizes = tuple(int(size) for size in fields["sizes"].split())
    if int(fields["dimension"]) != len(sizes):
        msg = f"dimension {fields['dimension']}, but sizes {fields['sizes']}"
        raise ValueError(msg)
    if several and (len(kinds) != len(sizes) or sizes[0] < 1):
        msg = f"sizes {fields['sizes']} of kinds {fields['kinds']}"
        raise ValueError(msg)
    if several and fields.get("spacedirections", "none").split()[0] != "none":
        msg = f"an axis of {kinds[0]} has no place in space, but its direction is stated"
        raise ValueError(msg)
    components = sizes[0] if several else 1
    spacing = _spacing(fields, first=several)
    source = one_file(fields["datafile"]) if "datafile" in fields else None
    return Header(
        sizes=sizes[several:],
        spacing_mm=spacing[:3],
        voxel_bytes=components * _voxel_bytes(fields["type"]),
        components=components,
        segments=segments_of(pairs, layers=components),
        alpha=several and kinds[0] in _ALPHA_KINDS,
        data_start=0 if source else position,
        data_file=source,
        encoding=_encoding(fields),
        unit_mm=_unit_mm(fields, path, first=several),
        warnings=_warnings(fields, spacing),
    )


def _fields(content: bytes) -> tuple[dict[str, str], dict[str, str], int]:
    """The fields by name, in small letters without spaces; pairs of keys and values; and where the header ends."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    _, position = next_line(content, 0)
    line, position = next_line(content, position)
    while line:
        key, separator, value = _parts(line)
        if separator == ": ":
            fields[key.lower().replace(" ", "")] = value.strip()
        elif separator == ":=":
            pairs[key] = value
        detached_end = "datafile" in fields and position >= len(content)  # only a header of its own may lack the empty line
        line, position = ("", position) if detached_end else next_line(content, position)
    return fields, pairs, position


def _parts(line: str) -> tuple[str, str, str]:
    """A field (": "), a pair (":=") or a comment ("#"), taken apart."""
    if line.startswith("#"):
        return "", "#", line
    found = re.match(r"(?P<key>[^:]*)(?P<separator>: |:=)(?P<value>.*)", line)
    if found is None:
        msg = f"the line {line[:60]!r} is neither a field nor a comment"
        raise ValueError(msg)
    return found["key"], found["separator"], found["value"]


def _vectors(text: str) -> list[tuple[float, ...]]:
    """Vectors such as (1,0,0) (0,1,0); `none` stands for an axis without a direction."""
    parts = re.findall(r"\([^()]*\)|none|\S", text)
    if not all(part[0] in "(n" for part in parts):
        msg = f"{text[:60]!r} are no vectors"
        raise ValueError(msg)
    return [tuple(float(number) for number in part[1:-1].split(",")) for part in parts if part != "none"]


def _warnings(fields: Mapping[str, str], spacing: tuple[float, ...]) -> tuple[str, ...]:
    warnings = () if spacing else (UNSPACED,)
    if fields.get("space", "").lower() not in _SPACES or "spacedirections" not in fields:
        warnings = (*warnings, UNORIENTED)
    return (*warnings, SHEARED) if sheared(_vectors(fields.get("spacedirections", ""))) else warnings


def _spacing(fields: Mapping[str, str], *, first: int) -> tuple[float, ...]:
    """Along the axes of space, the first of which is the file's axis 0 or 1."""
    if "spacings" in fields:
        return tuple(float(number) for number in fields["spacings"].split()[first:])
    if "spacedirections" not in fields and {"axismins", "axismaxs"} <= fields.keys():
        msg = "the size of voxels follows from axis mins and axis maxs alone, which readers ignore; state spacings"
        raise ValueError(msg)
    return tuple(math.hypot(*vector) for vector in _vectors(fields.get("spacedirections", "")))


def _unit_mm(fields: Mapping[str, str], path: Path, *, first: int) -> float:
    """The one unit of space, in mm: of the world's axes, or of each of the file's own."""
    units = _words(fields["spaceunits"]) if "spaceunits" in fields else _words(fields.get("units", ""))[first : first + 3]
    lengths = {stated_mm(unit, where=path) for unit in units}
    if len(lengths) > 1:
        msg = f"units that differ between axes ({', '.join(units)})"
        raise ValueError(msg)
    return lengths.pop() if lengths else 1.0


def _words(text: str) -> list[str]:
    """Words in quotes; writers leave the quotes out where a word has no blank."""
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^\s"]+)', text)]


def _voxel_bytes(name: str) -> int:
    plain = name.lower().replace("unsigned ", "").replace("signed ", "").replace(" ", "").removesuffix("_t")
    plain = plain.removesuffix("int") if plain not in {"int", "uint"} else plain
    plain = plain.removeprefix("u")
    return SCALAR_BYTES[_ALIASES.get(plain, plain)]


def _encoding(fields: Mapping[str, str]) -> Encoding:
    skips = fields.get("lineskip", "0") != "0" or fields.get("byteskip", "0") != "0"
    if skips:
        return "unchecked"
    names: dict[str, Encoding] = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
    return names.get(fields["encoding"].lower(), "unchecked")


NRRD = Format(
    name="NRRD",
    suffixes=(".nrrd", ".nhdr"),
    magic=re.compile(rb"NRRD000"),
    parse=parse_nrrd,
    writable=(".nrrd",),
)
