"""Class probabilities of a scan from networks exported as ONNX, with numpy and onnxruntime alone.

`python onnx_predict.py MODELS scan.nii.gz probabilities.npy` applies every `*.onnx` in the folder MODELS and averages them,
as `autoseg predict --probabilities` does; it needs nibabel to read the scan. The array is (K, Z, Y, X): its element
[k, z, y, x] belongs to voxel (x, y, z) of the file. docs/how-to/run-onnx.md says what the script does.
"""

import json
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import onnxruntime

# Axes of a scan (Z, Y, X) across the slices, along their rows and along their columns.
AXES = {None: (0, 1, 2), "axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}


def predict(scan, spacing_mm, models: Sequence[Path]):
    """The mean of the probabilities that several networks give.

    Args:
        scan: intensities (C, Z, Y, X) whose indices grow towards inferior, posterior and left; 2D images have Z = 1.
        spacing_mm: of the voxels along Z, Y and X.
        models: files written by `autoseg export --onnx`.

    Returns:
        probabilities of the K classes, (K, Z, Y, X), float32.
    """
    scan = np.asarray(scan, np.float32)
    found, counts, shifts, regions = zip(*(predict_one(scan, spacing_mm, model) for model in models), strict=True)
    if any(each != shifts[0] for each in shifts):
        raise SystemExit("these networks were not exported together: autoseg.mean_log_shift differs")
    mean = np.average(found, axis=0, weights=counts).astype(np.float32)
    if shifts[0]:  # what `autoseg select` learnt of the mean
        factors = np.exp(np.float32(shifts[0]) - np.float32(shifts[0][0]))[:, None, None, None]
        if regions[0]:  # each has odds of its own
            inside = mean[1:] * factors[1:]
            mean[1:] = inside / (inside + 1 - mean[1:])
            mean[0] = 1 - mean[1:].max(axis=0)
        else:
            mean *= factors
            mean /= mean.sum(axis=0)
    return mean


def labels(probabilities, model: Path):
    """The label map (Z, Y, X) that probabilities (K, Z, Y, X) speak for, in the label values of the data set."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    classes = json.loads(session.get_modelmeta().custom_metadata_map["autoseg.plan"])["data"]["classes"]
    if not is_of_regions(classes):
        return np.array([each["value"] for each in classes], np.uint16)[probabilities.argmax(axis=0)]
    found = np.zeros(probabilities.shape[1:], np.uint16)
    for each, inside in sorted(zip(classes[1:], probabilities[1:], strict=True), key=lambda pair: pair[0]["order"]):
        found[inside > 0.5] = each["value"]  # inner regions over those around them
    return found


def is_of_regions(classes):
    """Whether the classes of a plan are regions, which contain one another."""
    return any(each.get("order") is not None for each in classes)


def predict_one(scan, spacing_mm, model: Path):
    """The mean over all views of one network, how much it counts, how the mean of all is shifted; if these are regions."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    described = session.get_modelmeta().custom_metadata_map
    plan = json.loads(described["autoseg.plan"])
    kept = kept_box(scan, plan["preprocessing"])
    steps = plan["preprocessing"]["normalisation"]
    normalised = np.stack([normalise(channel, step)[kept] for channel, step in zip(scan, steps, strict=True)])
    views = [
        predict_view(session, normalised, spacing_mm, view, described) for view in json.loads(described["autoseg.views"])
    ]
    mean = np.mean(views, axis=0)
    whole = np.zeros((len(mean), *scan.shape[1:]), np.float32)
    whole[0] = 1  # what was cut away is background
    whole[(slice(None), *kept)] = mean
    shifts = json.loads(described["autoseg.mean_log_shift"])
    return whole, json.loads(described["autoseg.weight"]), shifts, is_of_regions(plan["data"]["classes"])


def predict_view(session, normalised, spacing_mm, view, described):
    """Probabilities (K, Z, Y, X) that one view gives of normalised voxels (C, Z, Y, X)."""
    order = AXES[view["plane"]]
    slices = normalised.transpose(0, *(axis + 1 for axis in order))  # (C, S, H, W)
    size = own_size = slices.shape[2:]
    if view["spacing_mm"] is not None:
        # Not in float32, as nibabel gives spacings: quotients of one half would be rounded otherwise.
        sides_mm = [length * float(spacing_mm[axis]) for length, axis in zip(own_size, order[1:], strict=True)]
        size = tuple(max(1, round(side / mm)) for side, mm in zip(sides_mm, view["spacing_mm"], strict=True))
        slices = resample(slices, size)
    shown = padded(size, described) if described["autoseg.padding"] == "darkest" else size
    if shown[0] * shown[1] > 4 * view["patch_px"][0] * view["patch_px"][1]:
        raise SystemExit("slices this large are predicted in tiles by autoseg, which this script does not")
    darkest = slices.min(axis=(1, 2, 3))
    found = [
        predict_slice(session, beside(slices, number, view["adjacent_slices"]), darkest, view, described)
        for number in range(slices.shape[1])
    ]
    probabilities = resample(np.stack(found, axis=1), own_size)  # (K, S, h, w)
    return probabilities.transpose(0, *(np.argsort(order) + 1))


def predict_slice(session, image, darkest, view, described):
    """Probabilities (K, H, W) of one image (C * (2 N + 1), H, W), averaged over the flips that the view names."""
    rows, columns = image.shape[1:]
    axes = [{"rows": 1, "columns": 2}[axis] for axis in view["tta_axes"]]
    flips = [chosen for count in range(len(axes) + 1) for chosen in combinations(axes, count)]
    found = []
    for flip in flips:
        if described["autoseg.padding"] == "darkest":  # extended, then flipped
            shown = np.flip(extended(image, described, darkest), flip)
            found.append(np.flip(run(session, shown), flip)[:, :rows, :columns])
        else:  # networks that were trained before extend what they are shown, at its end
            shown = extended(np.flip(image, flip), described, None)
            found.append(np.flip(run(session, shown)[:, :rows, :columns], flip))
    return np.mean(found, axis=0)


def run(session, image):
    """Probabilities (K, H, W) of one image whose sides are as the network needs them."""
    return session.run(["probabilities"], {"slices": np.ascontiguousarray(image[None])})[0][0]


def padded(size, described):
    """Rows and columns that a network needs where an image has fewer."""
    multiple, smallest = int(described["autoseg.multiple_px"]), int(described["autoseg.smallest_px"])
    return [max(-(-side // multiple) * multiple, smallest) for side in size]


def extended(image, described, darkest):
    """An image (C * (2 N + 1), H, W) with more rows and columns at its end: of the darkest values, or of its border."""
    sides = [(0, wanted - side) for wanted, side in zip(padded(image.shape[1:], described), image.shape[1:], strict=True)]
    if darkest is None:
        return np.pad(image, ((0, 0), *sides), mode="edge")
    values = np.repeat(darkest, len(image) // len(darkest))
    return np.stack([np.pad(channel, sides, constant_values=value) for channel, value in zip(image, values, strict=True)])


def beside(slices, number, adjacent):
    """A slice with those beside it, channel by channel, (C * (2 N + 1), H, W); the first and the last are repeated."""
    numbers = np.clip(np.arange(number - adjacent, number + adjacent + 1), 0, slices.shape[1] - 1)
    return slices[:, numbers].reshape(-1, *slices.shape[2:])


def kept_box(scan, preprocessing):
    """The part of a scan that networks see, as three slices."""
    occupied = (scan != 0).any(axis=0)
    if preprocessing["crop"] == "none" or not occupied.any():
        return (slice(None),) * 3
    box = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(occupied.any(axis=others))
        margin = preprocessing["crop_margin_px"]
        box.append(slice(max(found[0] - margin, 0), min(found[-1] + 1 + margin, scan.shape[axis + 1])))
    return tuple(box)


def normalise(channel, step):
    """One channel (Z, Y, X) on the scale that networks were trained on."""
    lower, upper, clip, background = (step[key] for key in ("lower", "upper", "clip", "background"))
    centre, width = centre_and_width(channel, step)
    scaled = channel if lower is upper is None else np.clip(channel, lower, upper)
    scaled = (scaled - np.float32(centre)) * np.float32(1 / (width or 1))
    scaled = scaled if clip is None else np.clip(scaled, -clip, clip)
    return scaled if background is None else np.where(channel == 0, background, np.maximum(scaled, background))


def centre_and_width(channel, step):
    """What is subtracted, and what is divided by."""
    if step["method"] == "none":
        return 0, 1
    if step["method"] == "ct":
        return step["mean"], step["std"]
    positive = channel[channel > 0].astype(np.float64)
    if step["method"] == "quantile_zscore" and positive.size:
        ordered, last = np.sort(positive), positive.size - 1
        middle = positive[(positive >= ordered[last // 4]) & (positive <= ordered[(3 * last + 3) // 4])]
        if middle.std() > 0:
            return middle.mean(), middle.std()
    spread = positive.size and positive.min() < positive.max()
    voxels = positive if spread else channel.astype(np.float64)
    return voxels.mean(), voxels.std()


def resample(slices, size):
    """Slices (..., H, W) on another number of pixels over the same field of view."""
    if slices.shape[-2:] == tuple(size):
        return slices
    return weights(slices.shape[-2], size[0]) @ slices @ weights(slices.shape[-1], size[1]).T


def weights(old, new):
    """Triangular weights (new, old) of old pixels in new ones; with as many pixels each is its own."""
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale - 0.5
    found = np.maximum(1 - np.abs(centres[:, None] - np.arange(old)) / max(scale, 1), 0)
    return (found / found.sum(axis=1, keepdims=True)).astype(np.float32)


def predict_file(path: Path, models: Sequence[Path]):
    """Probabilities (K, Z, Y, X) of a scan of one channel, on the voxels and along the axes of its NIfTI file.

    Array order is (Z, Y, X), the reverse of the file's (X, Y, Z): `probabilities.T` has the file's.
    """
    import nibabel  # noqa: PLC0415 - only files need it

    scan = nibabel.load(path)
    canonical = nibabel.as_closest_canonical(scan)  # (X, Y, Z) towards right, anterior and superior
    voxels = canonical.get_fdata(dtype=np.float32).T[None, ::-1, ::-1, ::-1]
    found = predict(voxels, canonical.header.get_zooms()[2::-1], models)[:, ::-1, ::-1, ::-1]
    axes = nibabel.orientations
    back = axes.ornt_transform(axes.axcodes2ornt("RAS"), axes.io_orientation(scan.affine))
    return axes.apply_orientation(found.T, back).T


if __name__ == "__main__":
    folder, path, output = map(Path, sys.argv[1:])
    np.save(output, predict_file(path, sorted(folder.glob("[!.]*.onnx"))))
