"""Several models as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from autoseg import files
from autoseg.data.geometry import Geometry
from autoseg.data.image import Image, LabelMap
from autoseg.errors import BundleError
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.model.slices import predict_slices
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import Footprint, apply, restore_labels, restore_probabilities


@dataclass(frozen=True)
class Prediction:
    """A segmented scan.

    Attributes:
        labels: the data set's own label values on the scan's own grid.
        probabilities: (K, Z, Y, X), float32, in [0, 1], on that grid; None unless asked for.
    """

    labels: LabelMap
    probabilities: NDArray[np.float32] | None


@dataclass(frozen=True)
class Ensemble:
    """Networks trained under one plan, ready to predict together.

    Attributes:
        plan: the plan they share.
        networks: on the device, in evaluation mode.
        digest: SHA-256 of everything that decides a prediction.
        compute: device and number format.
        mirror: whether predictions are averaged over the flips that the plan names.
    """

    plan: Plan
    networks: Sequence[nn.Module]
    digest: str
    compute: Compute
    mirror: bool

    def probabilities(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities of a preprocessed scan: (C, S, H, W) to (K, S, H, W), float32."""
        return predict_slices(
            self.networks,
            image,
            patch_px=self.plan.training.patch_px,
            neighbours=self.plan.network.neighbours,
            batch_size=self.plan.prediction.batch_size,
            mirror_axes=self.plan.prediction.mirror_axes if self.mirror else (),
            compute=self.compute,
        )

    def predict(self, image: Image, *, with_probabilities: bool = False) -> Prediction:
        """Segment a scan.

        Args:
            image: the scan, (C, Z, Y, X), float32, in its own geometry.
            with_probabilities: also give probabilities on the scan's grid.

        Returns:
            label values in the scan's exact geometry.
        """
        prepared = apply(image, self.plan.preprocessing)
        probabilities = self.probabilities(prepared.array)
        labels = self.label_map(probabilities, prepared.footprint, image.geometry)
        full = restore_probabilities(probabilities, prepared.footprint) if with_probabilities else None
        return Prediction(labels, full)

    def label_map(self, probabilities: NDArray[np.float32], footprint: Footprint, geometry: Geometry) -> LabelMap:
        """Most probable class of every voxel, as label values on the scan's own grid."""
        indices = restore_labels(probabilities, footprint)  # (Z, Y, X)
        values = np.array([label.value for label in self.plan.data.classes], dtype=np.uint16)
        return LabelMap(values[indices], geometry)


def load_ensemble(folders: Sequence[Path], *, compute: Compute, mirror: bool) -> Ensemble:
    """Load models that were trained under the same plan.

    Raises:
        BundleError: there is none, one is damaged, or they stem from different plans.
    """
    bundles = [load_bundle(folder) for folder in folders]
    if not bundles:
        raise BundleError("no model to predict with", remedy="Train one with `autoseg train` first.")
    first = bundles[0].document
    for folder, bundle in zip(folders, bundles, strict=True):
        if bundle.document.plan_digest != first.plan_digest:
            raise BundleError(
                "trained under another plan than the other models",
                where=folder,
                expected=first.plan_digest[:12],
                found=bundle.document.plan_digest[:12],
                remedy="Choose models of one plan, or train this one again with --restart.",
            )
    weights = sorted(bundle.document.weights_sha256 for bundle in bundles)
    digest = files.sha256_json([first.plan_digest, weights, mirror, compute.precision, compute.device.type])
    networks = [compute.place(bundle.network) for bundle in bundles]
    return Ensemble(plan=first.plan, networks=networks, digest=digest, compute=compute, mirror=mirror)
