"""TIFF files as other programs write them; those that readers would take for something else are refused."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pictures

from autoseg.errors import ImageError
from autoseg.images.image import read_image, read_labels

GREY = np.random.default_rng(0).integers(0, 255, (10, 12)).astype(np.uint8)
SOUND: dict[str, NDArray[Any]] = {
    "8 bits": GREY,
    "16 bits": GREY.astype(np.uint16) * 200,
    "signed": GREY.astype(np.int32) - 100,
    "floats": GREY.astype(np.float32) / 3,
}


def save(path: Path, array: NDArray[Any], **options: Any) -> Path:
    Pictures.fromarray(array).save(path, **options)
    return path


def read(path: Path) -> NDArray[np.float32]:
    return read_image([path], channels=1).array[0]


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("array", SOUND.values(), ids=SOUND.keys())
@pytest.mark.parametrize("wide", [False, True])
def test_grey_values_are_read_as_they_are(tmp_path: Path, array: NDArray[Any], compression: str | None, wide: bool) -> None:
    path = save(tmp_path / "a.tif", array, compression=compression, big_tiff=wide)
    np.testing.assert_array_equal(read(path)[0], array)


def test_pages_are_slices(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", GREY, save_all=True, append_images=[Pictures.fromarray(255 - GREY)])
    np.testing.assert_array_equal(read(path), np.stack([GREY, 255 - GREY]))


def of_pages(path: Path, *others: NDArray[Any]) -> Path:
    return save(path, GREY, save_all=True, append_images=[Pictures.fromarray(other) for other in others])


@pytest.mark.parametrize(
    ("other", "found"),
    [(GREY.astype(np.uint16), "12 x 10 of 16 bits, format 1 on page 3"), (GREY[:5], "12 x 5 of 8 bits, format 1 on page 3")],
)
def test_pages_that_differ_are_refused(tmp_path: Path, other: NDArray[Any], found: str) -> None:
    """ITK takes what follows the first page for more of the same."""
    path = of_pages(tmp_path / "a.tif", GREY, other)
    with pytest.raises(ImageError, match=f"differ in size or type; expected 12 x 10 of 8 bits, format 1; found {found}"):
        read(path)


def test_what_is_neither_plain_grey_nor_colours_is_refused(tmp_path: Path) -> None:
    """ITK turns white and black round, and knows no CMYK."""
    save(tmp_path / "inverted.tif", GREY, tiffinfo={262: 0})
    Pictures.fromarray(np.stack([GREY] * 3, axis=-1)).convert("CMYK").save(tmp_path / "printed.tif")
    for name, found in {"inverted": "1 per pixel, white is 0", "printed": "4 per pixel, meaning 5"}.items():
        with pytest.raises(ImageError, match=f"neither plain grey values nor colours; .* found {found}"):
            read(tmp_path / f"{name}.tif")


def test_a_picture_to_be_turned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="orientation 1; found orientation 6"):
        read(save(tmp_path / "a.tif", GREY, tiffinfo={274: 6}))


IMAGEJ = "ImageJ=1.53t\nimages={pages}\n{fields}\nloop=false\n"
OME = '<?xml version="1.0"?><OME><Image><Pixels SizeX="12" SizeY="10" {fields} Type="uint8"/></Image></OME>'


@pytest.mark.parametrize(
    ("description", "pages", "found"),
    [
        (IMAGEJ.format(pages=6, fields="channels=2\nslices=3"), 6, r"2 channels, 1 point in time, 3 slices"),
        (IMAGEJ.format(pages=6, fields="slices=3\nframes=2"), 6, r"1 channel, 2 points in time, 3 slices"),
        (IMAGEJ.format(pages=2, fields="channels=2"), 2, r"2 channels"),
        (OME.format(fields='SizeC="2" SizeZ="3" SizeT="1"'), 6, r"2 channels, 1 point in time, 3 slices"),
        (OME.format(fields='SizeC="1" SizeZ="3" SizeT="2"'), 6, r"1 channel, 2 points in time, 3 slices"),
    ],
)
def test_channels_and_times_in_turn_are_refused(tmp_path: Path, description: str, pages: int, found: str) -> None:
    path = save(
        tmp_path / "a.tif",
        GREY,
        save_all=True,
        append_images=[Pictures.fromarray(GREY)] * (pages - 1),
        description=description,
    )
    with pytest.raises(ImageError, match=f"several channels or points in time in turn.* found {found}"):
        read(path)


@pytest.mark.parametrize(
    "description",
    [
        IMAGEJ.format(pages=3, fields="slices=3"),
        IMAGEJ.format(pages=3, fields="frames=3"),
        OME.format(fields='SizeC="1" SizeZ="3" SizeT="1"'),
        OME.format(fields='SizeC="2" SizeZ="3" SizeT="1"'),  # each channel has a file of its own
        OME.format(fields='SizeC="1" SizeZ="1" SizeT="3"'),
    ],
)
def test_pages_of_one_series_are_slices(tmp_path: Path, description: str) -> None:
    path = save(
        tmp_path / "a.tif", GREY, save_all=True, append_images=[Pictures.fromarray(GREY)] * 2, description=description
    )
    assert read(path).shape == (3, 10, 12)


def test_pages_that_lead_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = of_pages(tmp_path / "a.tif", GREY)
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * entries, first)
    path.write_bytes(content)
    with pytest.raises(ImageError, match="lead in a circle"):
        read(path)


@pytest.mark.parametrize("wide", [False, True])
def test_a_header_that_is_cut_off_is_refused(tmp_path: Path, wide: bool) -> None:
    path = save(tmp_path / "a.tif", GREY, big_tiff=wide)
    content = path.read_bytes()
    for length in range(4, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ImageError):
            read(path)


def test_label_maps_stored_with_loss_are_refused(tmp_path: Path) -> None:
    labels = np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2), np.ones((8, 8), np.uint8))
    for path in (
        save(tmp_path / "a.jpg", labels),
        save(tmp_path / "b.tif", labels, compression="jpeg"),
        save(tmp_path / "c.tif", labels, compression="jpeg", big_tiff=True),
    ):
        assert read(path).shape == (1, 16, 16)
        with pytest.raises(ImageError, match="stored with loss"):
            read_labels(path)
    for path in (save(tmp_path / "d.tif", labels, compression="tiff_lzw"), save(tmp_path / "e.png", labels)):
        np.testing.assert_array_equal(read_labels(path).array[0], labels)
