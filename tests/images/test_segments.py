"""Segmentations of 3D Slicer: names are classes, layers are put together, crops are placed on the scan's grid."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.slicer_files import write_scan, write_segmentation

from autoseg.errors import DatasetError, ImageError
from autoseg.formats.segments import Segment
from autoseg.images.image import LabelMap, on_grid_of, read_image, read_labels
from autoseg.images.segments import merged, named_classes

SHAPE = (12, 10, 8)  # X, Y, Z
OFFSET = (3, 4, 2)
NAMES = {0: "background", 7: "spleen", 9: "liver"}
ONE_LAYER = [("liver", 0, 1), ("spleen", 0, 2)]
TWO_LAYERS = [("liver", 0, 1), ("spleen", 1, 1)]


def layer() -> NDArray[np.uint8]:
    """Liver is 1, spleen 2; a crop of 5 x 4 x 3 voxels."""
    labels = np.zeros((5, 4, 3), dtype=np.uint8)
    labels[1:3] = 1
    labels[4, 1:] = 2
    return labels


def two_layers() -> NDArray[np.uint8]:
    return np.stack([layer() == 1, layer() == 2]).astype(np.uint8)


def expected(values: dict[str, int], shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint16]:
    """On the whole grid, (Z, Y, X)."""
    whole = np.zeros(shape, dtype=np.uint16)
    part = np.choose(layer(), [0, values["liver"], values["spleen"]])
    whole[tuple(slice(start, start + length) for start, length in zip(OFFSET, part.shape, strict=True))] = part
    return whole.T


def on_scan(path: Path, values: Any, **changes: Any) -> LabelMap:
    scan = write_scan(path.with_name("scan.nrrd"), np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), **changes)
    geometry = read_image([scan], channels=1).geometry
    return on_grid_of(read_labels(path, values=values), geometry, where=path, other=scan)


@pytest.mark.parametrize(
    ("layers", "segments", "old"),
    [
        (layer(), ONE_LAYER, False),
        (layer()[np.newaxis], ONE_LAYER, False),
        (two_layers(), TWO_LAYERS, False),
        (two_layers(), TWO_LAYERS[::-1], False),
        (two_layers(), TWO_LAYERS, True),
        (np.concatenate([two_layers(), 0 * two_layers()[:1]]), [*TWO_LAYERS, ("leftover", 2, 1)], False),
    ],
    ids=["one layer", "a list of one", "two layers", "another order", "before 4.11", "an empty segment of another name"],
)
def test_segments_are_classes_by_their_names(
    tmp_path: Path, layers: NDArray[np.uint8], segments: list[tuple[str, int, int]], *, old: bool
) -> None:
    path = write_segmentation(tmp_path / "a.seg.nrrd", layers, segments, offset=OFFSET, old=old)
    labels = on_scan(path, NAMES)
    np.testing.assert_array_equal(labels.array, expected({"liver": 9, "spleen": 7}))
    assert labels.geometry.shape == SHAPE[::-1]


@pytest.mark.parametrize("values", [None, {0, 1, 2}, {0: "background", 1: "class 1", 2: "class 2"}], ids=str)
def test_without_names_of_theirs_label_values_count(tmp_path: Path, values: Any) -> None:
    path = write_segmentation(tmp_path / "a.seg.nrrd", layer(), ONE_LAYER, offset=OFFSET)
    np.testing.assert_array_equal(on_scan(path, values).array, expected({"liver": 1, "spleen": 2}))


@pytest.mark.parametrize("segments", [[("SPLEEN", 0, 1), ("Liver", 0, 2)], [("Spleen", 0, 1), ("liver", 0, 2)]], ids=str)
def test_names_are_compared_whatever_the_case_of_their_letters(tmp_path: Path, segments: list[tuple[str, int, int]]) -> None:
    path = write_segmentation(tmp_path / "a.seg.nrrd", layer(), segments, offset=OFFSET)
    np.testing.assert_array_equal(on_scan(path, NAMES).array, expected({"spleen": 9, "liver": 7}))


def test_names_are_compared_whatever_their_unicode_form() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Gefäß") for form in ("NFC", "NFD"))
    segments = [Segment(composed, 0, 1), Segment("liver", 0, 2)]
    labels = merged(layer()[np.newaxis], segments, Path("a"), values={0: "background", 1: "liver", 2: decomposed})
    np.testing.assert_array_equal(labels, np.choose(layer(), [0, 2, 1]))


def test_where_the_case_tells_classes_apart_it_counts(tmp_path: Path) -> None:
    path = write_segmentation(tmp_path / "a.seg.nrrd", layer(), [("a", 0, 1), ("A", 0, 2)], offset=OFFSET)
    np.testing.assert_array_equal(
        on_scan(path, {0: "background", 3: "A", 4: "a"}).array, expected({"liver": 4, "spleen": 3})
    )


@pytest.mark.parametrize(
    "segments", [[("Segment_1", 0, 1), ("Segment_2", 0, 2)], [("Segment_1", 0, 1), ("GM", 0, 2)]], ids=str
)
def test_segments_that_slicer_named_keep_their_label_values(tmp_path: Path, segments: list[tuple[str, int, int]]) -> None:
    path = write_segmentation(tmp_path / "a.seg.nrrd", layer(), segments, offset=OFFSET)
    found = on_scan(path, {0: "background", 1: "CSF", 2: "GM", 255: "ignore"})
    np.testing.assert_array_equal(found.array, expected({"liver": 1, "spleen": 2}))


@pytest.mark.parametrize(
    ("layers", "segments", "values", "says"),
    [
        (
            layer(),
            [("tumour", 0, 1), ("cyst", 0, 2)],
            {0: "background", 1: "a", 2: "b"},
            "no classes; .* found cyst, tumour",
        ),
        (layer(), [("Segment_1", 0, 1), ("GM", 0, 2)], {0: "background", 1: "GM"}, "no classes; .* found Segment_1"),
        (layer(), [("Segment_1", 0, 1), ("Segment_2", 0, 2)], {0: "background", 1: "GM"}, "no classes; .* found Segment_2"),
        (layer(), [("liver", 0, 1), ("Liver", 0, 2)], NAMES, "several segments of one name; found liver, Liver"),
        (two_layers(), TWO_LAYERS, None, "share label values, and none is called like a class"),
        (layer(), [("liver", 0, 1), ("kidney", 0, 2)], NAMES, "segments that are no classes; .* found kidney"),
        (layer(), [("liver", 0, 1)], NAMES, r"label values that no segment has; expected 1 \(liver\); found 2"),
        (layer(), [("liver", 0, 1), ("liver", 0, 2)], NAMES, "several segments of one name"),
        (layer(), [("liver", 0, 1), ("spleen", 0, 1)], NAMES, "several segments with one label value in one layer"),
        (layer(), [("liver", 0, 1), ("spleen", 1, 2)], NAMES, r"layers that are not there \(spleen\)"),
        (layer(), [("liver", 0, 0), ("spleen", 0, 2)], NAMES, "label values below 1"),
        (layer(), [("liver", 0, 1), ("spleen", 0, 2)], {0: "background", 1: "class 1"}, "expected the declared values 0, 1"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, layers: NDArray[np.uint8], segments: list[tuple[str, int, int]], values: Any, says: str
) -> None:
    path = write_segmentation(tmp_path / "a.seg.nrrd", layers, segments, offset=OFFSET)
    with pytest.raises((ImageError, DatasetError), match=says):
        on_scan(path, values)


def test_segments_that_overlap_are_refused_with_their_names(tmp_path: Path) -> None:
    layers = two_layers()
    layers[:, 2, 3, 1] = 1
    path = write_segmentation(tmp_path / "a.seg.nrrd", layers, TWO_LAYERS)
    with pytest.raises(ImageError, match=r"segments that overlap; .* 1 voxels in several, the first at \(1, 3, 2\).*liver"):
        read_labels(path, values=NAMES)


# Crops


def test_a_crop_may_leave_the_scan_where_nothing_is_labelled(tmp_path: Path) -> None:
    wide = np.pad(layer(), ((9, 9), (0, 0), (0, 0)))
    start = (OFFSET[0] - 9, *OFFSET[1:])
    path = write_segmentation(tmp_path / "a.seg.nrrd", wide, ONE_LAYER, offset=start)
    np.testing.assert_array_equal(on_scan(path, None).array, expected({"liver": 1, "spleen": 2}))


def test_an_empty_crop_elsewhere_is_an_empty_label_map(tmp_path: Path) -> None:
    path = write_segmentation(tmp_path / "a.seg.nrrd", 0 * layer(), ONE_LAYER, offset=(90, 0, 0))
    assert not on_scan(path, NAMES).array.any()


@pytest.mark.parametrize("offset", [(9, 4, 2), (-2, 4, 2), (90, 4, 2)])
def test_labels_outside_the_scan_are_refused(tmp_path: Path, offset: tuple[int, int, int]) -> None:
    path = write_segmentation(tmp_path / "a.seg.nrrd", layer(), ONE_LAYER, offset=offset)
    with pytest.raises(ImageError, match=r"labels outside .*scan\.nrrd; .* found \d+ voxels outside"):
        on_scan(path, NAMES)


@pytest.mark.parametrize(
    "changes",
    [
        {"space origin": [5.3, 6.0, 7.0]},
        {"space directions": np.diag([0.8, 0.9, 2.1])},
        {"space directions": np.diag([-0.8, 0.9, 2.0])},
    ],
)
def test_voxels_between_those_of_the_scan_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = write_segmentation(tmp_path / "a.seg.nrrd", layer(), ONE_LAYER, offset=OFFSET)
    with pytest.raises(ImageError, match=r"no part of the grid of .*scan\.nrrd"):
        on_scan(path, NAMES, **changes)


def test_only_segmentations_may_cover_a_part(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "labels.nrrd", layer())
    with pytest.raises(ImageError, match="shape"):
        on_scan(path, {0, 1, 2})


# Classes


def test_classes_have_the_files_own_values_where_these_mean_the_same(tmp_path: Path) -> None:
    paths = [
        write_segmentation(tmp_path / "a.seg.nrrd", layer(), ONE_LAYER),
        write_segmentation(tmp_path / "b.seg.nrrd", layer(), [("background", 0, 5), ("spleen", 0, 2), ("kidney", 0, 4)]),
    ]
    named = named_classes(paths)
    assert named is not None
    assert (dict(named.names), named.own) == ({0: "background", 1: "liver", 2: "spleen", 4: "kidney"}, True)


@pytest.mark.parametrize(
    "segments", [[("spleen", 0, 1), ("liver", 0, 2)], [("kidney", 0, 1), ("spleen", 0, 2)], TWO_LAYERS], ids=str
)
def test_else_classes_are_numbered_by_name(tmp_path: Path, segments: list[tuple[str, int, int]]) -> None:
    layers = two_layers() if segments is TWO_LAYERS else layer()
    paths = [
        write_segmentation(tmp_path / "a.seg.nrrd", layer(), ONE_LAYER),
        write_segmentation(tmp_path / "b.seg.nrrd", layers, segments),
    ]
    named = named_classes(paths)
    assert named is not None
    assert not named.own
    names = sorted({"liver", "spleen", *(name for name, _, _ in segments)})
    assert dict(named.names) == dict(enumerate(["background", *names]))


def test_the_case_of_letters_makes_no_classes(tmp_path: Path) -> None:
    paths = [
        write_segmentation(tmp_path / "a.seg.nrrd", layer(), ONE_LAYER),
        write_segmentation(tmp_path / "b.seg.nrrd", layer(), [("Background", 0, 1), ("Liver", 0, 2), ("SPLEEN", 0, 3)]),
    ]
    named = named_classes(paths)
    assert named is not None
    assert dict(named.names) == {0: "background", 1: "Liver", 2: "SPLEEN"}
    both = write_segmentation(tmp_path / "c.seg.nrrd", layer(), [("liver", 0, 1), ("Liver", 0, 2)])
    with pytest.raises(DatasetError, match="several segments of one name"):
        named_classes([both])


@pytest.mark.parametrize(
    "others", [[], [("Segment_1", 0, 1), ("Segment_2", 0, 2)], [("liver", 0, 1), ("Segment_2", 0, 2)]], ids=str
)
def test_segments_name_the_values_of_other_label_maps(tmp_path: Path, others: list[tuple[str, int, int]]) -> None:
    paths = [
        write_segmentation(tmp_path / "a.seg.nrrd", layer(), ONE_LAYER),
        write_segmentation(tmp_path / "b.seg.nrrd", layer(), others),
        write_scan(tmp_path / "c.nrrd", layer()),
        tmp_path / "d.nii.gz",
    ]
    named = named_classes(paths)
    assert named is not None
    assert (dict(named.names), named.own) == ({0: "background", 1: "liver", 2: "spleen"}, True)


@pytest.mark.parametrize("name", ["c.seg.nrrd", "c.seg.nhdr"])
@pytest.mark.parametrize("segments", [[("spleen", 0, 1), ("liver", 0, 2)], [("kidney", 0, 1)], TWO_LAYERS], ids=str)
def test_values_that_mean_something_else_in_every_file_cannot_tell_what_label_maps_without_names_hold(
    tmp_path: Path, name: str, segments: list[tuple[str, int, int]]
) -> None:
    layers = two_layers() if segments is TWO_LAYERS else layer()
    named = [
        write_segmentation(tmp_path / "a.seg.nrrd", layer(), ONE_LAYER),
        write_segmentation(tmp_path / name, layers, segments),
    ]
    for other in (write_scan(tmp_path / "d.nrrd", layer()), tmp_path / "d.nii.gz"):
        with pytest.raises(DatasetError, match=rf"d\.n.*: .* this label map has none; .* in .*a\.seg.* is \d in .*{name}"):
            named_classes([*named, other])


def test_detached_headers_name_classes(tmp_path: Path) -> None:
    paths = [write_segmentation(tmp_path / f"{name}.seg.nhdr", layer(), ONE_LAYER) for name in "ab"]
    named = named_classes(paths)
    assert named is not None
    assert dict(named.names) == {0: "background", 1: "liver", 2: "spleen"}


def test_other_label_maps_name_no_classes(tmp_path: Path) -> None:
    paths = [
        write_segmentation(tmp_path / "a.seg.nrrd", layer(), [("Segment_1", 0, 2), ("Segment_2", 0, 1)]),
        write_scan(tmp_path / "b.nrrd", layer()),
    ]
    assert named_classes(paths) is None
    assert named_classes([tmp_path / "missing.seg.nrrd"]) is None
    assert named_classes([tmp_path / "c.nii.gz"]) is None
    assert named_classes([]) is None
