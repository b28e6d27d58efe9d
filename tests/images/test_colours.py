"""Colours are channels, grey stored as colours is one, palettes are label maps, transparency says nothing or is refused."""

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image as Pictures

from autoseg.errors import ImageError
from autoseg.images.image import read_image, read_labels

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 255, (10, 12, 3)).astype(np.uint8)
GREY = COLOURS[..., 0]
GREY_AS_COLOURS = np.stack([GREY] * 3, axis=-1)
OPAQUE = np.full((10, 12, 1), 255, dtype=np.uint8)
CLASSES = (GREY % 3).astype(np.uint8)
PALETTE = (0, 0, 0, 200, 30, 30, 30, 200, 30)


def save(path: Path, array: NDArray[Any], **options: Any) -> Path:
    Pictures.fromarray(array).save(path, **options)
    return path


def save_palette(path: Path, indices: NDArray[np.uint8], **options: Any) -> Path:
    picture = Pictures.fromarray(indices)
    picture = picture.copy()
    picture.putpalette(PALETTE)
    picture.save(path, **options)
    return path


def channels_first(colours: NDArray[Any]) -> NDArray[Any]:
    """(Y, X, C) as a scan of one slice, (C, 1, Y, X)."""
    return np.moveaxis(colours, -1, 0)[:, np.newaxis]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_colours_are_three_channels(tmp_path: Path, name: str) -> None:
    image = read_image([save(tmp_path / name, COLOURS)], channels=3)
    np.testing.assert_array_equal(image.array, channels_first(COLOURS))
    assert image.colours
    assert (image.geometry.shape, image.geometry.dimensions) == ((1, 10, 12), 2)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_of_16_bits(tmp_path: Path, suffix: str) -> None:
    colours = COLOURS.astype(np.uint16) * 257
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(path))
    np.testing.assert_array_equal(read_image([path], channels=3).array, channels_first(colours))


def test_colours_of_a_photograph(tmp_path: Path) -> None:
    smooth = np.stack([*np.meshgrid(np.arange(12), np.arange(10)), np.full((10, 12), 9)], axis=-1).astype(np.uint8) * 10
    path = save(tmp_path / "a.jpg", smooth, quality=100, subsampling=0)
    np.testing.assert_allclose(read_image([path], channels=3).array, channels_first(smooth), atol=4)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.nrrd", "a.nhdr", "a.tif"])
def test_volumes_of_colours(tmp_path: Path, name: str) -> None:
    volume = np.stack([COLOURS, 255 - COLOURS])  # (Z, Y, X, C)
    if name == "a.tif":
        save(tmp_path / name, volume[0], save_all=True, append_images=[Pictures.fromarray(volume[1])])
    else:
        sitk.WriteImage(sitk.GetImageFromArray(volume, isVector=True), str(tmp_path / name))
    np.testing.assert_array_equal(read_image([tmp_path / name], channels=3).array, np.moveaxis(volume, -1, 0))


def test_colours_of_nifti(tmp_path: Path) -> None:
    names = ["R", "G", "B"]
    colours = np.zeros((12, 10, 2), dtype=[(name, "u1") for name in names])
    for index, name in enumerate(names):
        colours[name] = COLOURS[..., index].T[..., np.newaxis]
    nib.save(nib.Nifti1Image(colours, np.eye(4)), tmp_path / "a.nii.gz")
    image = read_image([tmp_path / "a.nii.gz"], channels=3)
    np.testing.assert_array_equal(image.array, np.repeat(channels_first(COLOURS), 2, axis=1))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_stored_as_colours_is_one_channel_where_one_is_wanted(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, GREY_AS_COLOURS)
    image = read_image([path], channels=1)
    np.testing.assert_array_equal(image.array, GREY[np.newaxis, np.newaxis])
    assert any("grey values stored as colours" in warning for warning in image.warnings)
    np.testing.assert_array_equal(read_image([path], channels=3).array, channels_first(GREY_AS_COLOURS))


def test_other_channels_than_wanted_are_refused(tmp_path: Path) -> None:
    colours, grey = save(tmp_path / "colours.png", COLOURS), save(tmp_path / "grey.png", GREY)
    with pytest.raises(ImageError, match="colours, where one grey value per pixel is expected"):
        read_image([colours], channels=1)
    with pytest.raises(ImageError, match=r"expected 3 channels; found 1 in 1 file"):
        read_image([grey], channels=3)
    with pytest.raises(ImageError, match="colours, where one grey value per pixel is expected"):
        read_image([grey, colours], channels=2)


def test_as_found_tells_colours_from_grey(tmp_path: Path) -> None:
    colours, grey = save(tmp_path / "colours.png", COLOURS), save(tmp_path / "grey.png", GREY)
    for channels in (1, 3):
        assert len(read_image([colours], channels=channels, as_found=True).array) == 3
        assert len(read_image([grey], channels=channels, as_found=True).array) == 1
    with pytest.raises(ImageError, match="another number of channels"):
        read_image([colours], channels=2, as_found=True)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("values", [COLOURS, GREY[..., np.newaxis]], ids=["colours", "grey"])
def test_transparency_that_says_nothing_is_left_out(tmp_path: Path, name: str, values: NDArray[np.uint8]) -> None:
    image = read_image([save(tmp_path / name, np.dstack([values, OPAQUE]))], channels=values.shape[-1])
    np.testing.assert_array_equal(image.array, channels_first(values))
    assert "its transparency is left out: every pixel is opaque" in image.warnings


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_transparency_that_says_something_is_refused_or_a_channel(tmp_path: Path, name: str) -> None:
    veiled = np.dstack([COLOURS, OPAQUE])
    veiled[0, :2, 3] = 7
    path = save(tmp_path / name, veiled)
    with pytest.raises(ImageError, match=r"partly transparent; .* found 2 pixels of another transparency"):
        read_image([path], channels=3)
    np.testing.assert_array_equal(read_image([path], channels=4).array, channels_first(veiled))


def test_16_bits_of_grey_with_transparency_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", GREY)
    content = bytearray(path.read_bytes())
    content[24:26] = bytes((16, 4))  # depth, and grey with transparency
    path.write_bytes(content)
    with pytest.raises(ImageError, match="16 bits with transparency"):
        read_image([path], channels=1)


# Palettes


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("options", [{}, {"bits": 2}, {"transparency": 0}], ids=str)
def test_the_places_in_a_palette_are_the_labels(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path = save_palette(tmp_path / name, CLASSES, **(options if name == "a.png" else {}))
    labels = read_labels(path)
    np.testing.assert_array_equal(labels.array, CLASSES[np.newaxis])


def test_pages_of_places_are_slices(tmp_path: Path) -> None:
    second = Pictures.fromarray(2 - CLASSES)
    second.putpalette(PALETTE)
    save_palette(tmp_path / "a.tif", CLASSES, save_all=True, append_images=[second])
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").array, np.stack([CLASSES, 2 - CLASSES]))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_scan_in_a_palette_has_its_colours(tmp_path: Path, name: str) -> None:
    colours = np.reshape(PALETTE, (3, 3))[CLASSES]
    path = save_palette(tmp_path / name, CLASSES)
    np.testing.assert_array_equal(read_image([path], channels=3).array, channels_first(colours))


def test_a_damaged_palette_is_refused(tmp_path: Path) -> None:
    path = save_palette(tmp_path / "a.png", CLASSES)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ImageError, match="Pillow cannot read it"):
        read_labels(path)


# Label maps


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("as_colours", [False, True])
def test_masks_of_0_and_255(tmp_path: Path, name: str, *, as_colours: bool) -> None:
    mask = np.where(CLASSES > 0, 255, 0).astype(np.uint8)
    path = save(tmp_path / name, np.stack([mask] * 3, axis=-1) if as_colours else mask)
    labels = read_labels(path)
    np.testing.assert_array_equal(labels.array, mask[np.newaxis])
    assert any("grey values stored as colours" in warning for warning in labels.warnings) == as_colours


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_masks_of_single_bits_are_0_and_255(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, CLASSES > 0)
    np.testing.assert_array_equal(read_labels(path).array[0], np.where(CLASSES > 0, 255, 0))


def test_a_label_map_of_colours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="a label map of colours") as caught:
        read_labels(save(tmp_path / "a.png", COLOURS))
    assert "Converting it to greyscale would mix classes up." in str(caught.value)


def test_a_partly_transparent_label_map_is_refused(tmp_path: Path) -> None:
    veil = np.where(CLASSES > 0, 255, 0).astype(np.uint8)
    with pytest.raises(ImageError, match="partly transparent"):
        read_labels(save(tmp_path / "a.png", np.dstack([GREY_AS_COLOURS, veil])))


def test_what_is_looked_at_of_colours_is_how_bright_they_are(tmp_path: Path) -> None:
    image = read_image([save(tmp_path / "a.png", COLOURS)], channels=3)
    np.testing.assert_allclose(image.shown[0], COLOURS @ np.array([0.299, 0.587, 0.114]), rtol=1e-5)
    grey = read_image([save(tmp_path / "b.png", GREY)], channels=1)
    np.testing.assert_array_equal(grey.shown, grey.array[0])


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA"])
def test_an_image_that_is_cut_off_is_to_be_got_again(tmp_path: Path, mode: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 26, 3), dtype=np.uint8)
    picture = Pictures.fromarray(noise)
    (picture.quantize(16) if mode == "P" else picture.convert(mode)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:300])
    with pytest.raises(ImageError) as caught:
        read_image([tmp_path / "cut.png"], channels=1)
    assert not re.search("0x[0-9a-f]{3}", str(caught.value))
    assert "Get the file again" in str(caught.value)
