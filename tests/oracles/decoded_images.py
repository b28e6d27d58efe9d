"""What an image file says: NIfTI and ANALYZE by nibabel, NRRD by pynrrd, with neither the package nor SimpleITK.

No library but ITK's own reads MetaImage: its decoder is written here, by the MetaIO format definition. A decoder raises
`UndecidedError` where the format leaves open what is meant, or where the file breaks it: such a file must not be accepted.
Where a library is stricter than its format, or looser, stands beside the line that makes up for it.
"""

import gzip
import io
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import nrrd
import numpy as np
from nibabel import Nifti1Header
from nibabel.quaternions import quat2mat
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray
from oracles.corrupted_images import Files, corrupt, intact_images

from autoseg.errors import AutosegError
from autoseg.images.image import Image, LabelMap, read_image, read_labels

TO_LPS: Final = np.diag([-1.0, -1.0, 1.0])
_BROKEN: Final = (
    struct.error, ValueError, KeyError, EOFError, OSError, zlib.error, OverflowError, IndexError, TypeError,
    HeaderDataError, nrrd.NRRDError,
)  # fmt: skip


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
    except _BROKEN as cause:
        raise UndecidedError(repr(cause)) from cause


def _volume(array: NDArray[Any]) -> NDArray[np.float64]:
    """One volume, (Z, Y, X), from an array in that order."""
    if math.prod(array.shape[:-3]) != 1:
        msg = "several volumes"
        raise UndecidedError(msg)
    return array.astype(np.float64).reshape((1, 1, 1, *array.shape)[-3:])


# NIfTI-1 and ANALYZE


class _Header(Nifti1Header):
    quaternion_threshold = -3e-3  # 1.001 squared: what was rounded to more than a rotation is none for nibabel


_ANALYZE_UNITS = {b"m": 1e3, b"cm": 10.0, b"um": 1e-3, b"nm": 1e-6, b"in": 25.4, b"inch": 25.4}


def _nifti(content: bytes, files: Files, name: str) -> Decoded:
    order = "<" if content[:4] == struct.pack("<i", 348) else ">"
    header = _Header(content[:348], endianness=order, check=False)  # its checks would correct fields that count
    alone, pair = content[344:348] == b"n+1\0", content[344:348] == b"ni1\0"
    dimensions = int(header["dim"][0])
    if not 1 <= dimensions <= 7 or header["dim"][1 : min(dimensions, 3) + 1].min() < 1:
        msg = f"sizes {header['dim']}"
        raise UndecidedError(msg)
    header["dim"][4:] = np.maximum(header["dim"][4:], 1)  # beyond space writers leave 0, which nibabel takes for no voxels
    header["pixdim"][0] = -1 if header["pixdim"][0] < 0 else 1  # nibabel refuses any other sign
    data = content if alone else files[Path(name).with_suffix(".img").name]
    array = _volume(header.raw_data_from_fileobj(io.BytesIO(data)).T)
    slope, intercept = header.get_slope_inter() if alone or pair else (None, None)  # ANALYZE has no scaling
    if slope is not None:
        array = array * slope + intercept
    unit = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7, 1.0)  # metres, micrometres: nibabel leaves them
    if not (alone or pair):
        unit = _ANALYZE_UNITS.get(content[56:60].split(b"\0")[0].strip().lower(), 1.0)
    spacing_mm = tuple(float(number) * unit for number in header["pixdim"][1 : min(dimensions, 3) + 1])
    if dimensions < 3 or not (alone or pair):
        return Decoded(array, spacing_mm)
    return Decoded(array, spacing_mm, *_nifti_axes(header, unit))


@np.errstate(invalid="ignore")
def _nifti_axes(header: Nifti1Header, unit: float) -> tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]]:
    axes, origins = [], []
    if header["sform_code"] > 0:
        sform = header.get_sform()
        axes.append(sform[:3, :3] / np.linalg.norm(sform[:3, :3], axis=0))
        origins.append(sform[:3, 3])
    if header["qform_code"] > 0:
        axes.append(quat2mat(header.get_qform_quaternion()) * (1, 1, header["pixdim"][0]))
        origins.append(np.array([header[f"qoffset_{axis}"] for axis in "xyz"], dtype=np.float64))
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
    dtype = order + kinds[fields["ElementType"].removeprefix("MET_")]
    array = _volume(np.frombuffer(data, dtype, count=math.prod(sizes)).reshape(sizes[::-1]))
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

_SIGNS: Final = {
    "left-posterior-superior": (1.0, 1.0, 1.0),
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
}
"""From a space to LPS; other spaces do not say where the patient lies in them."""


def _nrrd(content: bytes, files: Files) -> Decoded:
    stream = io.BytesIO(content)
    lines = [stream.readline()]
    while line := stream.readline().rstrip(b"\r\n"):
        key, mark, value = line.partition(b":")
        if not value.startswith(b"="):  # key/value pairs are no fields, whatever they are called; for pynrrd they are
            value = value.replace(b")(", b") (")  # pynrrd parts vectors at blanks only
            lines.append(key.lower() + mark + value)  # names of fields have no case; for pynrrd they have
    header = nrrd.read_header(lines)
    header |= {key: header[key].lower() for key in ("type", "encoding", "endian") if key in header}
    data = files[header.pop("data file")] if "data file" in header else stream.read()
    if header["encoding"] in {"gzip", "gz"}:  # pynrrd verifies no checksum, and refuses padding
        data, header["encoding"] = gzip.decompress(data), "raw"
    if {"byte skip", "line skip"} & header.keys():
        msg = "skipped data"
        raise UndecidedError(msg)
    array = _volume(nrrd.read_data(header, io.BytesIO(data), index_order="C"))
    if "space directions" not in header:
        return Decoded(array, tuple(header.get("spacings", np.ones(len(header["sizes"]))))[:3])
    columns = header["space directions"].T
    lengths = np.linalg.norm(columns, axis=0)
    if (signs := _SIGNS.get(header.get("space", "").lower())) is None:
        return Decoded(array, tuple(lengths.tolist()))
    flip = np.diag(signs)
    return Decoded(
        array, tuple(lengths.tolist()), (flip @ columns / lengths,), (flip @ header.get("space origin", np.zeros(3)),)
    )


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
