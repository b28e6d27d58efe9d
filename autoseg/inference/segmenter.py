"""From a scan to its final label map, with how far it can be trusted: what `predict` does to every scan."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import mask_of
from autoseg.errors import MemoryLimitError
from autoseg.events import Events
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, LabelMap
from autoseg.inference.ensemble import Ensemble
from autoseg.inference.memory import MEMORY_GB, Slices, slices_of
from autoseg.inference.one_pass import OnePass
from autoseg.inference.outliers import TrainingData, unusual
from autoseg.inference.quality import ExpectedDice, Quality, by_class, doubts, entropy, mean_expected, predicted_dice
from autoseg.inference.several_passes import SeveralPasses
from autoseg.inference.spool import SpooledProbabilities
from autoseg.inference.steps import Step, apply_steps
from autoseg.inference.streams import ProbabilityStream, Wanted
from autoseg.model.compute import Compute
from autoseg.preprocessing.case import cut_slices, whole_footprint
from autoseg.preprocessing.footprint import empty_labels, put_labels, put_map
from autoseg.storage import files


@dataclass(frozen=True)
class Segmentation:
    """A segmented scan.

    Attributes:
        labels: the data set's own label values on the scan's own grid, after postprocessing.
        probabilities: of every class, (K, Z, Y, X), float32, in [0, 1], on that grid, before postprocessing; None unless
            asked for, or spooled.
        spooled: the same in a temporary file, where it was allowed and they did not fit into memory.
        entropy: how undecided the networks are, (Z, Y, X), float32, from 0 (sure) to 1 (all classes equally probable); None
            unless asked for.
        predicted_dice: by class name, the Dice that is probably reached; None unless asked for. A class is missing where
            nothing of it is expected, or labelled though it may be absent, or no held-out case says how sure they may be.
        estimated_dice: one number for the whole label map, see `PredictionRow`; None where nothing is expected.
        warnings: what makes this scan unlike those the networks learnt from, or its result doubtful, asked for or not.
    """

    labels: LabelMap
    probabilities: NDArray[np.float32] | None
    spooled: SpooledProbabilities | None
    entropy: NDArray[np.float32] | None
    predicted_dice: Mapping[str, float] | None
    estimated_dice: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Segmenter:
    """Everything that turns a scan into its label map.

    Attributes:
        ensemble: the networks.
        steps: postprocessing of the label map.
        quality: how Dice follows from what networks expect of themselves; None where no cross-validation tells.
        trained_on: what scans are compared with; empty: with nothing.
        memory_gb: what segmenting a scan may take, in GB, the program included.
    """

    ensemble: Ensemble
    steps: tuple[Step, ...]
    quality: Quality | None
    trained_on: tuple[TrainingData, ...]
    memory_gb: float = MEMORY_GB

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that decides a label map."""
        return self._digest(self.ensemble.digest)

    def on(self, compute: Compute) -> "Segmenter":
        """The same on another device of the same kind: what it finds is the same."""
        return replace(self, ensemble=self.ensemble.on(compute))

    def is_identified_by(self, digest: str) -> bool:
        """Whether a label map stored under this digest, by this version or by 0.1, is what this would predict."""
        return digest in {self.digest, self._digest(self.ensemble.digest_in_0_1)}

    def _digest(self, ensemble: str) -> str:
        return segmenter_digest(ensemble, self.steps, self.ensemble.log_shift)

    def admit(self, geometry: Geometry, stored_bytes: int, *, with_uncertainty: bool = False) -> None:
        """Find out whether a scan can be segmented within `memory_gb`, before it is read.

        Where scans are cropped, only what the crop cannot change is looked at; `segment` looks at the rest.

        Args:
            geometry: of the scan.
            stored_bytes: of one voxel in each of its files; 0: it is read bit by bit, or was.
            with_uncertainty: as for `segment`.

        Raises:
            MemoryLimitError: it cannot.
        """
        limits = self.ensemble.limits(self.memory_gb)
        demands = self.ensemble.demands(judged=self.quality is not None, entropy=with_uncertainty)
        for one, demand in zip(self.ensemble.passes, demands, strict=True):
            slices = Slices(1, (1, 1), (1, 1))
            if one.plan.preprocessing.crop == "none":
                slices = slices_of(whole_footprint(geometry, view=one.view))
            demand.blocks(geometry.shape, slices, limits=limits, stored_bytes=stored_bytes)

    def segment(
        self,
        image: Image,
        *,
        with_probabilities: bool = False,
        with_uncertainty: bool = False,
        spool: Path | None = None,
        events: Events | None = None,
    ) -> Segmentation:
        """Segment a scan.

        Args:
            image: the scan, (C, Z, Y, X), float32, in its own geometry.
            with_probabilities: also give the probability of every class.
            with_uncertainty: also give the entropy and predict the Dice.
            spool: folder of a temporary file for probabilities that do not fit into memory; None: they must fit.
            events: notified of such a file.

        Raises:
            MemoryLimitError: it would take more than `memory_gb`, or more than a GPU has left; nothing was predicted.
            SystemFailureError: the disk has too little space for the temporary file.
        """
        compute = self.ensemble.compute
        full = MemoryLimitError(
            f"the GPU {compute.device} has too little memory left",
            remedy="End other programs that use it, or use --device cpu.",
        )
        wanted = Wanted(
            judged=self.quality is not None,
            entropy=with_uncertainty,
            probabilities=with_probabilities,
            memory_gb=self.memory_gb,
            spool=spool,
            events=events,
        )
        with compute.current(), compute.full_memory_raises(full):
            return self._segment(image, wanted)

    def _segment(self, image: Image, wanted: Wanted) -> Segmentation:
        stream = _stream(image, self.ensemble, wanted)
        data, footprint, encoding = self.ensemble.data, stream.footprint, self.ensemble.data.encoding
        labels = empty_labels(footprint, encoding)
        doubt = np.zeros(footprint.shape, dtype=np.float32) if wanted.entropy else None
        uncalibrated = ExpectedDice(encoding)
        for first, part in stream.parts():
            put_labels(labels, part, footprint, encoding, first=first)
            for number in range(part.shape[1] if self.quality is None else 0):
                uncalibrated.add(part[:, number : number + 1])  # one at a time takes next to no memory
            if doubt is not None:
                put_map(doubt, entropy(part, exclusive=encoding.exclusive), footprint, first=first)
            del part
        found = self._postprocessed(LabelMap(labels, image.geometry))
        names = [label.name for label in data.classes[1:]]
        by_name = self._without_absent(by_class(names, mean_expected([each.by_class() for each in stream.expected])), found)
        predicted = self._predicted_dice(by_name)
        return Segmentation(
            labels=found,
            probabilities=stream.probabilities,
            spooled=stream.spooled,
            entropy=doubt,
            predicted_dice=predicted if wanted.entropy else None,
            estimated_dice=_mean(predicted if self.quality else by_class(names, uncalibrated.by_class())),
            warnings=(*self._unusual(image, found), *(doubts(by_name, self.quality) if self.quality else ())),
        )

    def _postprocessed(self, labels: LabelMap) -> LabelMap:
        spacing_mm = labels.geometry.spacing_mm
        classes = self.ensemble.data.classes
        array = apply_steps(labels.array, self.steps, spacing_mm=spacing_mm, classes=classes, in_place=True)
        return replace(labels, array=array)

    def _without_absent(self, expected: Mapping[str, float], labels: LabelMap) -> dict[str, float]:
        """Expected Dice by class name, NaN where nothing of a class is labelled that held-out cases rightly lack.

        Where nothing is found in a case without the class there is no Dice; were it there after all, it would be 0, which
        says nothing of how probable that is.
        """
        absent = {model.name for model in self.quality.classes if model.may_be_absent} if self.quality else set()
        candidates = [label for label in self.ensemble.data.classes[1:] if label.name in absent]
        missing = {label.name for label in candidates if not mask_of(label, labels.array).any()}
        return {name: math.nan if name in missing else value for name, value in expected.items()}

    def _predicted_dice(self, expected: Mapping[str, float]) -> dict[str, float]:
        models = self.quality.classes if self.quality else ()
        predicted = {model.name: predicted_dice(expected[model.name], model) for model in models if model.name in expected}
        return {name: predicted[name] for name in expected if not np.isnan(predicted.get(name, np.nan))}

    def _unusual(self, image: Image, labels: LabelMap) -> list[str]:
        """Warnings about a scan unlike those of training; with several data sets each says for itself what is."""
        data = self.ensemble.data
        found = [unusual(image, labels, trained_on, data) for trained_on in self.trained_on]
        if len(found) < 2:
            return [warning for of_data in found for warning in of_data]
        names = [trained_on.name for trained_on in self.trained_on]
        return [f"{name}: {warning}" for name, of_data in zip(names, found, strict=True) for warning in of_data]


def _mean(dice: Mapping[str, float]) -> float | None:
    """Over the classes for which it is defined; None where it is for none."""
    defined = [value for value in dice.values() if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else None


def _stream(image: Image, ensemble: Ensemble, wanted: Wanted) -> ProbabilityStream:
    cuts = [cut_slices(image, one.plan.preprocessing, view=one.view) for one in ensemble.passes]
    return OnePass(cuts[0], ensemble, wanted) if len(cuts) == 1 else SeveralPasses(cuts, ensemble, wanted)


def segmenter_digest(ensemble: str, steps: Sequence[Step], log_shift: Sequence[float]) -> str:
    """SHA-256 of everything that decides a label map: of what the networks are, and of what is done to what they give."""
    shift = [log_shift] if log_shift else []
    return files.sha256_json([ensemble, [step.decided for step in steps], *shift])
