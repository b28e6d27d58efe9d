"""Models for single scans, without any training: what goes in as a file or an array, and what comes out for people."""

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from oracles.quick_predictions import predict
from oracles.untrained_models import untrained_ensemble
from PIL import Image as Pillow

from autoseg.data.dataset import LabelClass
from autoseg.data.display import colour, rgb
from autoseg.errors import DatasetError, ImageError, UsageError
from autoseg.formats.header import UNORIENTED
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, LabelMap, read_labels, write_channels
from autoseg.inference.doubts import doubts_about
from autoseg.inference.loaded import LoadedModel
from autoseg.inference.output_folder import Results
from autoseg.inference.prediction import Prediction, as_prediction
from autoseg.inference.preview import fullest_cuts, html_pictures
from autoseg.inference.segmenter import Segmentation, Segmenter
from autoseg.model.encoding import TensorEncoding
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import canonical

GEOMETRY = Geometry(
    shape=(4, 16, 24),
    spacing_mm=(2.0, 1.0, 1.5),
    origin_mm=(3.0, 4.0, 5.0),
    direction=(-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0),
)
ARRAY = np.random.default_rng(0).normal(100, 20, size=GEOMETRY.shape).astype(np.float32)
MakePlan = Callable[..., Plan]
TWO_CHANNELS = {"channels": ["T1", "FLAIR"]}
NOT_SCALED = {"normalisation": [{"method": "none"}, {"method": "none"}]}
CLASSES = tuple(LabelClass(value=value, name=name) for value, name in ((0, "background"), (2, "disc"), (5, "<b>rim</b>")))


def loaded(plan: Plan) -> LoadedModel:
    ensemble = untrained_ensemble(plan, folds=("0", "1"), mirror=False)
    return LoadedModel(Segmenter(ensemble, steps=(), quality=None, trained_on=()))


@pytest.fixture
def model(tiny_plan: Plan) -> LoadedModel:
    return loaded(tiny_plan)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    write_channels(tmp_path / "scan.nii.gz", ARRAY[np.newaxis], GEOMETRY)
    return tmp_path / "scan.nii.gz"


def prediction(
    labels: np.ndarray, geometry: Geometry = GEOMETRY, *, predicted_dice: dict[str, float] | None = None
) -> Prediction:
    found = Segmentation(
        labels=LabelMap(labels.astype(np.uint16), geometry),
        probabilities=None,
        spooled=None,
        entropy=None,
        predicted_dice=predicted_dice,
        estimated_dice=None,
        warnings=("darker than <any> before",),
    )
    return as_prediction(found, Image(ARRAY[np.newaxis], GEOMETRY), CLASSES)


def two_discs() -> np.ndarray:
    labels = np.zeros(GEOMETRY.shape, dtype=np.uint16)
    labels[1:3, 4:10, 5:9] = 2
    labels[2, 12, 3:6] = 5
    return labels


def test_a_file_is_segmented_like_its_array_and_saved_on_its_grid(model: LoadedModel, scan: Path, tmp_path: Path) -> None:
    placed = {"direction": GEOMETRY.direction, "origin_mm": np.array(GEOMETRY.origin_mm)}
    of_array = model.predict(ARRAY, spacing_mm=np.array(GEOMETRY.spacing_mm), **placed)  # type: ignore[arg-type]
    of_file, of_list = model.predict(scan), model.predict([str(scan)])
    np.testing.assert_array_equal(of_file.labels.array, of_array.labels.array)
    np.testing.assert_array_equal(of_file.labels.array, of_list.labels.array)
    for found, name in ((of_file, "a.nii.gz"), (of_array, "b.nrrd")):
        assert found.save(tmp_path / "new" / name) == tmp_path / "new" / name
        stored = read_labels(tmp_path / "new" / name)
        np.testing.assert_array_equal(stored.array, found.labels.array)
        assert stored.geometry.difference(GEOMETRY) == ""
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.nii.gz", "b.nrrd"]


def test_what_would_replace_the_scan_or_has_no_format_is_refused(model: LoadedModel, scan: Path) -> None:
    found, before = model.predict(scan), scan.read_bytes()
    with pytest.raises(UsageError, match="is the scan itself"):
        found.save(scan)
    with pytest.raises(UsageError, match=r"no format for label maps; expected .*\.nii\.gz"):
        found.save(scan.with_name("labels.png"))
    assert scan.read_bytes() == before
    assert [path.name for path in scan.parent.iterdir()] == ["scan.nii.gz"]


def test_no_channel_of_the_scan_is_replaced(make_plan: MakePlan, tmp_path: Path) -> None:
    paths = [tmp_path / f"a_000{number}.nii.gz" for number in range(2)]
    for path in paths:
        write_channels(path, ARRAY[np.newaxis], GEOMETRY)
    (tmp_path / "linked.nii.gz").symlink_to(paths[1].name)
    before = [path.read_bytes() for path in paths]
    model = loaded(make_plan(data=TWO_CHANNELS, preprocessing=NOT_SCALED))
    for found in (model.predict(paths), model.predict(paths[0])):
        for path in (*paths, tmp_path / "linked.nii.gz"):
            with pytest.raises(UsageError, match="is the scan itself"):
                found.save(path)
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.parametrize("names", [("a_T1", "a_FLAIR"), ("a_0000", "a_0001"), ("other_0000", "FLAIR")])
def test_files_whose_names_tell_their_channels_come_in_any_order(
    make_plan: MakePlan, tmp_path: Path, names: tuple[str, str]
) -> None:
    paths = [tmp_path / f"{name}.nii.gz" for name in names]
    for factor, path in enumerate(paths, start=1):
        write_channels(path, factor * ARRAY[np.newaxis], GEOMETRY)
    model = loaded(make_plan(data=TWO_CHANNELS, preprocessing=NOT_SCALED))
    expected = model.slices(np.stack([ARRAY, 2 * ARRAY]), spacing_mm=GEOMETRY.spacing_mm, direction=GEOMETRY.direction)
    for given in (paths, paths[::-1]):
        np.testing.assert_array_equal(model.slices(given), expected)
    with pytest.raises(UsageError, match="several files of one channel"):
        model.slices([paths[0], tmp_path / "b_T1.nii.gz"])


def test_files_whose_names_tell_nothing_come_in_the_order_given(make_plan: MakePlan, tmp_path: Path) -> None:
    paths = [tmp_path / "second_FLAIR.nii.gz", tmp_path / "first.nii.gz"]
    for factor, path in enumerate(paths, start=1):
        write_channels(path, factor * ARRAY[np.newaxis], GEOMETRY)
    model = loaded(make_plan(data=TWO_CHANNELS, preprocessing=NOT_SCALED))
    expected = model.slices(np.stack([ARRAY, 2 * ARRAY]), spacing_mm=GEOMETRY.spacing_mm, direction=GEOMETRY.direction)
    np.testing.assert_array_equal(model.slices(paths), expected)


def test_directions_may_be_a_matrix(model: LoadedModel) -> None:
    matrix = np.reshape(GEOMETRY.direction, (3, 3))
    expected = model.slices(ARRAY, spacing_mm=GEOMETRY.spacing_mm, direction=GEOMETRY.direction)
    for direction in (matrix, matrix.tolist()):
        found = model.slices(ARRAY, spacing_mm=GEOMETRY.spacing_mm, direction=direction)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("placed", "what"),
    [
        ({"spacing_mm": 1.0}, "no usable spacing"),
        ({"spacing_mm": "1,1,1"}, "no usable spacing"),
        ({"spacing_mm": (1, 1, 1), "direction": np.eye(2)}, "no usable direction"),
        ({"spacing_mm": (1, 1, 1), "direction": np.full((3, 3), np.inf)}, "no usable direction"),
        ({"spacing_mm": (1, 1, 1), "origin_mm": 0}, "no usable origin"),
    ],
)
def test_what_places_nothing_is_refused(model: LoadedModel, placed: dict[str, Any], what: str) -> None:
    with pytest.raises(ImageError, match=what):
        model.predict(ARRAY, **placed)


def test_values_that_are_not_finite_are_counted(model: LoadedModel) -> None:
    for wrong in (np.nan, -np.inf, 1e39):
        array = ARRAY.astype(np.float64)
        array[1, 2, 3] = array[2, 2, 2] = wrong
        with pytest.raises(ImageError, match=r"found 2 NaN or infinite, the first at \(1, 2, 3\) \(Z, Y, X\)"):
            model.predict(array, spacing_mm=(1, 1, 1))


def test_values_that_are_not_finite_are_zero_in_arrays_as_in_files(make_plan: MakePlan, tmp_path: Path) -> None:
    model = loaded(make_plan(preprocessing={"not_finite": "zero"}))
    given, zeroed = ARRAY.copy(), ARRAY.copy()
    given[1, 2, 3], zeroed[1, 2, 3] = np.nan, 0
    nibabel.save(nibabel.Nifti1Image(given.T, np.diag([-1.0, -1.0, 1.0, 1.0])), tmp_path / "scan.nii")
    of_array, of_file = model.predict(given, spacing_mm=(1, 1, 1)), model.predict(tmp_path / "scan.nii")
    assert of_array.warnings == of_file.warnings == ("1 NaN or infinite voxel taken for 0, as asked",)
    np.testing.assert_array_equal(of_array.labels.array, of_file.labels.array)
    np.testing.assert_array_equal(of_array.labels.array, model.predict(zeroed, spacing_mm=(1, 1, 1)).labels.array)
    assert np.isnan(given[1, 2, 3])
    with pytest.raises(ImageError, match="not finite numbers"):
        model.predict(np.where(np.isnan(given), 1e39, given.astype(np.float64)), spacing_mm=(1, 1, 1))


def test_a_folder_of_several_scans_is_refused(model: LoadedModel, scan: Path) -> None:
    np.testing.assert_array_equal(model.predict(scan.parent).labels.array, model.predict(scan).labels.array)
    scan.with_name("other.nii.gz").write_bytes(scan.read_bytes())
    with pytest.raises(UsageError, match="several scans"):
        model.predict(scan.parent)


def test_files_and_arrays_are_not_mixed_up(model: LoadedModel, scan: Path) -> None:
    with pytest.raises(UsageError, match="files say themselves"):
        model.predict(scan, spacing_mm=(1, 1, 1))
    with pytest.raises(UsageError, match="no such file"):
        model.predict("nowhere.nii.gz")
    with pytest.raises(ImageError, match=r"spacing_mm: 3 numbers .* found none"):
        model.predict(ARRAY)
    with pytest.raises(ImageError, match="origin"):
        model.predict(ARRAY, spacing_mm=(1, 1, 1), origin_mm=(0, 0))
    with pytest.raises(DatasetError):
        model.predict([scan, scan])


def test_networks_are_modules_for_the_slices_of_a_scan(model: LoadedModel, scan: Path, tiny_plan: Plan) -> None:
    assert model.names == ("unet/fold_0", "unet/fold_1")
    slices = model.slices(scan)
    assert slices.dtype == np.float32
    of_array = model.slices(ARRAY, spacing_mm=GEOMETRY.spacing_mm, direction=GEOMETRY.direction, network=1)
    np.testing.assert_array_equal(slices, of_array)
    with torch.inference_mode():
        logits = [network(torch.from_numpy(slices)) for network in model.networks]
    assert all(isinstance(network, torch.nn.Module) and not network.training for network in model.networks)
    assert all(each.shape == (len(slices), len(model.classes), *slices.shape[2:]) for each in logits)
    encoding = TensorEncoding.of(tiny_plan)
    mean = torch.stack([encoding.probabilities(each) for each in logits]).mean(dim=0)
    found = model.predict(scan, with_probabilities=True).probabilities
    assert found is not None
    # This plan turns and flips slices, and does nothing else to them.
    np.testing.assert_allclose(np.sort(found[1], axis=None), np.sort(mean[:, 1].numpy(), axis=None), atol=1e-5)


def test_it_is_told_in_a_line(model: LoadedModel) -> None:
    assert repr(model) == "<LoadedModel: tiny: unet fold_0 fold_1; segments disc; on cpu in float32>"
    found = prediction(two_discs())
    assert repr(found) == "<Prediction: 4 x 16 x 24 voxels, disc 0.14 ml, <b>rim</b> 0.009 ml; 1 warning>"
    assert repr(found.labels) == "<LabelMap: 4 x 16 x 24 voxels of 2 x 1 x 1.5 mm>"
    assert repr(Image(ARRAY[np.newaxis], GEOMETRY)) == "<Image: 1 channel, 4 x 16 x 24 voxels of 2 x 1 x 1.5 mm>"


def test_slices_with_most_foreground_are_kept_and_nothing_of_the_volume() -> None:
    labels = two_discs()
    cuts = prediction(labels).cuts
    assert [cut.plane for cut in cuts] == ["axial", "coronal", "sagittal"]
    assert all(cut.pixels.base is None and cut.labels.base is None for cut in cuts)
    counts = sorted(int(np.count_nonzero(cut.labels)) for cut in cuts)
    expected = sorted(int(np.count_nonzero(labels, axis=axes).max()) for axes in ((0, 1), (0, 2), (1, 2)))
    assert counts == expected
    sides = sorted(side for cut in cuts for side in cut.size_mm)
    assert sides == [8.0, 8.0, 16.0, 16.0, 36.0, 36.0]


@pytest.mark.parametrize(
    "direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), GEOMETRY.direction, (0, 0, 1, 1, 0, 0, 0, 1, 0), (0, -1, 0, 0, 0, 1, 1, 0, 0)]
)
def test_slices_are_those_of_the_scan_as_reports_show_it(direction: tuple[float, ...]) -> None:
    geometry = replace(GEOMETRY, direction=tuple(map(float, direction)))
    image, labels = Image(ARRAY[np.newaxis], geometry), LabelMap(two_discs(), geometry)
    shown, spacing_mm = canonical(ARRAY, geometry)
    values, _ = canonical(labels.array, geometry)
    for axis, cut in enumerate(fullest_cuts(image, labels)):
        counts = np.count_nonzero(values, axis=tuple(other for other in range(3) if other != axis))
        candidates = [shown.take(index, axis) for index in np.flatnonzero(counts == counts.max())]
        assert any(np.isin(cut.pixels, candidate).all() and cut.pixels.shape == candidate.shape for candidate in candidates)
        height, width = (side * spacing_mm[other] for other, side in enumerate(values.shape) if other != axis)
        assert cut.size_mm == (height, width)


def test_a_picture_shows_the_classes_over_the_scan_in_true_proportions() -> None:
    geometry = Geometry(shape=(1, 24, 64), spacing_mm=(1.0, 2.0, 0.5), dimensions=2)
    array = np.zeros((1, 24, 64), dtype=np.float32)
    array[:, :12] = 1.0
    labels = np.zeros((1, 24, 64), dtype=np.uint16)
    labels[0, 0, 0], labels[0, 20, 40] = 2, 5
    (cut,) = fullest_cuts(Image(array[np.newaxis], geometry), LabelMap(labels, geometry))
    shown = html_pictures([cut], CLASSES)
    height, width = (int(re.findall(rf"{side}: (\d+)px", shown)[0]) for side in ("height", "width"))
    assert height / width == pytest.approx(48 / 32, rel=0.02)
    assert "<b>" not in shown
    (encoded,) = re.findall(r"base64,([^\"]+)", shown)
    pixels = np.asarray(Pillow.open(io.BytesIO(base64.b64decode(encoded))))
    assert pixels.shape == (24, 64, 3)
    np.testing.assert_array_equal(pixels[0, 1], 255)
    np.testing.assert_array_equal(pixels[23, 63], 0)
    np.testing.assert_allclose(pixels[0, 0], 0.6 * 255 + 0.4 * np.array(rgb(colour(0))), atol=1)
    np.testing.assert_allclose(pixels[20, 40], 0.4 * np.array(rgb(colour(1))), atol=1)


def test_a_large_picture_stays_small_on_the_page() -> None:
    geometry = Geometry(shape=(1, 1100, 700), spacing_mm=(1.0, 1.0, 1.0), dimensions=2)
    image = Image(np.ones((1, 1, 1100, 700), dtype=np.float32), geometry)
    (cut,) = fullest_cuts(image, LabelMap(np.zeros((1, 1100, 700), dtype=np.uint16), geometry))
    assert max(cut.pixels.shape) <= 512
    assert cut.size_mm == (1100, 700)


@pytest.mark.parametrize("predicted_dice", [None, {"disc": 0.876}])
def test_a_notebook_shows_volumes_warnings_and_a_picture_of_each_plane(predicted_dice: dict[str, float] | None) -> None:
    shown = prediction(two_discs(), predicted_dice=predicted_dice)._repr_html_()
    assert ">0.14<" in shown
    assert shown.count("<img ") == 3
    assert "darker than &lt;any&gt; before" in shown
    assert not {"<any>", "<b>"} & set(re.findall(r"<\w+>", shown))
    assert ("probable Dice" in shown, ">0.88<" in shown) == ((predicted_dice is not None),) * 2


def test_volumes_of_microscopy_are_shown() -> None:
    small = prediction(two_discs(), replace(GEOMETRY, spacing_mm=(0.01, 0.01, 0.01)))
    assert ">4.8e-08<" in small._repr_html_()
    assert "disc 4.8e-08 ml" in repr(small)


def test_it_becomes_a_data_frame() -> None:
    pytest.importorskip("pandas")
    frame = prediction(two_discs(), predicted_dice={"disc": 0.876}).to_pandas()
    assert frame["class"].tolist() == ["disc", "<b>rim</b>"]
    assert frame["volume_ml"].tolist() == pytest.approx([48 * 0.003, 3 * 0.003])
    assert frame["predicted_dice"].isna().tolist() == [False, True]


def test_warnings_of_a_file_come_with_those_of_its_segmentation(
    model: LoadedModel, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autoseg.inference import scans

    read = scans.read_image
    monkeypatch.setattr(
        scans, "read_image", lambda *given, **options: replace(read(*given, **options), warnings=("an odd header",))
    )
    assert model.predict(scan).warnings[0] == "an odd header"


def test_a_scan_is_as_doubtful_in_python_as_in_the_table(model: LoadedModel, tmp_path: Path) -> None:
    write_channels(tmp_path / "scans" / "flat.nii", np.full((1, *GEOMETRY.shape), 7, np.float32), GEOMETRY)
    content = bytearray((tmp_path / "scans" / "flat.nii").read_bytes())
    content[252:256] = bytes(4)  # neither qform nor sform
    (tmp_path / "scans" / "flat.nii").write_bytes(content)
    [row] = predict(tmp_path / "scans", Results(tmp_path / "results"), model.segmenter).rows
    found = model.predict(tmp_path / "scans" / "flat.nii")
    assert found.warnings[:2] == (UNORIENTED, "every voxel has the same value; the segmentation means nothing")
    assert row.warnings == "; ".join(found.warnings)
    of_array = model.predict(np.full(GEOMETRY.shape, 7), spacing_mm=GEOMETRY.spacing_mm)
    assert of_array.warnings == found.warnings[1:]


def test_remarks_about_a_file_are_no_warnings(model: LoadedModel, tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (16, 12, 1), dtype=np.uint8)
    Pillow.fromarray(np.repeat(grey, 3, axis=2)).save(tmp_path / "photo.png")
    found = model.predict(tmp_path / "photo.png")
    assert [each for each in found.remarks if "stored as colours" in each]
    assert not [each for each in found.warnings if "stored as colours" in each or "spacing" in each]


def test_channels_that_show_nothing_are_named() -> None:
    array = np.stack([ARRAY, np.zeros_like(ARRAY), np.ones_like(ARRAY)])
    assert doubts_about(Image(array, GEOMETRY)) == (
        "every voxel of channel 2 and 3, of 3, has the same value; the segmentation means nothing",
    )
