"""From a scan to its final label map, with how far it can be trusted: what `predict` does to every scan."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autoseg.data.image import Image, LabelMap
from autoseg.inference.ensemble import Ensemble
from autoseg.inference.outliers import (
    missing_classes,
    unusual_colours,
    unusual_intensities,
    unusual_orientation,
    unusual_spacing,
    unusual_volume,
)
from autoseg.inference.quality import Quality, by_class, doubts, entropy, expected_dice, predicted_dice
from autoseg.inference.steps import Step, apply_steps
from autoseg.inference.table import volumes_ml
from autoseg.planning.fingerprint import Fingerprint
from autoseg.preprocessing.case import apply
from autoseg.preprocessing.footprint import restore_map, restore_probabilities
from autoseg.storage import files


@dataclass(frozen=True)
class Segmentation:
    """A segmented scan.

    Attributes:
        labels: the data set's own label values on the scan's own grid, after postprocessing.
        probabilities: of every class, (K, Z, Y, X), float32, in [0, 1], on that grid, before postprocessing; None unless
            asked for.
        entropy: how undecided the networks are, (Z, Y, X), float32, from 0 (sure) to 1 (all classes equally probable); None
            unless asked for.
        predicted_dice: by class name, the Dice that is probably reached; None unless asked for. A class is missing where
            nothing of it is expected or no held-out case says how sure the networks may be.
        warnings: what makes this scan unlike those the networks learnt from, or its result doubtful, asked for or not.
    """

    labels: LabelMap
    probabilities: NDArray[np.float32] | None
    entropy: NDArray[np.float32] | None
    predicted_dice: Mapping[str, float] | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Segmenter:
    """Everything that turns a scan into its label map.

    Attributes:
        ensemble: the networks.
        steps: postprocessing of the label map.
        quality: how Dice follows from what networks expect of themselves; None where no cross-validation tells.
        fingerprint: of the training data; None: nothing is compared with it.
    """

    ensemble: Ensemble
    steps: tuple[Step, ...]
    quality: Quality | None
    fingerprint: Fingerprint | None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that decides a label map."""
        return self._digest(self.ensemble.digest)

    def is_identified_by(self, digest: str) -> bool:
        """Whether a label map stored under this digest, by this version or by 0.1, is what this would predict."""
        return digest in {self.digest, self._digest(self.ensemble.digest_in_0_1)}

    def _digest(self, ensemble: str) -> str:
        return files.sha256_json([ensemble, [step.decided for step in self.steps]])

    def segment(self, image: Image, *, with_probabilities: bool = False, with_uncertainty: bool = False) -> Segmentation:
        """Segment a scan.

        Args:
            image: the scan, (C, Z, Y, X), float32, in its own geometry.
            with_probabilities: also give the probability of every class.
            with_uncertainty: also give the entropy and predict the Dice.
        """
        plan = self.ensemble.plan
        prepared = apply(image, plan.preprocessing, view=plan.view)
        probabilities, expected = self._probabilities(prepared.array)
        labels = self._postprocessed(self.ensemble.label_map(probabilities, prepared.footprint, image.geometry))
        by_name = by_class([label.name for label in plan.data.classes[1:]], expected)
        return Segmentation(
            labels=labels,
            probabilities=restore_probabilities(probabilities, prepared.footprint, plan.data.encoding)
            if with_probabilities
            else None,
            entropy=restore_map(entropy(probabilities), prepared.footprint) if with_uncertainty else None,
            predicted_dice=self._predicted_dice(by_name) if with_uncertainty else None,
            warnings=(*self._unusual(image, labels), *(doubts(by_name, self.quality) if self.quality else ())),
        )

    def _probabilities(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Mean probabilities (K, S, H, W) of all networks, and per class the Dice that each fold's expect, averaged (K,)."""
        total: NDArray[np.float32] | None = None
        expected = []
        for group in self.ensemble.by_fold():
            part = group.probabilities(image)
            expected.append(expected_dice(part, self.ensemble.plan.data.encoding))
            part *= np.float32(len(group.members) / len(self.ensemble.members))
            total = part if total is None else np.add(total, part, out=total)
        if total is None:
            msg = "an ensemble has networks"
            raise ValueError(msg)
        return total, np.mean(expected, axis=0)

    def _postprocessed(self, labels: LabelMap) -> LabelMap:
        spacing_mm = labels.geometry.spacing_mm
        return replace(labels, array=apply_steps(labels.array, self.steps, spacing_mm=spacing_mm))

    def _predicted_dice(self, expected: Mapping[str, float]) -> dict[str, float]:
        models = self.quality.classes if self.quality else ()
        predicted = {model.name: predicted_dice(expected[model.name], model) for model in models if model.name in expected}
        return {name: predicted[name] for name in expected if not np.isnan(predicted.get(name, np.nan))}

    def _unusual(self, image: Image, labels: LabelMap) -> list[str]:
        plan, fingerprint = self.ensemble.plan, self.fingerprint
        if fingerprint is None:
            return []
        volumes = volumes_ml(labels, plan.data.classes)
        return [
            *unusual_spacing(image.geometry, fingerprint),
            *unusual_orientation(image.geometry, fingerprint),
            *unusual_intensities(image.array, plan.preprocessing.normalisation, fingerprint, names=plan.data.channels),
            *unusual_colours(image, fingerprint),
            *unusual_volume(volumes, fingerprint),
            *missing_classes(volumes, plan.data.classes, fingerprint),
        ]
