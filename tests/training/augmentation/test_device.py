import numpy as np
import pytest
import torch

from autoseg.catalogue import AUGMENTATIONS, AugmentationEntry
from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.training.augmentation.batched_spatial import Slices
from autoseg.training.augmentation.device import TorchAugmentation

EVERYTHING = {
    "spatial_probability": 0.8, "rotation_deg": 20.0, "scale": (0.8, 1.25), "shift_fraction": 0.1,
    "intensity_probability": 0.5, "contrast": (0.65, 1.5), "brightness": (0.75, 1.25), "gamma": (0.7, 1.5),
    "noise_variance": 0.0, "noise_std": 0.2, "blur_sigma_px": (0.5, 1.0), "brightness_shift": 0.2,
    "rotation_unit": "mm", "contrast_about": "foreground",
}  # fmt: skip
NOTHING = EVERYTHING | {"spatial_probability": 0.0, "intensity_probability": 0.0}


def augmentation(values: dict[str, object], *, seed: int = 3) -> TorchAugmentation:
    section = AugmentationSection.model_validate(values)
    mirrored = values is EVERYTHING
    return TorchAugmentation(section, mirror_axes=("columns",) if mirrored else (), patch_px=(16, 12), channels=3, seed=seed)


def batch(count: int) -> tuple[torch.Tensor, torch.Tensor, Slices]:
    """Images of different sizes in the corner of a canvas, and their labels."""
    generator = np.random.default_rng(8)
    images = generator.normal(0, 1, (count, 3, 20, 14)).astype(np.float32)
    labels = (images[:, 0] > 0.5).astype(np.uint8)
    sizes = generator.integers((10, 10), (21, 15), (count, 2))
    for number, (rows, columns) in enumerate(sizes):
        images[number, :, rows:] = images[number, :, :, columns:] = images[number].min()
        labels[number, rows:] = labels[number, :, columns:] = 0
    slices = Slices(sizes, np.ones((count, 2)), (20, 14))
    return torch.from_numpy(images), torch.from_numpy(labels), slices


def part(slices: Slices, positions: range) -> Slices:
    rows = slice(positions.start, positions.stop)
    return Slices(slices.sizes_px[rows], slices.spacing_mm[rows], slices.canvas_px)


def test_slices_become_patches_with_labels_of_their_type() -> None:
    images, labels, slices = batch(6)
    made = augmentation(EVERYTHING)
    changed, classes = made.apply(images, labels, made.draw(slices, epoch=0, positions=range(6)))
    assert changed.shape == (6, 3, 16, 12)
    assert changed.dtype == torch.float32
    assert bool(changed.isfinite().all())
    assert classes.shape == (6, 16, 12)
    assert classes.dtype == torch.uint8
    assert set(classes.unique().tolist()) == {0, 1}


def test_an_image_becomes_the_same_in_any_batch() -> None:
    images, labels, slices = batch(12)
    made = augmentation(EVERYTHING)
    together, classes = made.apply(images, labels, made.draw(slices, epoch=1, positions=range(12)))
    for positions in (range(5), range(5, 6), range(6, 12)):
        rows = slice(positions.start, positions.stop)
        drawn = made.draw(part(slices, positions), epoch=1, positions=positions)
        alone, alone_classes = augmentation(EVERYTHING).apply(images[rows], labels[rows], drawn)
        torch.testing.assert_close(alone, together[rows], atol=1e-5, rtol=0.0)
        assert torch.equal(alone_classes, classes[rows])


def test_epochs_seeds_and_positions_differ() -> None:
    _, _, slices = batch(4)
    drawn = [
        augmentation(EVERYTHING, seed=seed).draw(slices, epoch=epoch, positions=range(start, start + 4))
        for seed, epoch, start in ((3, 0, 0), (3, 0, 4), (3, 1, 0), (4, 0, 0))
    ]
    assert len({tuple(table.flatten().tolist()) for table in drawn}) == 4


def test_with_probabilities_of_zero_only_the_cut_is_left() -> None:
    images, labels, slices = batch(6)
    whole = Slices(np.full((6, 2), (20, 14)), slices.spacing_mm, (20, 14))
    made = augmentation(NOTHING)
    changed, classes = made.apply(images, labels, made.draw(whole, epoch=0, positions=range(6)))
    for number in range(6):
        places = [
            (row, column)
            for row in range(5)
            for column in range(3)
            if torch.equal(classes[number], labels[number, row : row + 16, column : column + 12])
        ]
        row, column = places[0]
        expected = images[number, :, row : row + 16, column : column + 12]
        torch.testing.assert_close(changed[number], expected, atol=1e-5, rtol=0.0)


def test_nothing_on_the_way_to_the_patches_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels, slices = batch(4)
    made = augmentation(EVERYTHING)
    drawn = made.draw(slices, epoch=0, positions=range(4))

    def waits(*_: object, **__: object) -> None:
        pytest.fail("a value was fetched from the device")

    for name in ("item", "tolist", "__bool__", "__int__", "__float__", "nonzero", "cpu", "numpy"):
        monkeypatch.setattr(torch.Tensor, name, waits)
    made.apply(images, labels, drawn)


def test_augmentations_of_ones_own_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AUGMENTATIONS, "built_in", {"mine": AugmentationEntry("my.module:Mine", "mine")})
    with pytest.raises(ValueError, match="on the host: mine"):
        augmentation(EVERYTHING | {"additional": ("mine",)})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same_patches() -> None:
    images, labels, slices = batch(16)
    made = augmentation(EVERYTHING)
    drawn = made.draw(slices, epoch=2, positions=range(16))
    expected, expected_labels = made.apply(images, labels, drawn)
    found, found_labels = made.apply(images.cuda(), labels.cuda(), drawn.cuda())
    torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=0.0)
    assert (found_labels.cpu() != expected_labels).float().mean() < 1e-3  # ties between two pixels
