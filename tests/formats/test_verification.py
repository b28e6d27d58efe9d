"""Damaged and impossible files, each made here byte by byte, are refused before any reader sees them."""

import bz2
import contextlib
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from autoseg.errors import AutosegError, ImageError
from autoseg.formats.verification import TAIL_BYTES, verify_file

SHAPE = (10, 20, 30)  # Z, Y, X
DATA_BYTES = 10 * 20 * 30 * 2


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.int16)


@pytest.fixture
def nifti(voxels: np.ndarray, tmp_path: Path) -> bytearray:
    """A plain NIfTI file's bytes: 352 of header, then 12,000 of int16 voxels."""
    return bytearray(stored(tmp_path / "source.nii", voxels))


def stored(path: Path, voxels: np.ndarray, *, compressed: bool = False) -> bytes:
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path), useCompression=compressed)
    return path.read_bytes()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        verify_file(path)
    assert str(path.parent) in str(caught.value)
    return str(caught.value)


# What is whole passes


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.mhd", "a.nrrd", "a.nhdr", "a.hdr", "Ärzte 1/ä b.nii.gz"])
@pytest.mark.parametrize("compressed", [False, True])
def test_whole_files_pass_without_remarks(tmp_path: Path, voxels: np.ndarray, name: str, *, compressed: bool) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    stored(tmp_path / name, voxels, compressed=compressed)
    assert verify_file(tmp_path / name) == ()


def test_big_endian_nifti_passes(tmp_path: Path, voxels: np.ndarray) -> None:
    import nibabel as nib

    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    image = nib.Nifti1Image(voxels.T, np.eye(4), header)
    nib.save(image, tmp_path / "big.nii.gz")
    assert gzip.decompress((tmp_path / "big.nii.gz").read_bytes())[:4] == struct.pack(">i", 348)
    assert verify_file(tmp_path / "big.nii.gz") == ()


def test_plain_nifti_named_gz_passes_with_a_remark(tmp_path: Path, nifti: bytearray) -> None:
    (note,) = verify_file(written(tmp_path / "plain.nii.gz", nifti))
    assert "plain NIfTI" in note


def test_several_gzip_members_and_zero_padding_pass(tmp_path: Path, nifti: bytearray) -> None:
    content = gzip.compress(nifti[:100]) + gzip.compress(nifti[100:5000]) + gzip.compress(nifti[5000:]) + bytes(512)
    assert verify_file(written(tmp_path / "members.nii.gz", content)) == ()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_short_tail_passes_and_a_long_one_does_not(
    tmp_path: Path, nifti: bytearray, pack: Callable[[bytes], bytes]
) -> None:
    name = "tail.nii" if pack is bytes else "tail.nii.gz"
    assert verify_file(written(tmp_path / name, pack(nifti + bytes(TAIL_BYTES)))) == ()
    message = refusal(written(tmp_path / name, pack(nifti + bytes(TAIL_BYTES + 1))))
    assert "more data than the header accounts for" in message
    assert "12352 bytes" in message


# Damage


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.99])
def test_a_cut_gzip_names_the_bytes_expected_and_found(tmp_path: Path, nifti: bytearray, keep: float) -> None:
    content = gzip.compress(nifti)
    message = refusal(written(tmp_path / "cut.nii.gz", content[: int(keep * len(content))]))
    assert "cut off" in message
    assert "bytes" in message.partition("found")[2]


def test_half_a_gzip_names_the_bytes_of_the_whole(tmp_path: Path, nifti: bytearray) -> None:
    content = gzip.compress(nifti)
    assert "expected 12352 bytes" in refusal(written(tmp_path / "cut.nii.gz", content[: len(content) // 2]))


def test_a_gzip_without_its_checksum_is_cut_off(tmp_path: Path, nifti: bytearray) -> None:
    assert "and a checksum" in refusal(written(tmp_path / "cut.nii.gz", gzip.compress(nifti)[:-8]))


def test_every_tenth_flipped_bit_in_a_gzip_is_found(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 9, (3, 4, 5)).astype(np.uint8)
    whole = stored(tmp_path / "whole.nii.gz", voxels)
    for bit in range(10 * 8, 8 * len(whole), 10):  # after the ten bytes of the gzip header, which hold only name and time
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        refusal(written(tmp_path / "flipped.nii.gz", damaged))


def test_a_wrong_checksum_is_found(tmp_path: Path, nifti: bytearray) -> None:
    content = bytearray(gzip.compress(nifti))
    content[-8] ^= 1
    assert "checksum" in refusal(written(tmp_path / "crc.nii.gz", content))


def test_raw_data_shorter_than_the_header_says(tmp_path: Path, nifti: bytearray) -> None:
    message = refusal(written(tmp_path / "short.nii", nifti[:-1]))
    assert "expected 12352 bytes" in message
    assert "found 12351 bytes" in message


def test_a_header_that_ends_early(tmp_path: Path, nifti: bytearray) -> None:
    assert "inside its header" in refusal(written(tmp_path / "short.nii", nifti[:200]))


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_cut_metaimage_and_nrrd(tmp_path: Path, voxels: np.ndarray, name: str, *, compressed: bool) -> None:
    content = stored(tmp_path / name, voxels, compressed=compressed)
    assert "cut off" in refusal(written(tmp_path / name, content[:-100]))


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_a_flipped_bit_in_compressed_metaimage_and_nrrd(tmp_path: Path, voxels: np.ndarray, name: str) -> None:
    content = bytearray(stored(tmp_path / name, voxels, compressed=True))
    content[len(content) * 2 // 3] ^= 4
    assert "damaged" in refusal(written(tmp_path / name, content))


@pytest.mark.parametrize(("name", "data"), [("a.mhd", "a.raw"), ("a.nhdr", "a.raw"), ("a.hdr", "a.img")])
def test_data_in_a_file_of_their_own_must_be_there_and_whole(
    tmp_path: Path, voxels: np.ndarray, name: str, data: str
) -> None:
    stored(tmp_path / name, voxels)
    content = (tmp_path / data).read_bytes()
    written(tmp_path / data, content[:-2])
    assert "expected 12000 bytes" in refusal(tmp_path / name)
    (tmp_path / data).unlink()
    assert f"{data}: the file does not exist" in refusal(tmp_path / name)


def test_a_cut_jpeg(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    content = stored(tmp_path / "a.jpg", picture)
    assert "JPEG image states no reliable spacing" in verify_file(tmp_path / "a.jpg")[0]
    assert "cut off" in refusal(written(tmp_path / "a.jpg", content[: len(content) // 2]))


# Not an image at all


def test_an_empty_file(tmp_path: Path) -> None:
    assert "the file is empty" in refusal(written(tmp_path / "empty.nii.gz", b""))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_html_in_place_of_an_image(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    message = refusal(written(tmp_path / "page.nii.gz", pack(b"<!DOCTYPE html>\n<html><body>404</body></html>")))
    assert "not an image" in message
    assert "<!DOCTYPE html>" in message


def test_something_else_inside_a_gzip(tmp_path: Path) -> None:
    assert "not an image" in refusal(written(tmp_path / "a.nii.gz", gzip.compress(bytes(range(256)) * 4)))


def packed(kind: str) -> bytes:
    """An archive with a file in it."""
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("a.nii", "voxels")
    else:
        with tarfile.open(fileobj=stream, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("a.nii"))
    return stream.getvalue()


@pytest.mark.parametrize("name", ["a.zip", "a.nii", "a.nii.gz", "a.tar"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, name: str, kind: str) -> None:
    assert "an archive of files, not an image. Unpack it" in refusal(written(tmp_path / name, packed(kind)))


def test_a_compressed_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    assert "an archive of files" in refusal(written(tmp_path / "a.tar.gz", gzip.compress(packed("tar"))))


@pytest.mark.parametrize(("compress", "called"), [(lzma.compress, "xz"), (bz2.compress, "bzip2")])
@pytest.mark.parametrize("name", ["a.tar.xz", "a.nii.bz2", "a.nii", "a.nii.gz", "a.png"])
@pytest.mark.parametrize("kind", ["tar", "nifti"])
def test_what_is_compressed_with_anything_but_gzip_is_to_be_unpacked(
    tmp_path: Path, nifti: bytearray, name: str, compress: Callable[[bytes], bytes], called: str, kind: str
) -> None:
    content = compress(bytes(nifti) if kind == "nifti" else packed(kind))
    message = f"compressed with {called}, which is not read. Unpack it, and name what it holds."
    assert message in refusal(written(tmp_path / name, content))


def test_zstandard_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    # an empty frame as `zstd` writes it: magic number, descriptor, size, an empty last block, checksum
    empty = bytes.fromhex("28b52ffd 2400 010000 99e9d851")
    assert "compressed with zstd" in refusal(written(tmp_path / "a.tar.zst", empty))


def test_compressed_twice(tmp_path: Path, nifti: bytearray) -> None:
    assert "compressed twice" in refusal(written(tmp_path / "a.nii.gz", gzip.compress(gzip.compress(nifti))))


def test_a_folder_a_missing_file_and_broken_links(tmp_path: Path) -> None:
    (tmp_path / "folder.nii").mkdir()
    assert "a folder" in refusal(tmp_path / "folder.nii")
    assert "does not exist" in refusal(tmp_path / "nowhere.nii")
    (tmp_path / "dangling.nii").symlink_to(tmp_path / "nowhere.nii")
    assert "a broken link" in refusal(tmp_path / "dangling.nii")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    assert "a broken link" in refusal(tmp_path / "loop.nii")


def test_a_file_that_may_not_be_read(tmp_path: Path, nifti: bytearray, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "secret.nii", nifti)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ImageError, match="Permission denied"):
        verify_file(path)


# Headers that cannot be true


def patched(nifti: bytearray, offset: int, layout: str, value: float) -> bytes:
    changed = bytearray(nifti)
    struct.pack_into(layout, changed, offset, value)
    return bytes(changed)


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_impossible_spacing_is_taken_from_the_raw_header(
    tmp_path: Path, nifti: bytearray, axis: int, spacing: float
) -> None:
    message = refusal(written(tmp_path / "a.nii.gz", gzip.compress(patched(nifti, 80 + 4 * axis, "<f", spacing))))
    assert f"spacing along axis {'XYZ'[axis]}" in message
    assert f"found {spacing}" in message


def test_spacing_0_passes_where_an_axis_has_one_voxel(tmp_path: Path) -> None:
    content = stored(tmp_path / "a.nii", np.zeros((1, 8, 9), dtype=np.int16))
    assert verify_file(written(tmp_path / "a.nii", patched(bytearray(content), 88, "<f", 0.0))) == ()


def test_spacing_0_of_a_fourth_axis_of_length_1_passes(tmp_path: Path, nifti: bytearray) -> None:
    four = patched(bytearray(patched(nifti, 40, "<h", 4)), 92, "<f", 0.0)
    assert verify_file(written(tmp_path / "a.nii", four)) == ()


@pytest.mark.parametrize(
    ("offset", "layout", "value", "message"),
    [
        (42, "<h", -30, "impossible image size"),
        (44, "<h", 0, "impossible image size"),
        (40, "<h", 0, "impossible number of dimensions"),
        (40, "<h", 9, "impossible number of dimensions"),
        (108, "<f", -8.0, "vox_offset"),
        (108, "<f", 0.0, "vox_offset"),
        (108, "<f", float("nan"), "vox_offset"),
        (108, "<f", 352.5, "vox_offset"),
        (108, "<f", 1e12, "asks for too much"),
        (70, "<h", 1536, "unsupported type"),
        (70, "<h", 32, "neither a scalar image nor colours"),
        (70, "<h", 128, "expected 18352 bytes"),
        (0, "<i", 540, "NIfTI-2"),
        (344, "<i", 0, "neither NIfTI nor"),
    ],
)
def test_impossible_nifti_headers(
    tmp_path: Path, nifti: bytearray, *, offset: int, layout: str, value: float, message: str
) -> None:
    content = patched(nifti, offset, layout, value)
    assert message in refusal(written(tmp_path / "a.nii", content))
    assert message in refusal(written(tmp_path / "a.nii.gz", gzip.compress(content)))


@pytest.mark.parametrize("slope", [0.0, float("nan")])
def test_a_shift_without_a_scale_is_ambiguous(tmp_path: Path, nifti: bytearray, slope: float) -> None:
    struct.pack_into("<2f", nifti, 112, slope, 3.0)
    assert "scl_inter 3.0" in refusal(written(tmp_path / "a.nii", nifti))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nan_is_found_wherever_it_lies(tmp_path: Path, name: str, *, dtype: str, order: str) -> None:
    # The reader would turn these into 0. More than a piece of data, and pieces that do not begin with a voxel.
    import nibabel as nib

    array = np.zeros((50, 50, 70), dtype=order + dtype)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment"))
    for position in [(0, 0, 0), (30, 17, 1), (49, 49, 69)]:
        array[position] = np.nan
        nib.save(nib.Nifti1Image(array.T, np.eye(4), header), tmp_path / name)
        assert f"found 1 NaN or infinite, the first at {position} (Z, Y, X)" in refusal(tmp_path / name)
        array[position] = 0
    nib.save(nib.Nifti1Image(array.T, np.eye(4), header), tmp_path / name)
    verify_file(tmp_path / name)


def test_nan_in_a_2d_image_lies_in_slice_0(tmp_path: Path) -> None:
    array = np.zeros((4, 5), dtype=np.float32)
    array[2, 3] = np.nan
    stored(tmp_path / "a.nii", array)
    assert "the first at (0, 2, 3) (Z, Y, X)" in refusal(tmp_path / "a.nii")


def test_a_claim_of_54_terabytes_is_refused_at_once(tmp_path: Path, nifti: bytearray) -> None:
    for offset in (42, 44, 46):
        struct.pack_into("<h", nifti, offset, 30000)
    assert f"expected {30000**3 * 2 + 352} bytes" in refusal(written(tmp_path / "a.nii.gz", gzip.compress(nifti)))


def test_a_bomb_is_not_inflated_beyond_what_the_header_says(
    tmp_path: Path, nifti: bytearray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "bomb.nii.gz", gzip.compress(nifti) + gzip.compress(bytes(64 << 20)))
    inflated = []

    class Counting:
        def __init__(self, decoder: object) -> None:
            self.decoder = decoder

        def decompress(self, block: bytes, length: int) -> bytes:
            inflated.append(self.decoder.decompress(block, length))  # type: ignore[attr-defined]
            return inflated[-1]

        def __getattr__(self, name: str) -> object:
            return getattr(self.decoder, name)

    original = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda wbits: Counting(original(wbits)))
    assert "more data than the header accounts for" in refusal(path)
    assert sum(map(len, inflated)) < 1 << 20


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"ElementSpacing = 1 1 1", b"ElementSpacing = 0 1 1", "spacing along axis X"),
        (b"ElementSpacing = 1 1 1", b"ElementSpacing = 1 -1 1", "spacing along axis Y"),
        (b"DimSize = 30 20 10", b"DimSize = 30 20 -10", "impossible image size"),
        (b"DimSize = 30 20 10", b"DimSize = 30 20 99999999", "asks for too much"),
        (b"DimSize = 30 20 10", b"DimSize = 30 2x 10", "cannot be understood"),
        (b"ElementType = MET_SHORT", b"ElementType = MET_OTHER", "cannot be understood"),
        (b"NDims = 3", b"NDims = 99", "NDims = 99"),  # these two would crash the reader
        (b"NDims = 3", b"NDims = -1", "NDims = -1"),
        (b"Offset = 0 0 0", b"Offset = 0 0", "Offset has not the 3 numbers"),
        (b"TransformMatrix = 1 0 0", b"TransformMatrix = 1 0", "TransformMatrix has not the 9 numbers"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = away.raw", "away.raw: the file does not exist"),
        (b"ElementType", b"ElementNumberOfChannels = 3\nElementType", "expected 36"),
    ],
)
def test_impossible_metaimage_headers(tmp_path: Path, voxels: np.ndarray, old: bytes, new: bytes, message: str) -> None:
    content = stored(tmp_path / "a.mha", voxels)
    assert old in content
    assert message in refusal(written(tmp_path / "a.mha", content.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"(0,1,0)", b"(0,0,0)", "spacing along axis Y"),
        (b"(0,1,0)", b"(0,nan,0)", "spacing along axis Y"),
        (b"sizes: 30 20 10", b"sizes: 30 0 10", "impossible image size"),
        (b"sizes: 30 20 10", b"sizes: 30 20 99999999", "asks for too much"),
        (b"type: short", b"type: block", "cannot be understood"),
        (b"dimension: 3", b"dimension: 4", "dimension 4, but sizes 30 20 10"),
        (b"kinds: domain domain domain", b"kinds: vector domain domain", "an axis of vector has no place in space"),
    ],
)
def test_impossible_nrrd_headers(tmp_path: Path, voxels: np.ndarray, old: bytes, new: bytes, message: str) -> None:
    content = stored(tmp_path / "a.nrrd", voxels)
    assert old in content
    assert message in refusal(written(tmp_path / "a.nrrd", content.replace(old, new)))


@pytest.mark.parametrize("name", ["a.nii", "a.mha", "a.nrrd"])
@given(data=st.data())
def test_any_damage_to_a_header_is_an_error_with_a_cure_or_none(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(stored(folder / name, np.zeros(SHAPE, dtype=np.int16)))
    for offset in data.draw(st.lists(st.integers(0, 349), min_size=1, max_size=4)):
        content[offset] = data.draw(st.integers(0, 255))
    with contextlib.suppress(AutosegError):  # any other exception, and any warning, fails
        assert isinstance(verify_file(written(folder / name, content)), tuple)


def test_a_text_header_without_end(tmp_path: Path, voxels: np.ndarray) -> None:
    assert "ends too early" in refusal(written(tmp_path / "a.mha", b"ObjectType = Image\nNDims = 3\n"))
    assert "ends too early" in refusal(written(tmp_path / "a.nrrd", b"NRRD0004\ntype: short\n"))


def test_storage_that_cannot_be_checked_is_remarked(tmp_path: Path, voxels: np.ndarray) -> None:
    stored(tmp_path / "a.nhdr", voxels)
    header = (tmp_path / "a.nhdr").read_bytes()
    written(tmp_path / "a.nhdr", header.replace(b"encoding: raw", b"encoding: bzip2"))
    assert "cannot be checked" in verify_file(tmp_path / "a.nhdr")[0]


def test_a_compressed_nifti_named_nii(tmp_path: Path, nifti: bytearray) -> None:
    assert "Rename it to a.nii.gz" in refusal(written(tmp_path / "a.nii", gzip.compress(nifti)))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr", "a.mha", "a.mhd", "a.nrrd", "a.nhdr"])
def test_a_name_that_promises_another_beginning(tmp_path: Path, nifti: bytearray, name: str) -> None:
    assert "begins otherwise" in refusal(written(tmp_path / name, b"\x5d\1" + nifti[2:]))


def test_compressed_metaimage_data_have_the_length_that_is_stated(tmp_path: Path, voxels: np.ndarray) -> None:
    content = stored(tmp_path / "a.mha", voxels, compressed=True)
    shorter = content.replace(b"CompressedDataSize = ", b"CompressedDataSize = 1", 1)
    assert shorter != content
    assert "compressed bytes" in refusal(written(tmp_path / "a.mha", shorter))
