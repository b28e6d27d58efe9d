"""Stored probabilities back on the scan: a scan of 2 x 3 x 4 voxels, of which the networks saw 2 x 2 x 2."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.whole_scans import restore_probabilities

from autoseg.catalogue import Architecture
from autoseg.data.dataset import LabelClass
from autoseg.data.labels import encoding_of
from autoseg.errors import WorkspaceError
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.inference import probabilities
from autoseg.inference.steps import Step
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import (
    HeldOutCase,
    cases,
    expectations,
    label_map,
    mean_probabilities,
    postprocessed,
    score_choices,
    verify,
)
from autoseg.preprocessing.footprint import Footprint, empty_probabilities, put_probabilities
from autoseg.storage import files
from autoseg.storage.compressed import CompressedArray, compressed_in_parts

CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=3, name="CSF"), LabelClass(value=70, name="GM"))
SHAPE, SPACING_MM = (2, 3, 4), (1.0, 2.0, 0.25)
# Slices lie across Y, last first; the first of them is cut away, and so are the outer columns along X.
FOOTPRINT = Footprint(
    shape=SHAPE, axes=(1, 0, 2), flipped=(True, False, False), start=(1, 0, 1), stop=(3, 2, 3),
    size_px=(2, 2), spacing_mm=(2.0, 1.0, 0.25), pad_value=(0.0,),
)  # fmt: skip
Probabilities = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Labels = np.ndarray[tuple[int, ...], np.dtype[np.uint16]]


def sure(*places: tuple[int, int, int, int]) -> Probabilities:
    """Background everywhere but at these places (class index, slice, row, column)."""
    stored = np.zeros((3, 2, 2, 2), np.uint8)
    stored[0] = 255
    for index, *place in places:
        stored[:, *place] = 0
        stored[index, *place] = 255
    return stored


FIRST, SECOND = sure((1, 1, 0, 0), (2, 0, 1, 1)), sure((1, 1, 0, 0))
TRUTH = np.zeros(SHAPE, np.uint16)
TRUTH[0, 0, 1] = 3  # slice 1 is Y = 0; column 0 is X = 1
TRUTH[1, 1, 2] = 70  # slice 0 is Y = 1


def held_out(folder: Path, stored: Mapping[Architecture, Any], *, reference: Labels = TRUTH) -> HeldOutCase:
    """A case held out by networks, each of one seed, or of several where there are several arrays."""
    write_labels(folder / "s_seg.nii.gz", reference, Geometry(SHAPE, SPACING_MM))
    paths: dict[Architecture, tuple[tuple[Path], ...]] = {}
    for network, arrays in stored.items():
        (folder / network).mkdir()
        for seed, array in enumerate(arrays if isinstance(arrays, list) else [arrays]):
            path = folder / network / (f"s_{seed}.npy" if seed else "s.npy")
            np.save(path, array)
            paths[network] = (*paths.get(network, ()), (path,))
    sums = {path: files.sha256_file(path) for of_network in paths.values() for (path,) in of_network}
    return HeldOutCase("s", folder / "s_seg.nii.gz", (FOOTPRINT,), paths, sums, CLASSES, folder / "s_seg.nii.gz", "0")


def test_networks_are_averaged_alike(tmp_path: Path) -> None:
    case = held_out(tmp_path, {"unet": FIRST, "sepres": SECOND, "attention": SECOND})
    ((first, alone),) = mean_probabilities(case, Choice(("unet",)))
    assert first == 0
    assert alone[:, 0, 1, 1].tolist() == [0.0, 0.0, 1.0]
    ((_, mean),) = mean_probabilities(
        case,
        Choice(("unet", "sepres", "attention")),
    )
    assert mean.shape == (3, 2, 2, 2)
    assert mean.dtype == np.float32
    assert mean[:, 0, 1, 1] == pytest.approx([2 / 3, 0.0, 1 / 3])
    assert mean[:, 1, 0, 0].tolist() == [0.0, 1.0, 0.0]  # 3 x 255 overflows nothing


def test_several_seeds_of_a_network_count_as_one_network(tmp_path: Path) -> None:
    case = held_out(tmp_path, {"unet": [FIRST, SECOND], "sepres": SECOND})
    ((_, alone),) = mean_probabilities(case, Choice(("unet",)))
    assert alone[:, 0, 1, 1].tolist() == [0.5, 0.0, 0.5]
    ((_, mean),) = mean_probabilities(
        case,
        Choice(("unet", "sepres")),
    )
    assert mean[:, 0, 1, 1].tolist() == [0.75, 0.0, 0.25]
    np.save(case.probabilities["unet"][1][0], FIRST)
    with pytest.raises(WorkspaceError, match="s_1"):
        verify(case)


def compressed(case: HeldOutCase) -> HeldOutCase:
    """The same case as this version stores it."""
    stored: dict[Architecture, tuple[tuple[Path, ...], ...]] = {}
    for network, seeds in case.probabilities.items():
        stored[network] = tuple(tuple(path.with_suffix(".npz") for path in seed) for seed in seeds)
        for path in (path for seed in seeds for path in seed):
            array = np.load(path)
            with compressed_in_parts(path.with_suffix(".npz"), array.shape, np.uint8) as parts:
                parts.put(array, first=0)
            path.unlink()
    return replace(case, probabilities=stored, sha256={})


CHOICES = [Choice(("unet",)), Choice(("sepres",)), Choice(("unet", "sepres"))]


@pytest.mark.parametrize(("kept", "reads"), [(1 << 28, 1), (8 * 3, 1.5), (0, 2)])
def test_compressed_probabilities_score_the_same_and_are_read_once_where_memory_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, reads: float
) -> None:
    plain = held_out(tmp_path, {"unet": FIRST, "sepres": SECOND})
    expected = score_choices(plain, choices=CHOICES)
    case, read = compressed(plain), []
    part = CompressedArray.part

    def counted(array: CompressedArray, window: slice) -> Any:
        read.append(window)
        return part(array, window)

    monkeypatch.setattr(CompressedArray, "part", counted)
    monkeypatch.setattr("autoseg.postprocessing.held_out.cases.KEPT_BYTES", kept)
    assert score_choices(case, choices=CHOICES) == expected
    assert len(read) == reads * 2


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_compressed_probabilities_that_cannot_be_read_are_named(tmp_path: Path, content: bytes | None) -> None:
    case = compressed(held_out(tmp_path, {"unet": FIRST}))
    (((path,),),) = case.probabilities.values()
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"s\.npz") as raised:
        label_map(case, Choice(("unet",)))
    assert str(path.parent) in raised.value.remedy


@pytest.mark.parametrize("at_once", [1 << 26, 30])
def test_views_are_averaged_on_the_scans_own_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Two planes of one box, one of them with other pixels, restored one by one and averaged here."""
    monkeypatch.setattr("autoseg.postprocessing.held_out.cases._NUMBERS_AT_ONCE", at_once)
    shape = (6, 7, 8)
    box = {"shape": shape, "spacing_mm": (1.0, 1.0, 1.0), "pad_value": (0.0,)}
    footprints = (
        Footprint(axes=(1, 0, 2), flipped=(True, False, True), start=(1, 0, 2), stop=(7, 5, 8), size_px=(5, 6), **box),
        Footprint(axes=(2, 0, 1), flipped=(True, True, False), start=(2, 1, 0), stop=(8, 6, 6), size_px=(4, 9), **box),
    )
    write_labels(tmp_path / "s_seg.nii.gz", np.zeros(shape, np.uint16), Geometry(shape, (1.0, 1.0, 1.0)))
    random, paths = np.random.default_rng(0), {}
    for network in ("unet", "sepres"):
        paths[network] = ((tmp_path / f"{network}.a.npy", tmp_path / f"{network}.b.npy"),)
        for path, footprint in zip(paths[network][0], footprints, strict=True):
            stored = random.dirichlet(np.ones(3), size=(footprint.kept[0], *footprint.size_px)) * 255
            np.save(path, np.moveaxis(stored.round().astype(np.uint8), -1, 0))
    case = HeldOutCase("s", tmp_path / "s_seg.nii.gz", footprints, paths, {}, CLASSES, tmp_path / "s_seg.nii.gz", "0")
    encoding = encoding_of(CLASSES)

    def alone(networks: tuple[Architecture, ...], view: int) -> Any:
        mean = np.mean([np.load(paths[network][0][view]) for network in networks], axis=0) / 255
        return restore_probabilities(mean.astype(np.float32), footprints[view], encoding)

    for networks in (("unet",), ("unet", "sepres")):
        for views in (None, (0, 1), (1,)):
            chosen = (0, 1) if views is None else views
            expected = np.mean([alone(networks, view) for view in chosen], axis=0)
            found = empty_probabilities(case.grid(views), encoding)
            for first, part in mean_probabilities(case, Choice(networks, views)):
                put_probabilities(found, part, case.grid(views), first=first)
            np.testing.assert_allclose(found, expected, atol=1e-6)
            np.testing.assert_array_equal(label_map(case, Choice(networks, views)), encoding.labels(found))


@pytest.mark.parametrize("at_once", [1 << 26, 30])
def test_of_views_on_the_scans_own_pixels_each_probability_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Slices across X, of which each window along Z shows some rows."""
    monkeypatch.setattr(cases, "_NUMBERS_AT_ONCE", at_once)
    decoded, decode_mean = [], probabilities.decode_mean

    def counted(encoded: Any) -> Any:
        decoded.append(encoded[0][0].size)
        return decode_mean(encoded)

    monkeypatch.setattr(probabilities, "decode_mean", counted)
    shape = (6, 5, 4)
    footprint = Footprint(
        shape=shape, axes=(2, 0, 1), flipped=(False, True, False), start=(0, 0, 0), stop=(4, 6, 5), size_px=(6, 5),
        spacing_mm=(1.0, 1.0, 1.0), pad_value=(0.0,),
    )  # fmt: skip
    stored = tmp_path / "a.npy"
    np.save(stored, np.zeros((3, 4, 6, 5), np.uint8))
    case = HeldOutCase("s", stored, (footprint, footprint), {"unet": ((stored, stored),)}, {}, CLASSES, stored, "0")
    windows = [first for first, _ in mean_probabilities(case, Choice(("unet",)))]
    assert windows == ([0] if at_once > 30 else [0, 1, 2, 3, 4, 5])
    assert sum(decoded) == 2 * 3 * 4 * 6 * 5


def test_fewer_seeds_may_be_asked(tmp_path: Path) -> None:
    case = held_out(tmp_path, {"unet": [FIRST, SECOND]})
    assert expectations(case.of_seeds({"unet": 1}), choice=Choice(("unet",))) == {"CSF": 1.0, "GM": 1.0}
    assert expectations(case, choice=Choice(("unet",)))["GM"] < 1.0


def test_an_average_of_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs networks"):
        list(mean_probabilities(held_out(tmp_path, {"unet": FIRST}), Choice(())))


def test_many_slices_are_averaged_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = held_out(tmp_path, {"unet": FIRST, "sepres": SECOND})
    whole, labels = (
        expectations(case, choice=Choice(("unet", "sepres"))),
        label_map(
            case,
            Choice(("unet", "sepres")),
        ),
    )
    monkeypatch.setattr(cases, "_NUMBERS_AT_ONCE", 1)
    parts = list(
        mean_probabilities(
            case,
            Choice(("unet", "sepres")),
        )
    )
    assert [first for first, _ in parts] == [0, 1]
    assert expectations(case, choice=Choice(("unet", "sepres"))) == whole
    np.testing.assert_array_equal(
        label_map(
            case,
            Choice(("unet", "sepres")),
        ),
        labels,
    )


def test_a_label_map_has_the_scans_grid_and_the_data_sets_values(tmp_path: Path) -> None:
    found = label_map(held_out(tmp_path, {"unet": FIRST}), Choice(("unet",)))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, TRUTH)


def test_choices_are_scored_in_their_order(tmp_path: Path) -> None:
    case = held_out(tmp_path, {"unet": FIRST, "sepres": SECOND})
    unet, both, sepres = score_choices(case, choices=[Choice(("unet",)), Choice(("unet", "sepres")), Choice(("sepres",))])
    assert sepres.id == "s"
    assert [(scores.value, scores.name, scores.dice) for scores in sepres.classes] == [(3, "CSF", 1.0), (70, "GM", 0.0)]
    assert [scores.dice for scores in unet.classes] == [1.0, 1.0]
    assert unet.classes[0].hausdorff_mm == 0.0
    assert unet.classes[0].number("reference_volume_ml") == pytest.approx(0.0005)  # a voxel of 1 x 2 x 0.25 mm3
    assert both.classes[0].dice == 1.0


def test_distances_are_those_of_the_scan_in_mm(tmp_path: Path) -> None:
    shifted = np.zeros(SHAPE, np.uint16)
    shifted[0, 1, 3] = 3  # one voxel on along Y, 2 mm, and two along X, 0.5 mm
    (found,) = score_choices(held_out(tmp_path, {"unet": SECOND}, reference=shifted), choices=[Choice(("unet",))])
    assert found.classes[0].hausdorff_mm == pytest.approx(np.hypot(2.0, 0.5))


def test_label_maps_are_cleaned_by_volume(tmp_path: Path) -> None:
    case = held_out(tmp_path, {"unet": FIRST})
    small = Step(type="drop_small", label=70, min_volume_ml=0.00075)  # a voxel has 0.0005 ml
    without = np.where(TRUTH == 70, 0, TRUTH)
    np.testing.assert_array_equal(
        postprocessed(case, choice=Choice(("unet",)), steps=[small], spacing_mm=SPACING_MM), without
    )
    np.testing.assert_array_equal(
        postprocessed(case, choice=Choice(("unet",)), steps=[small], spacing_mm=(2.0, 2.0, 0.25)), TRUTH
    )


def test_networks_that_disagree_expect_less_of_themselves(tmp_path: Path) -> None:
    case = held_out(tmp_path, {"unet": sure((1, 0, 0, 0), (2, 1, 1, 1)), "sepres": sure((1, 0, 0, 0), (1, 1, 1, 1))})
    assert expectations(case, choice=Choice(("unet",))) == {"CSF": 1.0, "GM": 1.0}
    # CSF wins in both places with probabilities 1 and 1/2: 2 x 1.5 / (2 + 1.5). GM never wins.
    assert expectations(case, choice=Choice(("unet", "sepres"))) == pytest.approx({"CSF": 3 / 3.5, "GM": 0.0})


def test_what_was_written_passes_verification(tmp_path: Path) -> None:
    verify(held_out(tmp_path, {"unet": FIRST, "sepres": SECOND}))


def test_what_changed_since_does_not(tmp_path: Path) -> None:
    case = held_out(tmp_path, {"unet": FIRST, "sepres": SECOND})
    (((path,),), expected) = case.probabilities["sepres"], case.sha256[tmp_path / "sepres" / "s.npy"]
    np.save(path, FIRST)
    with pytest.raises(WorkspaceError) as raised:
        verify(case)
    assert raised.value.where == str(tmp_path / "sepres" / "s.npy")
    assert raised.value.expected == f"sha256 {expected}"
    assert raised.value.found == files.sha256_file(path)
    assert str(tmp_path / "sepres") in raised.value.remedy
    path.unlink()
    with pytest.raises(WorkspaceError, match="no file"):
        verify(case)


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (FIRST.astype(np.float32), "float32"),
        (FIRST[:2], "(2, 2, 2, 2)"),
        (FIRST[:, :1], "(3, 1, 2, 2)"),
        (np.array([{"a": 1}], dtype=object), "cannot be read"),
    ],
)
def test_arrays_of_something_else_are_refused(tmp_path: Path, stored: np.ndarray[Any, Any], found: str) -> None:
    case = held_out(tmp_path, {"unet": FIRST})
    ((path,),) = case.probabilities["unet"]
    np.save(path, stored)
    with pytest.raises(WorkspaceError) as raised:
        list(mean_probabilities(case, Choice(("unet",))))
    assert raised.value.where == str(path)
    assert found in str(raised.value.found)


@pytest.mark.parametrize("kept_bytes", [0, 5, 64, -1, None])
def test_files_that_are_cut_short_or_missing_are_refused(tmp_path: Path, kept_bytes: int | None) -> None:
    case = held_out(tmp_path, {"unet": FIRST})
    ((path,),) = case.probabilities["unet"]
    content = path.read_bytes()
    path.unlink()
    if kept_bytes is not None:
        path.write_bytes(content[:kept_bytes])
    with pytest.raises(WorkspaceError, match="cannot be read"):
        label_map(case, Choice(("unet",)))
