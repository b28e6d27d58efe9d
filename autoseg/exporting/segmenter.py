"""Exported models, ready to segment."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from autoseg.events import Events
from autoseg.exporting.document import ExportDescription, ExportedModel, read_exported
from autoseg.inference.ensemble import make_ensemble
from autoseg.inference.outliers import TrainingData
from autoseg.inference.segmenter import Segmenter
from autoseg.inference.steps import Step
from autoseg.model.bundle import Bundle
from autoseg.model.compute import Compute
from autoseg.model.packages import warn_of_other_versions
from autoseg.postprocessing.in_use import make_segmenter, training_data
from autoseg.postprocessing.selection import LogShift, Views
from autoseg.wording import counted, listing

T = TypeVar("T")


def exported_segmenter(
    files: str | Path | Sequence[str | Path], *, compute: Compute, mirror: bool, memory_gb: float, events: Events
) -> Segmenter:
    """An exported model with its postprocessing, or several averaged, each network of which counts alike.

    How good results are is known of each model alone, and what is done to probabilities and label maps was found for each
    alone: several have it where it is the same for all.

    Args:
        files: the model, or several for the same classes and channels.
        compute: device and number format.
        mirror: test-time augmentation: average over the flips that the plans name.
        memory_gb: memory that segmenting a scan may take, in GB.
        events: notified of everything.

    Raises:
        BundleError: none, or not an exported model, damaged, written by a newer autoseg, or for other classes or channels
            than another one.
        MemoryLimitError: their weights do not fit into the memory.
    """
    models = _read([Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files], memory_gb=memory_gb)
    bundles = _each_once(models, events)
    warn_of_other_versions((each for _, bundle in bundles for each in bundle.document.registered), events)
    ensemble = make_ensemble(bundles, compute=compute, mirror=mirror)
    descriptions = [model.description for model in models]
    if len(models) == 1:
        selection, fingerprint = descriptions[0].selection, descriptions[0].fingerprint
        return make_segmenter(ensemble, selection, fingerprint, memory_gb=memory_gb, events=events)
    events.info(f"averaging: {ensemble.title}")
    views, log_shift, steps = _what_all_do(descriptions, events)
    return Segmenter(
        ensemble=replace(ensemble.through(views), log_shift=log_shift),
        steps=steps,
        quality=None,
        trained_on=_data_of(descriptions),
        memory_gb=memory_gb,
    )


def _read(files: Sequence[Path], *, memory_gb: float) -> list[ExportedModel]:
    models: list[ExportedModel] = []
    for file in files:
        networks = [bundle.network for model in models for _, bundle in model.bundles]
        beside = [sum(tensor.nbytes for tensor in network.state_dict().values()) for network in networks]
        models.append(read_exported(file, memory_gb=memory_gb, beside=beside))
    return models


def _each_once(models: Sequence[ExportedModel], events: Events) -> list[tuple[str, Bundle]]:
    """All networks; one that is in several models counts once."""
    bundles = [bundle for model in models for bundle in model.bundles]
    once = {
        (bundle.document.plan_digest, bundle.document.weights_sha256): (place, bundle) for place, bundle in bundles[::-1]
    }
    if len(once) < len(bundles):
        events.info(f"in several of the models, and counted once: {counted(len(bundles) - len(once), 'network')}")
    return list(once.values())[::-1]


def _what_all_do(descriptions: Sequence[ExportDescription], events: Events) -> tuple[Views, LogShift, tuple[Step, ...]]:
    """The choice of views, the shift of averaged probabilities and the postprocessing of label maps that all models have."""
    selections = [description.selection for description in descriptions]
    views = {() if selection is None else selection.views for selection in selections}
    shifts = {() if selection is None else selection.log_shift for selection in selections}
    steps = {() if selection is None else selection.postprocessing for selection in selections}
    named = {"choice of views": len(views), "shift of the prior": len(shifts), "postprocessing": len(steps)}
    differing = listing([name for name, number in named.items() if number > 1])
    left_out = f"; what they differ in is left out: {differing}" if differing else ""
    events.info(
        f"several models are averaged: no Dice is predicted, and results that are probably bad are not marked{left_out}"
    )
    return _only(views), _only(shifts), _only(steps)


def _only(found: AbstractSet[tuple[T, ...]]) -> tuple[T, ...]:
    """The only one of what was found; nothing where there are several."""
    return next(iter(found)) if len(found) == 1 else ()


def _data_of(descriptions: Sequence[ExportDescription]) -> tuple[TrainingData, ...]:
    """What the models were trained on, each data set once."""
    data: list[TrainingData] = []
    for description in descriptions:
        each = training_data(description.plan, description.fingerprint)
        if each not in data:
            data.append(each)
    return tuple(data)
