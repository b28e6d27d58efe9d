"""Preprocessed cases predicted part by part: what networks find of them is kept view by view, and averaged.

However little memory there is, a case is not refused: it was trained with.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import LabelEncoding
from autoseg.inference.ensemble import Ensemble
from autoseg.inference.memory import MEMORY_GB, Blocks, slices_of
from autoseg.inference.passes import Pass
from autoseg.inference.probabilities import encode
from autoseg.inference.spool import SpooledProbabilities
from autoseg.inference.sums import SumsInMemory, add_up
from autoseg.preprocessing.footprint import Footprint, empty_labels, own_grid, put_labels
from autoseg.preprocessing.stored import SliceStack
from autoseg.storage.compressed import compressed_in_parts


def predict_case(
    ensemble: Ensemble, stacks: Sequence[SliceStack], *, into: Sequence[Path], keep: bool = True
) -> NDArray[np.uint16]:
    """Predict a case.

    Args:
        ensemble: the networks.
        stacks: the case as the view of each pass shows it.
        into: for each pass, the file of its probabilities: 8-bit numbers on the preprocessed grid, (K, S, H, W), compressed.
        keep: whether these files are written; else only their folder is used.

    Returns:
        label values on the scan's own grid, (Z, Y, X), by the mean over the views.

    Raises:
        SystemFailureError: the disk has too little space.
    """
    footprints, encoding = [stack.footprint for stack in stacks], ensemble.data.encoding
    blocks, fits = _blocks(ensemble, footprints)
    found = [
        _kept(one, stack, block, path) if keep else _found(one, stack, block)
        for one, stack, block, path in zip(ensemble.passes, stacks, blocks, into, strict=True)
    ]
    if len(found) == 1:
        return _labels(found[0], footprints[0], encoding)
    grid = own_grid(footprints)
    folder = into[0].parent
    with closing(SumsInMemory(grid, encoding) if fits else SpooledProbabilities(folder, grid, encoding)) as sums:
        for one, parts, footprint in zip(ensemble.passes, found, footprints, strict=True):
            add_up(sums, parts, footprint, weight=one.weight)
        return _labels(sums.slabs(), grid, encoding)


def _labels(
    parts: Iterable[tuple[int, NDArray[np.float32]]], footprint: Footprint, encoding: LabelEncoding
) -> NDArray[np.uint16]:
    labels = empty_labels(footprint, encoding)
    for first, probabilities in parts:
        put_labels(labels, probabilities, footprint, encoding, first=first)
        del probabilities
    return labels


def _kept(one: Pass, stack: SliceStack, blocks: Blocks, into: Path) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """What a view shows, part by part, which is in its file once all have been taken."""
    shape = (len(one.plan.data.classes), stack.footprint.kept[0], *stack.footprint.size_px)
    with compressed_in_parts(into, shape, np.uint8) as array:
        for first, probabilities in _found(one, stack, blocks):
            array.put(encode(probabilities), first=first)
            yield first, probabilities
            del probabilities


def _found(one: Pass, stack: SliceStack, blocks: Blocks) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """What a view shows, part by part."""
    image = np.asarray(stack.image)
    for window in blocks.windows(stack.footprint.kept[0]):
        probabilities = one.probabilities(image, darkest=stack.footprint.pad_value, wanted=window, batch_size=blocks.batch)
        yield window.start, probabilities
        del probabilities


def _blocks(ensemble: Ensemble, footprints: Sequence[Footprint]) -> tuple[tuple[Blocks, ...], bool]:
    """In how small parts to predict each view, and whether what they add up to fits into memory."""
    limits = ensemble.limits(max(MEMORY_GB, *(plan.inputs.memory_gb for plan in ensemble.plans)))
    for sums in (1, 0):
        blocks = tuple(
            demand.parts(footprint.shape, slices_of(footprint), limits=limits)
            for demand, footprint in zip(ensemble.demands(sums=sums if len(footprints) > 1 else 0), footprints, strict=True)
        )
        if max(block.bytes for block in blocks) <= limits.bytes:
            break
    return blocks, sums > 0
