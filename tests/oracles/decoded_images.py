"""What an image file says, decoded from its bytes by the formats' definitions, with neither the package nor SimpleITK.

Sources: nifti1.h; the MetaIO and the NRRD format definitions. A decoder raises `UndecidedError` where one leaves open
what is meant, or where the file breaks it: such a file must not be accepted.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from oracles.corrupted_images import NIFTI_TYPES, Files, corrupt, intact_images

from autoseg.data.image import Image, LabelMap, read_image, read_labels
from autoseg.errors import AutosegError

TO_LPS: Final = np.diag([-1.0, -1.0, 1.0])


class UndecidedError(Exception):
    """The definition of the format does not say what the file means."""


@dataclass(frozen=True)
class Decoded:
    """What a file says.

    Attributes:
        array: values, (Z, Y, X), as stored times slope plus intercept.
        spacing_mm: along X, Y, Z; of the axes there are.
        axes: possible directions (3, 3), columns for X, Y, Z, in LPS; empty where the file states none.
        origins: of the first voxel, in LPS, one for each of `axes`.
    """

    array: NDArray[np.float64]
    spacing_mm: tuple[float, ...]
    axes: tuple[NDArray[np.float64], ...] = ()
    origins: tuple[NDArray[np.float64], ...] = ()


def decode(files: Files) -> Decoded:
    """Decode the first of the files.

    Raises:
        UndecidedError: it breaks its format's definition, or is ambiguous.
    """
    name, content = next(iter(files.items()))
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        if content[:4] in {struct.pack("<i", 348), struct.pack(">i", 348)}:
            return _nifti(content, files, name)
        if content.startswith(b"NRRD"):
            return _nrrd(content, files)
        return _metaimage(content, files)
    except (struct.error, ValueError, KeyError, EOFError, OSError, zlib.error, OverflowError, IndexError) as cause:
        raise UndecidedError(repr(cause)) from cause


def _shaped(data: bytes, dtype: str, sizes: tuple[int, ...]) -> NDArray[np.float64]:
    if len(sizes) > 3 and math.prod(sizes[3:]) != 1:
        msg = "several volumes"
        raise UndecidedError(msg)
    sizes = (*sizes, 1, 1)[:3]
    count = math.prod(sizes)
    return np.frombuffer(data, dtype, count=count).astype(np.float64).reshape(sizes[::-1])


# NIfTI-1


def _nifti(content: bytes, files: Files, name: str) -> Decoded:
    order = "<" if content[:4] == struct.pack("<i", 348) else ">"
    dims = struct.unpack_from(f"{order}8h", content, 40)
    sizes = tuple(max(size, 1) if axis > 2 else size for axis, size in enumerate(dims[1 : dims[0] + 1]))
    if min(sizes) < 1 or not 1 <= dims[0] <= 7:
        msg = f"sizes {dims}"
        raise UndecidedError(msg)
    (code,) = struct.unpack_from(f"{order}h", content, 70)
    kind = next(kind for kind, (number, _) in NIFTI_TYPES.items() if number == code)
    offset, slope, intercept = struct.unpack_from(f"{order}3f", content, 108)
    alone, pair = content[344:348] == b"n+1\0", content[344:348] == b"ni1\0"
    data = content if alone else files[Path(name).with_suffix(".img").name]
    array = _shaped(data[int(offset) :], order + kind, sizes)
    if slope != 0 and math.isfinite(slope) and (alone or pair):  # ANALYZE has neither scaling nor orientation
        if not math.isfinite(intercept):
            msg = f"intercept {intercept}"
            raise UndecidedError(msg)
        array = array * slope + intercept
    spacing_mm = _nifti_spacing(content, order, dims[0])
    if dims[0] < 3 or not (alone or pair):
        return Decoded(array, spacing_mm)
    return Decoded(array, spacing_mm, *_nifti_axes(content, order))


def _nifti_unit(content: bytes) -> float:
    return {1: 1000.0, 2: 1.0, 3: 0.001}.get(content[123] & 7, 1.0)  # metres, millimetres, micrometres


def _nifti_spacing(content: bytes, order: str, dimensions: int) -> tuple[float, ...]:
    pixdim = struct.unpack_from(f"{order}8f", content, 76)
    return tuple(number * _nifti_unit(content) for number in pixdim[1 : min(dimensions, 3) + 1])


def _nifti_axes(content: bytes, order: str) -> tuple[tuple[NDArray[np.float64], ...], tuple[NDArray[np.float64], ...]]:
    qform_code, sform_code = struct.unpack_from(f"{order}2h", content, 252)
    axes, origins = [], []
    if sform_code > 0:
        rows = np.array(struct.unpack_from(f"{order}12f", content, 280), dtype=np.float64).reshape(3, 4)
        axes.append(rows[:, :3] / np.linalg.norm(rows[:, :3], axis=0))
        origins.append(rows[:, 3])
    if qform_code > 0:
        b, c, d, *shift = struct.unpack_from(f"{order}6f", content, 256)
        b, c, d = (part / max(1.0, math.hypot(b, c, d)) for part in (b, c, d))  # rounded to more than a rotation
        a = math.sqrt(max(0.0, 1 - b * b - c * c - d * d))
        handed = -1.0 if struct.unpack_from(f"{order}f", content, 76)[0] < 0 else 1.0
        turn = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c) * handed],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b) * handed],
                [2 * (b * d - a * c), 2 * (c * d + a * b), (a * a + d * d - c * c - b * b) * handed],
            ]
        )
        axes.append(turn)
        origins.append(np.array(shift))
    unit = _nifti_unit(content)
    return tuple(TO_LPS @ matrix for matrix in axes), tuple(TO_LPS @ place * unit for place in origins)


# MetaImage


def _metaimage(content: bytes, files: Files) -> Decoded:
    fields: dict[str, str] = {}
    position = 0
    while "ElementDataFile" not in fields:
        end = content.index(b"\n", position)
        key, separator, value = content[position:end].decode("latin-1").partition("=")
        if not separator:
            msg = f"a line without = ({key!r})"
            raise UndecidedError(msg)
        if key.strip() in fields:
            msg = f"{key.strip()} twice"
            raise UndecidedError(msg)
        fields[key.strip()] = value.strip()
        position = end + 1
    if fields.get("ObjectType", "Image") != "Image":
        raise UndecidedError(fields["ObjectType"])
    kinds = {
        "CHAR": "i1",
        "UCHAR": "u1",
        "SHORT": "i2",
        "USHORT": "u2",
        "INT": "i4",
        "UINT": "u4",
        "FLOAT": "f4",
        "DOUBLE": "f8",
    }
    sizes = tuple(int(number) for number in fields["DimSize"].split())
    source = fields["ElementDataFile"]
    data = content[position:] if source == "LOCAL" else files[source]
    if _yes(fields, "CompressedData"):
        data = zlib.decompress(data)
    if not _yes(fields, "BinaryData", absent=True) or fields.get("HeaderSize", "0") != "0":
        msg = "text, or a header within the data"
        raise UndecidedError(msg)
    order = ">" if _yes(fields, "BinaryDataByteOrderMSB") or _yes(fields, "ElementByteOrderMSB") else "<"
    array = _shaped(data, order + kinds[fields["ElementType"].removeprefix("MET_")], sizes)
    spacing = fields.get("ElementSpacing", fields.get("ElementSize", " ".join("1" for _ in sizes)))
    matrix = fields.get("TransformMatrix", fields.get("Rotation", fields.get("Orientation", "1 0 0 0 1 0 0 0 1")))
    offset = fields.get("Offset", fields.get("Position", fields.get("Origin", "0 0 0")))
    spacing_mm = tuple(float(number) for number in spacing.split())
    if len(sizes) != 3:
        return Decoded(array, spacing_mm[:3])
    axes = np.array([float(number) for number in matrix.split()]).reshape(3, 3).T  # row i is the direction of axis i
    return Decoded(array, spacing_mm, (axes,), (np.array([float(number) for number in offset.split()]),))


def _yes(fields: dict[str, str], key: str, *, absent: bool = False) -> bool:
    if key not in fields:
        return absent
    if fields[key].lower() not in {"true", "false"}:
        msg = f"{key} = {fields[key]}"
        raise UndecidedError(msg)
    return fields[key].lower() == "true"


# NRRD


def _nrrd(content: bytes, files: Files) -> Decoded:
    fields, data = _nrrd_fields(content)
    if "data file" in fields:
        data = files[fields["data file"]]
    kinds = {
        "signed char": "i1",
        "unsigned char": "u1",
        "short": "i2",
        "unsigned short": "u2",
        "int": "i4",
        "float": "f4",
        "double": "f8",
    }
    sizes = tuple(int(number) for number in fields["sizes"].split())
    if fields["encoding"].lower() in {"gzip", "gz"}:
        data = gzip.decompress(data)
    elif fields["encoding"].lower() != "raw":
        raise UndecidedError(fields["encoding"])
    if len(sizes) != int(fields["dimension"]) or {"byte skip", "line skip"} & fields.keys():
        msg = "sizes, or skipped data"
        raise UndecidedError(msg)
    kind = kinds[fields["type"].lower()]
    order = "<" if kind in {"i1", "u1"} else {"little": "<", "big": ">"}[fields["endian"].lower()]
    array = _shaped(data, order + kind, sizes)
    if "space directions" not in fields:
        spacing = fields.get("spacings", " ".join("1" for _ in sizes))
        return Decoded(array, tuple(float(number) for number in spacing.split())[:3])
    vectors = [[float(n) for n in vector.split(",")] for vector in re.findall(r"\(([^)]*)\)", fields["space directions"])]
    columns = np.array(vectors).T
    lengths = np.linalg.norm(columns, axis=0)
    flip = _nrrd_space(fields.get("space", ""))
    if flip is None:
        return Decoded(array, tuple(lengths.tolist()))
    origin = np.array([float(n) for n in fields.get("space origin", "(0,0,0)").strip("()").split(",")])
    return Decoded(array, tuple(lengths.tolist()), (flip @ columns / lengths,), (flip @ origin,))


def _nrrd_fields(content: bytes) -> tuple[dict[str, str], bytes]:
    fields: dict[str, str] = {}
    position = content.index(b"\n") + 1
    while True:
        end = content.find(b"\n", position)
        if end < 0 and "data file" not in fields and not content[position:].startswith(b"data file"):
            msg = "no end of the header"
            raise UndecidedError(msg)
        line = content[position : end if end >= 0 else None].decode("latin-1").removesuffix("\r")
        position = end + 1 if end >= 0 else len(content)
        if not line:
            return fields, content[position:]
        if line.startswith("#") or ":=" in line:
            continue
        key, separator, value = line.partition(": ")
        if not separator or key.lower() in fields:
            msg = f"{line!r} is no field, or repeated"
            raise UndecidedError(msg)
        fields[key.lower()] = value.strip()


def _nrrd_space(name: str) -> NDArray[np.float64] | None:
    """From a space to LPS; None for spaces that do not say where the patient lies in them."""
    signs = {
        "left-posterior-superior": (1, 1, 1),
        "right-anterior-superior": (-1, -1, 1),
        "left-anterior-superior": (1, -1, 1),
    }
    return np.diag(signs[name.lower()]).astype(np.float64) if name.lower() in signs else None


# What the package makes of it


@dataclass(frozen=True)
class ReadImages:
    """Reads corrupted images by number.

    Attributes:
        folder: where they are written to, one after the other.
        seed: of what is done to them.
    """

    folder: Path
    seed: int

    def prepare(self) -> None:
        """Read every intact image, which must be what it says."""
        for kind, files in intact_images().items():
            outcome = self._judge(files)
            assert outcome == "accepted", f"{kind}: {outcome}"

    def __call__(self, number: int) -> str:
        """Read one; says how it ended."""
        kind, files = corrupt(self._images, np.random.default_rng((self.seed, number)))
        return f"{self._judge(files)} {kind}"

    @cached_property
    def _images(self) -> dict[str, Files]:
        return intact_images()

    def _judge(self, files: Files) -> str:
        for path in self.folder.iterdir():
            path.unlink()
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        path = self.folder / next(iter(files))
        outcomes = [_outcome(reader, path, files) for reader in (_scan, _labels)]
        return "accepted" if "accepted" in outcomes else outcomes[0]


def _scan(path: Path) -> Image:
    return read_image([path], channels=1)


def _labels(path: Path) -> LabelMap:
    return read_labels(path)


def _outcome(reader: Callable[[Path], Image | LabelMap], path: Path, files: Files) -> str:
    try:
        found = reader(path)
    except AutosegError as refused:
        if not (refused.remedy and refused.where):
            raise
        return "refused"
    try:
        said = decode(files)
    except UndecidedError as cause:
        msg = f"accepted with {found.warnings}, although {cause}: {found.geometry}"
        raise AssertionError(msg) from cause
    _compare(found, said)
    return "accepted"


@np.errstate(invalid="ignore", over="ignore")
def _compare(found: Image | LabelMap, said: Decoded) -> None:
    expected = said.array.astype(found.array.dtype)
    array = found.array[0] if isinstance(found, Image) else found.array
    np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-12)
    spacing = (*said.spacing_mm, 1.0, 1.0)[:3]
    extents = found.geometry.shape[::-1]
    for axis, (ours, theirs) in enumerate(zip(found.geometry.spacing_mm[::-1], spacing, strict=True)):
        if extents[axis] > 1 or theirs > 0:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, err_msg="spacing")
    if not said.axes:
        assert len(said.spacing_mm) < 3 or any("orientation" in note for note in found.warnings), (
            "no word about the orientation"
        )
        return
    distances = [_distance_mm(found, said, number) for number in range(len(said.axes))]  # infinite for axes that are none
    assert min(distances) < 1e-3, f"orientation or origin: {found.geometry}, the file says {said.axes} {said.origins}"
    quiet = not any("disagree" in note for note in found.warnings)
    assert not (quiet and max(distances) > 0.11), f"no word about a contradiction: {found.geometry}"


def _distance_mm(found: Image | LabelMap, said: Decoded, number: int) -> float:
    """How far corners of the volume lie from where the file says; where space is huge, in per cent of their coordinates."""
    corners = np.indices((2, 2, 2)).reshape(3, 8) * (np.array(found.geometry.shape[::-1]) - 1)[:, np.newaxis]
    steps = corners * np.array(found.geometry.spacing_mm[::-1])[:, np.newaxis]
    ours = np.reshape(found.geometry.direction, (3, 3)) @ steps + np.array(found.geometry.origin_mm)[:, np.newaxis]
    theirs = said.axes[number] @ steps + said.origins[number][:, np.newaxis]
    distance = (np.linalg.norm(ours - theirs, axis=0) / np.maximum(1, np.linalg.norm(theirs, axis=0) / 100)).max()
    return math.inf if math.isnan(distance) else float(distance)
