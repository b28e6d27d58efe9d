"""The random changes of a plan on the host: batchgenerators' own transforms, but for the spatial one."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypedDict

import numpy as np
from batchgenerators.transforms.abstract_transforms import AbstractTransform, Compose
from batchgenerators.transforms.color_transforms import (
    BrightnessMultiplicativeTransform,
    BrightnessTransform,
    ContrastAugmentationTransform,
    GammaTransform,
)
from batchgenerators.transforms.noise_transforms import GaussianBlurTransform, GaussianNoiseTransform
from batchgenerators.transforms.spatial_transforms import MirrorTransform
from numpy.typing import NDArray

from autoseg import catalogue
from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.sections import MirrorAxis
from autoseg.training.augmentation.foreground import ForegroundContrastTransform, MarkForegroundTransform
from autoseg.training.augmentation.spatial import ASPECT, BatchSpatialTransform

_MIRROR_AXIS: Final[dict[MirrorAxis, int]] = {"rows": 0, "columns": 1}


Randomness = np.random.Generator | Sequence[np.random.Generator]


class Batch(TypedDict):
    """Images and their class indices, as batchgenerators passes them on."""

    data: NDArray[np.float32]
    seg: NDArray[np.int16]


class Augmentation:
    """The random changes a plan names, applied to one batch at a time.

    The same generator state gives the same batch in any process: batchgenerators draws from the global generators of
    numpy and of Python, so both are seeded for the duration of a call and put back afterwards.
    """

    def __init__(self, section: AugmentationSection, *, mirror_axes: Sequence[MirrorAxis]) -> None:
        self._spatial = _spatial(section)
        self._others = Compose([*_others(section, mirror_axes), *map(catalogue.AUGMENTATIONS.build, section.additional)])
        self._turns_mm = section.rotation_unit == "mm"

    def __call__(self, batch: Batch, *, generator: Randomness, aspect: NDArray[np.float64]) -> Batch:
        """Change a batch.

        Args:
            batch: `data` (B, C, H, W) float32, `seg` (B, 1, H, W) int16; may be changed in place.
            generator: where all randomness comes from; or one for each image, so that none depends on the others.
            aspect: height of each image's pixels over their width, (B,).

        Returns:
            a batch of the same shapes and types.
        """
        beside = {ASPECT: aspect} if self._turns_mm else {}
        with _global_generators_put_back():
            if isinstance(generator, np.random.Generator):
                return self._change_together({**batch, **beside}, generator)
            return self._change_each({**batch, **beside}, generator)

    def _change_together(self, batch: dict[str, Any], generator: np.random.Generator) -> Batch:
        _seed(generator)
        moved = batch if self._spatial is None else self._spatial(**batch)
        return _as_batch([self._others(data=moved["data"], seg=moved["seg"])])

    def _change_each(self, batch: dict[str, Any], generators: Sequence[np.random.Generator]) -> Batch:
        if self._spatial is not None:
            drawn = [self._spatial.draw(1, uniform=generator.uniform) for generator in generators]
            batch = self._spatial.apply(batch, np.concatenate(drawn))
        changed = []
        for place, generator in enumerate(generators):
            _seed(generator)
            one = slice(place, place + 1)
            changed.append(self._others(data=batch["data"][one], seg=batch["seg"][one]))
        return _as_batch(changed)


def _as_batch(parts: Sequence[dict[str, Any]]) -> Batch:
    data, seg = (
        parts[0][key] if len(parts) == 1 else np.concatenate([part[key] for part in parts]) for key in ("data", "seg")
    )
    return {"data": data.astype(np.float32, copy=False), "seg": seg}


def _spatial(section: AugmentationSection) -> BatchSpatialTransform | None:
    if not section.spatial_probability:
        return None
    return BatchSpatialTransform(
        probability=section.spatial_probability,
        rotation_deg=section.rotation_deg,
        scale=section.scale,
        shift_fraction=section.shift_fraction,
    )


def _others(section: AugmentationSection, mirror_axes: Sequence[MirrorAxis]) -> Iterator[AbstractTransform]:
    if mirror_axes:
        yield MirrorTransform(axes=tuple(_MIRROR_AXIS[axis] for axis in mirror_axes))
    yield from _intensity(section)


def _intensity(section: AugmentationSection) -> Iterator[AbstractTransform]:
    about_foreground = section.contrast_about == "foreground"
    if about_foreground and "contrast" in section.active:
        yield MarkForegroundTransform()
    often = {"p_per_sample": section.intensity_probability}
    noise = partial(GaussianNoiseTransform, noise_variance=(0, section.noise), **often)  # which means its standard deviation
    contrast: Callable[[], AbstractTransform]
    if about_foreground:
        contrast = partial(ForegroundContrastTransform, section.contrast, probability=section.intensity_probability)
    else:
        contrast = partial(ContrastAugmentationTransform, section.contrast, per_channel=False, **often)
    transforms: dict[str, Callable[[], AbstractTransform]] = {
        "noise_std": noise,
        "noise_variance": noise,
        "blur_sigma_px": partial(GaussianBlurTransform, blur_sigma=section.blur_sigma_px, **often),
        "brightness": partial(
            BrightnessMultiplicativeTransform, multiplier_range=section.brightness, per_channel=False, **often
        ),
        "brightness_shift": partial(BrightnessTransform, 0.0, section.brightness_shift, per_channel=False, **often),
        "contrast": contrast,
        "gamma": partial(GammaTransform, gamma_range=section.gamma, retain_stats=True, **often),
    }
    for key in section.active:
        yield transforms[key]()


@contextmanager
def _global_generators_put_back() -> Iterator[None]:
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - batchgenerators draws from it
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def _seed(generator: np.random.Generator) -> None:
    seed = int(generator.integers(2**32))
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
