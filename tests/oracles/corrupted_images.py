"""Image files of every kind, written byte by byte, and what may happen to their bytes."""

import gzip
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Files = dict[str, bytes]
"""Contents by name; the first is the one that is opened."""

Generator = np.random.Generator

NIFTI_TYPES: Final = {
    "u1": (2, 8), "i2": (4, 16), "i4": (8, 32), "f4": (16, 32), "f8": (64, 64), "i1": (256, 8), "u2": (512, 16),
    "u4": (768, 32), "i8": (1024, 64), "u8": (1280, 64),
}  # fmt: skip
"""Code and bits of a voxel by numpy's name. Source: nifti1.h."""

FIELDS: Final = (
    (0, "i"), *((40 + 2 * axis, "h") for axis in range(8)), (56, "f"), (68, "h"), (70, "h"), (72, "h"), (74, "h"),
    *((76 + 4 * axis, "f") for axis in range(8)), (108, "f"), (112, "f"), (116, "f"), (120, "h"), (123, "b"), (124, "f"),
    (128, "f"), (252, "h"), (254, "h"), *((256 + 4 * number, "f") for number in range(18)), (344, "i"), (348, "i"),
)  # fmt: skip
"""Offsets and types of the fields of a NIfTI-1 header. Source: nifti1.h."""

_INTEGERS: Final = (
    0,
    -1,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    16,
    32,
    64,
    127,
    128,
    255,
    256,
    512,
    1024,
    1280,
    2304,
    32767,
    -32768,
    30000,
)
_FLOATS: Final = (
    0.0,
    -1.0,
    1.0,
    0.5,
    2.0,
    3.0,
    352.0,
    353.0,
    348.0,
    1e-30,
    1e30,
    3e38,
    1e9,
    float("nan"),
    float("inf"),
    float("-inf"),
)
_TEXTS: Final = (
    b"0", b"-1", b"1", b"2", b"3", b"4", b"65536", b"99999999999", b"4294967297", b"1e30", b"0.5", b"nan", b"inf", b"-inf",
    b"True", b"False", b"true", b"T", b"", b" ", b"5 4 3", b"3 4 5", b"5 4", b"5 4 3 2", b"1 1 1", b"0 0 0", b"-1 1 1",
    b"1 0 0 0 1 0 0 0 1", b"0 1 0 1 0 0 0 0 1", b"MET_SHORT", b"MET_UCHAR", b"MET_FLOAT", b"MET_DOUBLE", b"MET_CHAR_ARRAY",
    b"MET_OTHER", b"LOCAL", b"LIST", b"other.raw", b"raw", b"gzip", b"ascii", b"hex", b"bzip2", b"little", b"big", b"short",
    b"unsigned char", b"float", b"double", b"block", b"(1,0,0) (0,1,0) (0,0,1)", b"(0,2,0) (2,0,0) (0,0,2)", b"none",
    b"left-posterior-superior", b"right-anterior-superior", b"scanner-xyz", b"domain domain domain", b"vector domain domain",
    b"\xff\xfe", b"\x00",
)  # fmt: skip


def voxels(dtype: str, shape: tuple[int, ...] = (3, 4, 5), *, labels: bool = False) -> NDArray[np.generic]:
    """Numbers that every type holds exactly, different enough to notice when they are moved."""
    count = int(np.prod(shape))
    numbers = np.arange(count) * 7 % 4 if labels else np.arange(count) * 37 % 120
    return numbers.reshape(shape).astype(dtype)


def nifti(
    array: NDArray[np.generic],
    *,
    order: str = "<",
    slope: tuple[float, float] = (1.0, 0.0),
    forms: tuple[int, int] = (1, 1),
    pair: bool = False,
) -> bytes:
    """A NIfTI-1 file, or the header of a pair."""
    header = bytearray(348)
    sizes = array.shape[::-1]
    spacing = (0.9, 1.5, 2.0, 1.0)
    code, bits = NIFTI_TYPES[array.dtype.str[1:]]
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}{1 + len(sizes)}h", header, 40, len(sizes), *sizes)
    struct.pack_into(f"{order}2h", header, 70, code, bits)
    struct.pack_into(f"{order}{1 + len(sizes)}f", header, 76, 1.0, *spacing[: len(sizes)])
    struct.pack_into(f"{order}3f", header, 108, 0 if pair else 352, *slope)
    header[123] = 2  # millimetres
    struct.pack_into(f"{order}2h", header, 252, *forms)
    struct.pack_into(f"{order}6f", header, 256, 0, 0, 1, 7, -8, 9)  # half a turn about z, and an offset
    struct.pack_into(f"{order}12f", header, 280, -0.9, 0, 0, 7, 0, -1.5, 0, -8, 0, 0, 2.0, 9)
    header[344:348] = b"ni1\0" if pair else b"n+1\0"
    return bytes(header) if pair else bytes(header) + bytes(4) + array.astype(array.dtype.newbyteorder(order)).tobytes()


def metaimage(array: NDArray[np.generic], *, compressed: bool = False, file: str = "LOCAL") -> bytes:
    """A MetaImage file, or its header where the voxels lie in another one."""
    names = {"u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "f4": "FLOAT", "f8": "DOUBLE", "i4": "INT"}
    data = zlib.compress(array.tobytes()) if compressed else array.tobytes()
    lines = [
        "ObjectType = Image",
        f"NDims = {array.ndim}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        f"CompressedData = {compressed}",
        *([f"CompressedDataSize = {len(data)}"] if compressed else []),
        "TransformMatrix = 0 1 0 -1 0 0 0 0 1",
        "Offset = 7 -8 9",
        "CenterOfRotation = 0 0 0",
        "AnatomicalOrientation = RAI",
        "ElementSpacing = 0.9 1.5 2",
        f"DimSize = {' '.join(map(str, array.shape[::-1]))}",
        f"ElementType = MET_{names[array.dtype.str[1:]]}",
        f"ElementDataFile = {file}",
    ]
    return "".join(f"{line}\n" for line in lines).encode() + (data if file == "LOCAL" else b"")


def nrrd(
    array: NDArray[np.generic], *, encoding: str = "raw", space: str = "left-posterior-superior", file: str = ""
) -> bytes:
    """A NRRD file, or its header where the voxels lie in another one."""
    names = {"u1": "unsigned char", "i2": "short", "u2": "unsigned short", "f4": "float", "f8": "double", "i4": "int"}
    data = gzip.compress(array.tobytes(), mtime=0) if encoding == "gzip" else array.tobytes()
    lines = [
        "NRRD0004",
        "# a remark",
        f"type: {names[array.dtype.str[1:]]}",
        f"dimension: {array.ndim}",
        f"space: {space}",
        f"sizes: {' '.join(map(str, array.shape[::-1]))}",
        "space directions: (0,0.9,0) (-1.5,0,0) (0,0,2)",
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {encoding}",
        "space origin: (7,-8,9)",
        "subject:=nobody",
        *([f"data file: {file}"] if file else []),
    ]
    return "".join(f"{line}\n" for line in lines).encode() + (b"" if file else b"\n" + data)


def intact_images() -> dict[str, Files]:
    """One image of every kind."""
    short, labels = voxels("i2"), voxels("u1", labels=True)
    found: dict[str, Files] = {
        f"nifti {dtype}{order}": {"a.nii": nifti(voxels(dtype), order=order)} for dtype in NIFTI_TYPES for order in "<>"
    }
    found |= {
        "nifti scaled": {"a.nii": nifti(short, slope=(2.0, -5.0))},
        "nifti unscaled": {"a.nii": nifti(short, slope=(0.0, 0.0))},
        "nifti qform": {"a.nii": nifti(short, forms=(1, 0))},
        "nifti sform": {"a.nii": nifti(short, forms=(0, 1))},
        "nifti nowhere": {"a.nii": nifti(short, forms=(0, 0))},
        "nifti 2D": {"a.nii": nifti(voxels("i2", (4, 5)))},
        "nifti 4D": {"a.nii": nifti(voxels("i2", (1, 3, 4, 5)))},
        "nifti labels": {"a.nii": nifti(labels)},
        "nifti plain": {"a.nii.gz": nifti(short)},
        "nifti pair": {"a.hdr": nifti(short, pair=True), "a.img": short.tobytes()},
        **{
            f"gzip {name}": {"a.nii.gz": gzip.compress(nifti(array, order=order), mtime=0)}
            for name, array, order in (("short", short, "<"), ("float", voxels("f4"), ">"), ("labels", labels, "<"))
        },
        "mha raw": {"a.mha": metaimage(short)},
        "mha float": {"a.mha": metaimage(voxels("f4"))},
        "mha zlib": {"a.mha": metaimage(labels, compressed=True)},
        "mhd": {"a.mhd": metaimage(short, file="a.raw"), "a.raw": short.tobytes()},
        "nrrd raw": {"a.nrrd": nrrd(short)},
        "nrrd ras": {"a.nrrd": nrrd(voxels("f8"), space="right-anterior-superior")},
        "nrrd gzip": {"a.nrrd": nrrd(labels, encoding="gzip")},
        "nhdr": {"a.nhdr": nrrd(short, file="a.raw"), "a.raw": short.tobytes()},
    }
    return found


def corrupt(images: Mapping[str, Files], generator: Generator) -> tuple[str, Files]:
    """One of the images with something done to it; its kind, and its files."""
    kind = str(generator.choice(list(images)))
    contents = dict(images[kind])
    name = str(generator.choice(list(contents))) if generator.random() < 0.2 else next(iter(contents))
    contents[name] = _corrupted(contents[name], kind, images, generator)
    return kind.partition(" ")[0], contents


def _corrupted(content: bytes, kind: str, images: Mapping[str, Files], generator: Generator) -> bytes:
    if content[:2] == b"\x1f\x8b":
        if generator.random() < 0.3:
            return any_bytes(content, generator)
        return gzip.compress(_corrupted(gzip.decompress(content), kind, images, generator), mtime=0)
    if generator.random() < 0.04:
        return _spliced(content, images, generator)
    if content[:4] in {struct.pack("<i", 348), struct.pack(">i", 348)}:
        ways: tuple[Callable[[bytes, Generator], bytes], ...] = (_nifti_fields, _nifti_fields, _header_bits, any_bytes)
    elif content[:4] in {b"Obje", b"NRRD"}:
        ways = (_lines, _lines, _lines, any_bytes)
    else:
        ways = (any_bytes,)
    for _ in range(int(generator.integers(1, 3))):
        content = ways[int(generator.integers(len(ways)))](content, generator)
    return content


def _nifti_fields(content: bytes, generator: Generator) -> bytes:
    changed = bytearray(content)
    order = "<" if content[:1] != b"\0" else ">"
    for _ in range(int(generator.integers(1, 3))):
        offset, form = FIELDS[int(generator.integers(len(FIELDS)))]
        if offset + 4 > len(changed):
            continue
        value: float = generator.choice(_FLOATS) if form == "f" else int(generator.choice(_INTEGERS))
        value = int(value) % 128 if form == "b" else value
        struct.pack_into(order + form, changed, offset, value)
    return bytes(changed)


def _header_bits(content: bytes, generator: Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(int(generator.integers(1, 4)) if changed else 0):
        changed[int(generator.integers(min(352, len(changed))))] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def any_bytes(content: bytes, generator: Generator) -> bytes:
    """Remove, repeat, overwrite, append or flip some."""
    start = int(generator.integers(len(content) + 1))
    stop = min(len(content), start + int(generator.integers(1, 20)))
    way = generator.integers(6)
    if way == 0:
        return content[:start]
    if way == 1:
        return content[:start] + content[stop:]
    if way == 2:
        return content[:start] + generator.bytes(stop - start) + content[stop:]
    if way == 3:
        return content[:stop] + content[start:]
    if way == 4:
        return content + generator.bytes(int(generator.integers(1, 9000)))
    changed = bytearray(content)
    if changed:
        changed[min(start, len(changed) - 1)] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def _lines(content: bytes, generator: Generator) -> bytes:
    """Change the lines of a text header; what follows stays as it is."""
    head, tail = _split(content)
    lines = head.split(b"\n")
    number = int(generator.integers(len(lines)))
    other = int(generator.integers(len(lines)))
    way = generator.integers(9)
    if way == 0:
        del lines[number]
    elif way == 1:
        lines.insert(other, lines[number])
    elif way == 2:
        lines[number], lines[other] = lines[other], lines[number]
    elif way == 3:
        lines[number] = lines[number].swapcase()
    elif way == 4:
        lines[number] += b"\r" if generator.random() < 0.5 else b"  "
    elif way == 5:
        lines[number] = b" " + lines[number]
    elif way == 6:
        lines = [line + b"\r" for line in lines]
    else:
        mark = b" = " if b" = " in lines[number] else b": "
        key, found, _ = lines[number].partition(mark)
        lines[number] = key + found + _TEXTS[int(generator.integers(len(_TEXTS)))]
    return b"\n".join(lines) + tail


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Header and rest; the end of the header's last line belongs to the rest."""
    is_nrrd = content.startswith(b"NRRD")
    end = content.find(b"\n\n") if is_nrrd else content.find(b"\n", content.find(b"ElementDataFile"))
    end = len(content) if end < 0 else end
    return content[:end], content[end:]


def _spliced(content: bytes, images: Mapping[str, Files], generator: Generator) -> bytes:
    """The beginning of one file and the end of another."""
    other = next(iter(images[str(generator.choice(list(images)))].values()))
    return content[: int(generator.integers(len(content) + 1))] + other[int(generator.integers(len(other))) :]
