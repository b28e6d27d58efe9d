"""How large the pixels of a picture are: what is stated is used or refused, hints for printing are neither."""

import dataclasses
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

from autoseg.errors import ImageError
from autoseg.formats.checksum import image_checksum
from autoseg.images.image import Image, check_same_grid, read_image

GREY = np.random.default_rng(0).integers(1, 255, (10, 12)).astype(np.uint8)
UNKNOWN = "states no reliable spacing; distances in mm and volumes in ml are not to be trusted"


def read(path: Path) -> Image:
    return read_image([path], channels=1)


def saved(path: Path, *, pages: int = 1, **options: Any) -> Path:
    more = {"save_all": True, "append_images": [Pictures.fromarray(GREY)] * (pages - 1)} if pages > 1 else {}
    Pictures.fromarray(GREY).save(path, **more, **options)
    return path


def with_chunk(path: Path, name: bytes, content: bytes) -> Path:
    """Insert a chunk into a PNG file, behind its header."""
    before = path.read_bytes()
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    path.write_bytes(before[:33] + chunk + before[33:])
    return path


def turned(orientation: int) -> bytes:
    exif = Pictures.Exif()
    exif[274] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_a_picture_to_be_turned_is_refused(tmp_path: Path, name: str, orientation: int) -> None:
    """Viewers turn what a camera wrote, and label maps are drawn on what they show."""
    path = saved(tmp_path / name, exif=turned(orientation))
    with pytest.raises(
        ImageError, match=f"to be turned for viewing.*expected orientation 1; found orientation {orientation}"
    ):
        read(path)
    read(saved(tmp_path / name, exif=turned(1)))


def test_an_orientation_behind_the_pixels_or_other_data_counts(tmp_path: Path) -> None:
    content = turned(3)[6:]
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content + struct.pack(">I", zlib.crc32(b"eXIf" + content))
    path = saved(tmp_path / "a.png")
    whole = path.read_bytes()
    path.write_bytes(whole[:-12] + chunk + whole[-12:])
    with pytest.raises(ImageError, match="orientation 3"):
        read(path)
    path = saved(tmp_path / "a.jpg", exif=turned(3))
    whole, other = path.read_bytes(), b"http://ns.adobe.com/xap/1.0/\0"
    path.write_bytes(whole[:2] + b"\xff\xe1" + struct.pack(">H", len(other) + 2) + other + whole[2:])
    with pytest.raises(ImageError, match="orientation 3"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"MM", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x09"])
def test_exif_data_that_cannot_be_read_turn_nothing(tmp_path: Path, content: bytes) -> None:
    read(with_chunk(saved(tmp_path / "a.png"), b"eXIf", content))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("dpi", [72, 300, 1200])
def test_a_resolution_for_printing_is_said_and_not_used(tmp_path: Path, name: str, dpi: int) -> None:
    image = read(saved(tmp_path / name, dpi=(dpi, dpi)))
    assert image.geometry.spacing_mm == (1.0, 1.0, 1.0)
    assert not image.geometry.spacing_stated
    (warning,) = image.warnings
    assert UNKNOWN in warning
    assert "are a hint for printing, and not used" in warning


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_without_a_resolution_nothing_is_said_of_one(tmp_path: Path, name: str) -> None:
    (warning,) = read(saved(tmp_path / name)).warnings
    assert warning.endswith(UNKNOWN)


def test_a_resolution_finer_than_printers_is_a_size(tmp_path: Path) -> None:
    image = read(saved(tmp_path / "a.tif", x_resolution=40000, y_resolution=20000, resolution_unit="cm"))
    np.testing.assert_allclose(image.geometry.spacing_mm, (1.0, 0.0005, 0.00025))
    assert image.geometry.spacing_stated
    assert "by its resolution of 40000 x 20000 pixels per cm" in image.warnings[0]
    stack = read(saved(tmp_path / "b.tif", pages=3, x_resolution=40000, y_resolution=40000, resolution_unit="cm"))
    assert stack.geometry.spacing_mm == (1.0, 1.0, 1.0)  # it says nothing about the distance of pages


def test_the_physical_scale_of_a_png(tmp_path: Path) -> None:
    """ITK writes mm there, although the unit says metres; and 1 where it knows nothing."""
    path = with_chunk(saved(tmp_path / "a.png"), b"sCAL", b"\x010.2\x000.3")
    image = read(path)
    np.testing.assert_allclose(image.geometry.spacing_mm, (1.0, 0.3, 0.2))
    assert image.warnings == ("spacing 1 x 0.3 x 0.2 mm (Z, Y, X), by its chunk sCAL, in mm as ITK writes it",)
    assert UNKNOWN in read(with_chunk(saved(tmp_path / "c.png"), b"sCAL", b"\x011\x001.0")).warnings[0]
    assert UNKNOWN in read(with_chunk(saved(tmp_path / "b.png"), b"sCAL", b"\x020.002\x000.003")).warnings[0]  # radians


@pytest.mark.parametrize(
    ("unit", "spacing", "expected"),
    [
        ("micron", "spacing=2.0\n", (0.002, 0.0005, 0.00025)),
        ("\\u00B5m", "", (0.001, 0.0005, 0.00025)),
        ("mm", "spacing=-2.0\n", (2.0, 0.5, 0.25)),
    ],
)
def test_what_imagej_states(tmp_path: Path, unit: str, spacing: str, expected: tuple[float, float, float]) -> None:
    description = f"ImageJ=1.53t\nimages=3\nslices=3\nunit={unit}\n{spacing}loop=false\n"
    path = saved(tmp_path / "a.tif", pages=3, description=description, x_resolution=4.0, y_resolution=2.0, resolution_unit=1)
    image = read(path)
    np.testing.assert_allclose(image.geometry.spacing_mm, expected)
    assert "by what ImageJ wrote into it" in image.warnings[0]


def test_pixels_of_imagej_are_no_length(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", description="ImageJ=1.53t\nunit=pixel\n", x_resolution=4.0, y_resolution=2.0)
    assert UNKNOWN in read(path).warnings[0]


OME = '<?xml version="1.0"?><OME><Image><Pixels SizeX="12" SizeY="10" SizeZ="{pages}" {sizes} Type="uint8"/></Image></OME>'


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ('PhysicalSizeX="0.25" PhysicalSizeY="0.5" PhysicalSizeZ="2"', (0.002, 0.0005, 0.00025)),
        (
            'PhysicalSizeX="250" PhysicalSizeXUnit="nm" PhysicalSizeY="0.5" PhysicalSizeZ="1" PhysicalSizeZUnit="mm"',
            (1.0, 0.0005, 0.00025),
        ),
    ],
)
def test_what_ome_states(tmp_path: Path, sizes: str, expected: tuple[float, float, float]) -> None:
    image = read(saved(tmp_path / "a.tif", pages=2, description=OME.format(pages=2, sizes=sizes)))
    np.testing.assert_allclose(image.geometry.spacing_mm, expected)
    assert "by its OME metadata" in image.warnings[0]


@pytest.mark.parametrize(
    "description",
    [
        OME.format(pages=1, sizes='PhysicalSizeX="0" PhysicalSizeY="1"'),
        OME.format(pages=1, sizes='PhysicalSizeX="1" PhysicalSizeY="1" PhysicalSizeYUnit="ell"'),
        OME.format(pages=2, sizes='PhysicalSizeX="1" PhysicalSizeY="1"'),
        "ImageJ=1.5\nunit=ell\n",
    ],
)
def test_sizes_that_cannot_be_are_refused(tmp_path: Path, description: str) -> None:
    path = saved(tmp_path / "a.tif", description=description, x_resolution=4.0, y_resolution=2.0)
    with pytest.raises(ImageError, match="the header cannot be understood"):
        read(path)


# The document beside a picture


def beside(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("picture", "document"), [("a_0000.tif", "a.json"), ("a.tif", "a.json"), ("a_0001.tif", "a_0001.json")]
)
@pytest.mark.parametrize("numbers", [[80.0, 7.6, 7.6], [7.6, 7.6, 80.0]])
def test_a_spacing_beside_a_stack_is_used_in_either_order(
    tmp_path: Path, picture: str, document: str, numbers: list[float]
) -> None:
    beside(tmp_path / document, {"spacing": numbers})
    image = read(saved(tmp_path / picture, pages=3))
    assert image.geometry.spacing_mm == (80.0, 7.6, 7.6)
    assert image.geometry.spacing_stated
    assert image.warnings == ("spacing 80 x 7.6 x 7.6 mm (Z, Y, X), as the .json beside it says",)


@pytest.mark.parametrize("numbers", [[0.5, 0.5], [999, 0.5, 0.5], [0.5, 0.5, 999]])
def test_a_spacing_beside_a_single_picture(tmp_path: Path, numbers: list[float]) -> None:
    beside(tmp_path / "a.json", {"spacing": numbers, "unit": "um"})
    np.testing.assert_allclose(read(saved(tmp_path / "a.png")).geometry.spacing_mm, (1.0, 0.0005, 0.0005))


@pytest.mark.parametrize(
    "description",
    ["ImageJ=1\nunit=mm\nspacing=999\n", '<OME><Pixels PhysicalSizeX="1000" PhysicalSizeY="1000" PhysicalSizeZ="9"/>'],
)
def test_a_single_page_is_one_mm_thick(tmp_path: Path, description: str) -> None:
    image = read(saved(tmp_path / "a.tif", description=description, x_resolution=1.0, y_resolution=1.0))
    np.testing.assert_allclose(image.geometry.spacing_mm, (1.0, 1.0, 1.0))
    assert image.geometry.voxel_volume_ml == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"spacing": [1, 2, 3]}, r"others fit Z, Y, X and X, Y, Z; found \[1, 2, 3\]"),
        ({"spacing": [1, 1]}, "three numbers > 0"),
        ({"spacing": [0, 1, 1]}, "three numbers > 0"),
        ({"spacing": "1 1 1"}, "three numbers > 0"),
        ({"spacing": [True, 1, 1]}, "three numbers > 0"),
        ({"spacing": [2, 1, 1], "unit": "ell"}, "unknown unit of length"),
        ("{", "not a JSON document"),
    ],
)
def test_a_spacing_beside_a_stack_that_cannot_be_understood_is_refused(tmp_path: Path, document: Any, says: str) -> None:
    beside(tmp_path / "a.json", document)
    with pytest.raises(ImageError, match=says) as caught:
        read(saved(tmp_path / "a_0000.tif", pages=3))
    assert caught.value.where == str(tmp_path / "a.json")
    assert caught.value.remedy


def test_other_documents_beside_pictures_say_nothing(tmp_path: Path) -> None:
    beside(tmp_path / "a.json", {"shapes": [], "imagePath": "a.png"})
    assert UNKNOWN in read(saved(tmp_path / "a.png")).warnings[0]


def test_a_spacing_beside_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", description="ImageJ=1\nunit=micron\n", x_resolution=4.0, y_resolution=4.0)
    beside(tmp_path / "a.json", {"spacing": [0.00025, 0.00025]})
    assert read(path).geometry.spacing_mm[1:] == (0.00025, 0.00025)
    beside(tmp_path / "a.json", {"spacing": [0.25, 0.25]})
    with pytest.raises(ImageError, match=r"contradicts the spacing that a\.json beside it states"):
        read(path)


def test_a_changed_spacing_beside_is_a_changed_image(tmp_path: Path) -> None:
    path = saved(tmp_path / "a_0000.tif", pages=3)
    sums = [image_checksum(path)]
    for across in (2, 3):
        beside(tmp_path / "a.json", {"spacing": [across, 1, 1]})
        sums.append(image_checksum(path))
    assert len(set(sums)) == 3


def test_a_picture_without_spacing_lies_on_any_grid_of_its_shape(tmp_path: Path) -> None:
    known = read(saved(tmp_path / "known.tif", pages=3))
    known = dataclasses.replace(
        known, geometry=dataclasses.replace(known.geometry, spacing_mm=(3.0, 0.5, 0.5), spacing_stated=True)
    )
    unknown = read(saved(tmp_path / "unknown.tif", pages=3)).geometry
    assert not check_same_grid(known.geometry, unknown, where=tmp_path / "unknown.tif", other=tmp_path / "known.tif")
    (warning,) = check_same_grid(unknown, known.geometry, where=tmp_path / "known.tif", other=tmp_path / "unknown.tif")
    assert warning == "the spacing it states is not used, because unknown.tif states none: a pixel counts as 1 mm"
    other = read(saved(tmp_path / "other.tif", pages=2)).geometry
    with pytest.raises(ImageError, match="shape"):
        check_same_grid(known.geometry, other, where=tmp_path / "other.tif", other=tmp_path / "known.tif")


@pytest.mark.parametrize(
    ("name", "position", "content"),
    [("a.png", 12, b"\xff\xff\xff\xff"), ("a.png", 8, b"\xff\xff\xff\xff"), ("a.jpg", 20, b"\0\0")],
)
def test_a_damaged_header_is_refused(tmp_path: Path, name: str, position: int, content: bytes) -> None:
    path = saved(tmp_path / name)
    before = path.read_bytes()
    path.write_bytes(before[:position] + content + before[position + len(content) :])
    with pytest.raises(ImageError):
        read(path)
