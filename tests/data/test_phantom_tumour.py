"""The phantom whose tumour has nested regions."""

from pathlib import Path

import numpy as np
from oracles.phantom_tumour import CORE, ENHANCING, OEDEMA, TumourSettings, make_tumour, write_tumours

from autoseg.layouts import find_dataset

SMALL = (40, 24, 40)


def test_each_part_lies_inside_the_one_around_it_and_looks_different() -> None:
    for seed in range(3):
        scan, labels, _ = make_tumour(seed, shape=SMALL)
        assert set(np.unique(labels)) == {0, OEDEMA, CORE, ENHANCING}
        sizes = [np.count_nonzero(labels >= value) for value in (OEDEMA, CORE, ENHANCING)]
        assert sizes[0] > sizes[1] > sizes[2] >= 10
        brightness = [scan[labels == value].mean() for value in (OEDEMA, CORE, ENHANCING)]
        assert brightness == sorted(brightness)
        assert (scan[labels > 0] > 0).mean() > 0.95, "it lies in the head"
        again, same, _ = make_tumour(seed, shape=SMALL)
        assert np.array_equal(scan, again)
        assert np.array_equal(labels, same)


def test_the_same_label_maps_are_declared_as_regions_or_as_classes(tmp_path: Path) -> None:
    for name, regions in (("regions", True), ("classes", False)):
        write_tumours(tmp_path / name, TumourSettings(training=2, test=1, shape=SMALL, regions=regions))
    regions, classes = (find_dataset(tmp_path / name) for name in ("regions", "classes"))
    assert [label.label_values for label in regions.classes or ()] == [(0,), (1, 2, 3), (2, 3), (3,)]
    assert [label.label_values for label in classes.classes or ()] == [(0,), (1,), (2,), (3,)]
    assert len(regions.training) == 2
    for one, other in zip(regions.training, classes.training, strict=True):
        assert one.label is not None
        assert other.label is not None
        assert one.label.read_bytes() == other.label.read_bytes()
