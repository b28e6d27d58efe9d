"""Ways to corrupt what a user has: each takes a home with a data set, a trained workspace and an exported model.

What is done to a scan or its label map is done to those of one case.
"""

import gzip
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from oracles.dicom_exports import export
from oracles.dicom_files import write_series

from autoseg.images.image import read_image, read_labels, write_channels, write_labels
from autoseg.storage import files
from autoseg.storage.locks import lock

RAN: Final = "a pickle was run"
"""Name of the file that a malicious pickle makes in the working folder."""


@dataclass(frozen=True)
class Home:
    """What a user has.

    Attributes:
        root: the working folder: `data/` in the IBSR18 layout, its workspace `run/` with a network trained on fold 0, and
            that network exported as `model.autoseg`.
        while_running: closed after the commands have ended.
        case: whose scan or label map is corrupted.
    """

    root: Path
    while_running: ExitStack
    case: str = "IBSR_02"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def cases(self) -> Path:
        return self.data / "Training_Set"

    @property
    def image(self) -> Path:
        return self.cases / self.case / f"{self.case}.nii.gz"

    @property
    def label(self) -> Path:
        return self.cases / self.case / f"{self.case}_seg.nii.gz"

    @property
    def model(self) -> Path:
        return self.root / "run" / "models" / "unet" / "fold_0"

    @property
    def plan(self) -> Path:
        return self.root / "run" / "plan.json"

    @property
    def splits(self) -> Path:
        return self.root / "run" / "splits.json"


def _raw(path: Path) -> bytearray:
    return bytearray(gzip.decompress(path.read_bytes()))


def _write_raw(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(bytes(content), mtime=0))


def _set_field(path: Path, offset: int, form: str, *values: float) -> None:
    """Change a field of a NIfTI header."""
    content = _raw(path)
    struct.pack_into(form, content, offset, *values)
    _write_raw(path, content)


def _edit_json(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


# Files that are damaged


def cut_in_half(home: Home) -> None:
    content = home.image.read_bytes()
    home.image.write_bytes(content[: len(content) // 2])


def flip_a_bit(home: Home) -> None:
    content = bytearray(home.image.read_bytes())
    content[len(content) // 2] ^= 0b1000
    home.image.write_bytes(content)


def wrong_crc(home: Home) -> None:
    content = bytearray(home.image.read_bytes())
    content[-8] ^= 0xFF
    home.image.write_bytes(content)


def empty(home: Home) -> None:
    home.image.write_bytes(b"")


def short_raw_data(home: Home) -> None:
    home.image.write_bytes(_raw(home.image)[:-100])


def plain_behind_a_compressed_name(home: Home) -> None:
    home.image.write_bytes(_raw(home.image))


def a_web_page(home: Home) -> None:
    home.image.write_text("<html><body>404 not found</body></html>", encoding="utf-8")


def a_huge_tail(home: Home) -> None:
    _write_raw(home.image, bytes(_raw(home.image)) + bytes(64 << 20))


# Voxels


def two_volumes(home: Home) -> None:
    scan = read_image([home.image], channels=1)
    write_channels(home.image, np.concatenate([scan.array, scan.array]), scan.geometry)


def one_volume_of_four_axes(home: Home) -> None:
    content = _raw(home.image)
    shape = struct.unpack_from("<3h", content, 42)
    struct.pack_into("<8h", content, 40, 4, *shape, 1, 1, 1, 1)
    _write_raw(home.image, content)


def nan_voxels(home: Home) -> None:
    content = _raw(home.image)
    struct.pack_into("<f", content, len(content) - 400, float("nan"))
    _write_raw(home.image, content)


def infinite_voxels(home: Home) -> None:
    content = _raw(home.image)
    struct.pack_into("<f", content, len(content) - 400, float("-inf"))
    _write_raw(home.image, content)


def constant(home: Home) -> None:
    scan = read_image([home.image], channels=1)
    write_channels(home.image, np.full_like(scan.array, 7), scan.geometry)


def colour_voxels(home: Home) -> None:
    _store_colours(home, (1.0, 0.5, 0.25))


def grey_stored_as_colours(home: Home) -> None:
    _store_colours(home, (1.0, 1.0, 1.0))


def _store_colours(home: Home, shares: tuple[float, float, float]) -> None:
    """Make the scan one of RGB24: its grey values, each colour with its share of them."""
    scan = nib.Nifti1Image.from_filename(home.image)
    grey = np.asarray(scan.dataobj)
    grey = grey * (255 / grey.max())
    colours = np.zeros(grey.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for name, share in zip("RGB", shares, strict=True):
        colours[name] = grey * share
    image = nib.Nifti1Image(colours, scan.affine)
    image.header.set_xyzt_units(xyz="mm")
    nib.save(image, home.image)


def complex_voxels(home: Home) -> None:
    content = _raw(home.image)
    struct.pack_into("<h", content, 70, 32)  # datatype: complex64
    struct.pack_into("<h", content, 72, 64)
    _write_raw(home.image, content)


# Labels


def undeclared_label(home: Home) -> None:
    labels = read_labels(home.label)
    changed = labels.array.copy()
    changed[0, 0, :5] = 77
    write_labels(home.label, changed, labels.geometry)


def negative_label(home: Home) -> None:
    labels = read_labels(home.label)
    changed = labels.array.astype(np.float32)
    changed[0, 0, :5] = -3
    write_channels(home.label, changed[np.newaxis], labels.geometry)


def fractional_labels(home: Home) -> None:
    labels = read_labels(home.label)
    write_channels(home.label, labels.array[np.newaxis].astype(np.float32) / 2, labels.geometry)


def labels_scaled_to_16_bits(home: Home) -> None:
    """As nibabel stores floats as integers: 1 becomes 1.00001526."""
    labels = read_labels(home.label)
    scaled = labels.array * (1 + 1.526e-5)
    write_channels(home.label, scaled[np.newaxis].astype(np.float32), labels.geometry)


def whole_labels_as_floats(home: Home) -> None:
    labels = read_labels(home.label)
    write_channels(home.label, labels.array[np.newaxis].astype(np.float32), labels.geometry)


def labels_of_64_bits(home: Home) -> None:
    image = sitk.ReadImage(str(home.label))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkInt64), str(home.label))


def an_empty_label_map(home: Home) -> None:
    labels = read_labels(home.label)
    write_labels(home.label, np.zeros_like(labels.array), labels.geometry)


def other_shape(home: Home) -> None:
    labels = read_labels(home.label)
    smaller = labels.array[:-1]
    write_labels(home.label, smaller, replace(labels.geometry, shape=smaller.shape))


def other_spacing(home: Home) -> None:
    labels = read_labels(home.label)
    write_labels(home.label, labels.array, replace(labels.geometry, spacing_mm=(2.0, 2.0, 2.0)))


def other_origin(home: Home) -> None:
    labels = read_labels(home.label)
    write_labels(home.label, labels.array, replace(labels.geometry, origin_mm=(50.0, 0.0, 0.0)))


def beside_fine_voxels(home: Home) -> None:
    """A scan of 0.01 mm, as microscopes make them, and labels nine voxels beside it, which is less than 0.1 mm."""
    image, labels = read_image([home.image], channels=1), read_labels(home.label)
    geometry = replace(image.geometry, spacing_mm=(0.01, 0.01, 0.01), origin_mm=(0.0, 0.0, 0.0))
    write_channels(home.image, image.array, geometry)
    write_labels(home.label, labels.array, replace(geometry, origin_mm=(0.09, 0.0, 0.0)))


def other_direction(home: Home) -> None:
    labels = read_labels(home.label)
    turned = tuple(value * sign for value, sign in zip(labels.geometry.direction, (-1, 1, -1) * 3, strict=True))
    write_labels(home.label, labels.array, replace(labels.geometry, direction=turned))


# Geometry


def oblique(home: Home) -> None:
    _turn(home, degrees=20.0)


def beyond_45_degrees(home: Home) -> None:
    """The nearest anatomical axes are others than in the other scans."""
    _turn(home, degrees=46.0)


def _turn(home: Home, *, degrees: float) -> None:
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    image, labels = read_image([home.image], channels=1), read_labels(home.label)
    direction = tuple((turn @ np.reshape(image.geometry.direction, (3, 3))).ravel().tolist())
    geometry = replace(image.geometry, direction=direction)
    write_channels(home.image, image.array, geometry)
    write_labels(home.label, labels.array, geometry)


def sheared(home: Home) -> None:
    content = _raw(home.image)
    struct.pack_into("<h", content, 252, 0)  # qform_code: the sform decides
    struct.pack_into("<h", content, 254, 1)
    struct.pack_into("<12f", content, 280, 1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    _write_raw(home.image, content)


def two_forms_that_disagree(home: Home) -> None:
    """The same voxels in the scan and its label map: the orientation is doubtful, but the same for both."""
    for path in (home.image, home.label):
        content = _raw(path)
        struct.pack_into("<2h", content, 252, 1, 1)  # qform_code, sform_code
        struct.pack_into("<f", content, 268, struct.unpack_from("<f", content, 292)[0] + 30)  # qoffset_x
        _write_raw(path, content)


def forms_of_which_one_agrees(home: Home) -> None:
    """A label map whose sform was moved while its qform still is where its scan lies, as some viewers save it."""
    content = _raw(home.label)
    struct.pack_into("<2h", content, 252, 1, 1)
    struct.pack_into("<f", content, 292, struct.unpack_from("<f", content, 292)[0] + 30)  # srow_x[3]
    _write_raw(home.label, content)


def spacing_of_zero(home: Home) -> None:
    _set_field(home.image, 80, "<f", 0.0)  # pixdim[1]


def negative_spacing(home: Home) -> None:
    _set_field(home.image, 80, "<f", -1.0)


def spacing_that_is_no_number(home: Home) -> None:
    _set_field(home.image, 80, "<f", float("nan"))


def a_single_slice(home: Home) -> None:
    image, labels = read_image([home.image], channels=1), read_labels(home.label)
    middle = slice(20, 21)
    geometry = replace(image.geometry, shape=(1, *image.geometry.shape[1:]))
    write_channels(home.image, image.array[:, middle], geometry)
    write_labels(home.label, labels.array[middle], geometry)


def a_universe_of_voxels(home: Home) -> None:
    _set_field(home.image, 42, "<3h", 30000, 30000, 30000)


def negative_dimension(home: Home) -> None:
    _set_field(home.image, 42, "<h", -5)


def absurd_offset(home: Home) -> None:
    _set_field(home.image, 108, "<f", 1e9)  # vox_offset


# Files and folders


def a_picture(home: Home) -> None:
    """A greyscale PNG in the place of a scan to be segmented."""
    (home.root / "pictures").mkdir()
    scan = read_image([home.image], channels=1).array[0, 20]
    grey = (255 * (scan - scan.min()) / np.ptp(scan)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(grey), str(home.root / "pictures" / "scan.png"))


def a_colour_picture(home: Home) -> None:
    (home.root / "pictures").mkdir()
    ramp = np.arange(24 * 40 * 3, dtype=np.uint16).reshape(24, 40, 3) % 251
    colours = sitk.GetImageFromArray(ramp.astype(np.uint8), isVector=True)
    sitk.WriteImage(colours, str(home.root / "pictures" / "scan.png"))


def _series(home: Home, **corrupted: Any) -> list[Path]:
    volume = np.random.default_rng(0).integers(0, 900, (5, 24, 40)).astype(np.int16)
    return write_series(home.root / "dicom" / "series", volume, **corrupted)


def a_dicom_series(home: Home) -> None:
    _series(home)


def a_series_for_a_file(home: Home) -> None:
    """Slices in a folder that has the name of the image file, in their place in the patient."""
    image = read_image([home.image], channels=1)
    home.image.unlink()
    export(
        home.image,
        image.array[0].astype(np.int16),
        spacing_mm=image.geometry.spacing_mm,
        origin_mm=image.geometry.origin_mm,
        orientation=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    )


def a_series_without_a_slice(home: Home) -> None:
    _series(home, left_out=[2])


def a_series_with_a_slice_cut_off(home: Home) -> None:
    path = _series(home)[2]
    path.write_bytes(path.read_bytes()[:-500])


def a_series_with_two_sizes_of_pixels(home: Home) -> None:
    _series(home, changes={2: {"0028|0030": "2\\2"}})


def a_series_that_announces_gigabytes(home: Home) -> None:
    path = _series(home)[2]
    content = path.read_bytes()
    place = content.rindex(b"OW\x00\x00") + 4
    path.write_bytes(content[:place] + b"\xf0\xff\xff\xf0" + content[place + 4 :])


def a_folder_for_a_file(home: Home) -> None:
    home.image.unlink()
    home.image.mkdir()


def an_unusual_name(home: Home) -> None:
    shutil.copytree(home.data, home.root / "meine Köpfe 頭" / "IBSR 18")
    folder = home.root / "meine Köpfe 頭" / "IBSR 18" / "Training_Set" / "IBSR_02"
    renamed = folder.with_name("IBSR_äé 頭 2")
    folder.rename(renamed)
    for path in renamed.iterdir():
        path.rename(path.with_name(path.name.replace("IBSR_02", renamed.name)))


def a_broken_link(home: Home) -> None:
    home.image.unlink()
    home.image.symlink_to("nowhere.nii.gz")


def a_looping_link(home: Home) -> None:
    home.image.unlink()
    home.image.symlink_to(home.image.name)


def the_same_id_twice(home: Home) -> None:
    home.image.with_name(home.image.name.removesuffix(".gz")).write_bytes(_raw(home.image))


def no_label(home: Home) -> None:
    home.label.unlink()


def no_image(home: Home) -> None:
    home.image.unlink()


def an_unreadable_file(home: Home) -> None:
    home.image.chmod(0)


def a_read_only_workspace(home: Home) -> None:
    preprocessed = home.root / "run" / "preprocessed"
    for folder in (home.root / "run", preprocessed, *preprocessed.iterdir(), home.model.parent):
        folder.chmod(0o500)
        home.while_running.callback(folder.chmod, 0o700)
    home.image.write_bytes(home.image.read_bytes() + bytes(1))  # other bytes, equal voxels: to be preprocessed again


def a_read_only_place(home: Home) -> None:
    (home.root / "locked").mkdir()
    (home.root / "locked").chmod(0o500)


def a_file_in_the_place_of_a_folder(home: Home) -> None:
    (home.root / "locked").write_bytes(b"")


# Cohorts


def one_case(home: Home) -> None:
    for folder in list(home.cases.iterdir())[1:] + list((home.data / "Validation_Set").iterdir()):
        shutil.rmtree(folder)


def two_cases(home: Home) -> None:
    for folder in list(home.cases.iterdir())[2:] + list((home.data / "Validation_Set").iterdir()):
        shutil.rmtree(folder)


def a_class_in_one_case_only(home: Home) -> None:
    for path in home.data.rglob("*_seg.nii.gz"):
        if path != home.label:
            labels = read_labels(path)
            write_labels(path, np.where(labels.array == 1, 2, labels.array).astype(np.uint16), labels.geometry)


# Models and plans


def a_pickle_for_weights(home: Home) -> None:
    (weights,) = home.model.glob("weights-*")
    content = pickle.dumps(_Malicious())
    weights.write_bytes(content)
    _edit_json(home.model / "bundle.json", lambda bundle: bundle.update(weights_sha256=files.sha256_bytes(content)))


def a_pickle_for_an_exported_model(home: Home) -> None:
    (home.root / "model.autoseg").write_bytes(pickle.dumps(_Malicious()))


def a_pickle_for_an_array(home: Home) -> None:
    """Preprocessed arrays that are pickles, with documents that agree."""
    content = _npy_with_a_pickle()
    for path in (home.root / "run" / "preprocessed").glob("*/*.image.npy"):
        path.write_bytes(content)
        document = path.with_name(path.name.replace(".image.npy", ".json"))
        _edit_json(document, lambda case: case.update(image_sha256=files.sha256_bytes(content)))


class _Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (RAN,)


def _npy_with_a_pickle() -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickle.dumps(_Malicious())


def an_archive_that_climbs(home: Home) -> None:
    with zipfile.ZipFile(home.root / "model.autoseg", "a") as archive:
        archive.writestr("../outside.txt", "got out")


def an_archive_with_an_absolute_name(home: Home) -> None:
    with zipfile.ZipFile(home.root / "model.autoseg", "a") as archive:
        archive.writestr(str(home.root / "outside.txt"), "got out")


def an_archive_with_a_link(home: Home) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(home.root / "model.autoseg", "a") as archive:
        archive.writestr(entry, "/etc/passwd")


def an_archive_that_is_a_bomb(home: Home) -> None:
    with zipfile.ZipFile(home.root / "model.autoseg", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(64 << 20))


def two_channels_for_one(home: Home) -> None:
    (home.root / "scans").mkdir()
    for channel in ("T1", "T2"):
        shutil.copy(home.image, home.root / "scans" / f"{channel}.nii.gz")
    scan = read_image([home.image], channels=1)
    write_channels(home.root / "scans" / "both.nii.gz", np.concatenate([scan.array, scan.array]), scan.geometry)


def unknown_key(home: Home) -> None:
    _edit_json(home.plan, lambda plan: plan["training"].update(learning_rat=0.1))


def wrong_type(home: Home) -> None:
    _edit_json(home.plan, lambda plan: plan["views"][0].update(batch_size="many"))


def unknown_choice(home: Home) -> None:
    _edit_json(home.plan, lambda plan: plan["training"].update(loss="hinge"))


def indivisible_patch(home: Home) -> None:
    _edit_json(home.plan, lambda plan: plan["views"][0].update(patch_px=[33, 40]))


def one_weight_for_many_classes(home: Home) -> None:
    _edit_json(home.plan, lambda plan: plan["training"].update(class_weights=[1.0]))


def a_plane_for_none(home: Home) -> None:
    _edit_json(home.plan, lambda plan: plan["views"][0].update(plane=None))


def a_case_on_both_sides(home: Home) -> None:
    _edit_json(home.splits, lambda splits: splits["folds"][1]["training"].extend(splits["folds"][1]["validation"]))


def an_unknown_case_in_a_fold(home: Home) -> None:
    _edit_json(home.splits, lambda splits: splits["folds"][0]["validation"].append("IBSR_99"))


def a_fold_of_nothing(home: Home) -> None:
    _edit_json(home.splits, lambda splits: splits["folds"][1].update(training=[]))


def no_plan_at_all(home: Home) -> None:
    home.plan.write_text('{"training": ', encoding="utf-8")


def one_bit_of_the_weights(home: Home) -> None:
    (weights,) = home.model.glob("weights-*")
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)


def one_bit_of_the_checkpoint(home: Home) -> None:
    (tensors,) = home.model.glob("checkpoint-*")
    content = bytearray(tensors.read_bytes())
    content[-5] ^= 1
    tensors.write_bytes(content)
    _edit_json(home.model / "checkpoint.json", lambda checkpoint: checkpoint["state"].update(finished=False))


def one_bit_of_an_array(home: Home) -> None:
    (path,) = (home.root / "run" / "preprocessed").glob("IBSR_02/*.image.npy")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def a_newer_model(home: Home) -> None:
    _edit_json(home.model / "bundle.json", lambda bundle: bundle.update(version=99))


def a_newer_exported_model(home: Home) -> None:
    path = home.root / "model.autoseg"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    manifest["version"] = 99
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def a_run_that_goes_on(home: Home) -> None:
    home.while_running.enter_context(lock(home.model.parent / "fold_1" / ".lock"))


def a_plan_in_the_making(home: Home) -> None:
    home.while_running.enter_context(lock(home.root / "other" / ".lock"))
