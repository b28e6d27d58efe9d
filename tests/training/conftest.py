"""Tiny preprocessed cases, made by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from autoseg.preprocessing.footprint import Footprint
from autoseg.preprocessing.keys import DataKeys
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training.context import FoldData


def disc_case(seed: int, *, slices: int = 7, shape: tuple[int, int] = (18, 11)) -> StoredCase:
    """Bright discs of changing size and place on a noisy background."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    label = np.stack(
        [
            np.hypot(rows - generator.uniform(5, 12), columns - generator.uniform(4, 7)) < generator.uniform(2, 5)
            for _ in range(slices)
        ]
    ).astype(np.uint8)
    image = (2.0 * label + generator.normal(0, 0.5, label.shape)).astype(np.float32)[np.newaxis]
    footprint = Footprint(
        shape=label.shape,
        axes=(0, 1, 2),
        flipped=(False, False, False),
        start=(0, 0, 0),
        stop=label.shape,
        size_px=shape,
        spacing_mm=(1.0, 1.0, 1.0),
        pad_value=(float(image.min()),),
    )
    return StoredCase((SliceStack(image, label, footprint),))


@pytest.fixture
def make_case() -> Callable[..., StoredCase]:
    return disc_case


@pytest.fixture
def fold() -> FoldData:
    """Three cases to learn from, one to watch."""
    return FoldData(
        DataKeys(all_labelled="tiny"),
        training=[(f"case{number}", disc_case(number)) for number in range(3)],
        validation=[("held-out", disc_case(9))],
    )
