"""Trained models for scans in memory: what `predict` does with folders, for one scan at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.inference.given import Direction, Given, Placed, given_image
from autoseg.inference.passes import Networks
from autoseg.inference.prediction import Prediction, as_prediction
from autoseg.inference.segmenter import Segmenter
from autoseg.model.slices import with_adjacent_slices
from autoseg.preprocessing.case import cut_slices
from autoseg.results import Result


@dataclass(frozen=True, repr=False)
class LoadedModel(Result):
    """One or more networks, ready to segment.

    Attributes:
        segmenter: the networks, their plans and the postprocessing of their label maps.
    """

    segmenter: Segmenter

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """What the values of a label map stand for, background first."""
        return self.segmenter.ensemble.data.classes

    @property
    def names(self) -> tuple[str, ...]:
        """What the networks are called, such as `unet/fold_0`, in the order of `networks`."""
        return self.segmenter.ensemble.names

    @property
    def networks(self) -> Networks:
        """The networks, each a `torch.nn.Module` in evaluation mode on the model's device.

        Each takes slices (B, C, H, W), float32, normalised as `slices` gives them, of any height and width, and gives logits
        (B, K, H, W) of the K `classes`. What `predict` adds: the plan's prior (`prediction.prior_power`), the mean over
        networks, views and flips, the way back onto the scan's grid, and postprocessing.
        """
        return tuple(member.network for member in self.segmenter.ensemble.members)

    def predict(
        self,
        volume: Given,
        *,
        spacing_mm: Sequence[float] | None = None,
        direction: Direction | None = None,
        origin_mm: Sequence[float] | None = None,
        with_probabilities: bool = False,
        with_uncertainty: bool = False,
    ) -> Prediction:
        """Segment a scan.

        Args:
            volume: the scan: a file, a folder of one DICOM series, a list of a file for each channel (in any order where
                their names end in `_0000` or the name of a channel, else in that of training); or intensities of any
                number type, (Z, Y, X) or, for several channels, (C, Z, Y, X); (Y, X) or (C, Y, X) where the model was
                trained on 2D images.
            spacing_mm: of an array, which needs it: distance between voxels along the same spatial axes, in mm, > 0.
            direction: of the array of a volume, nine direction cosines as SimpleITK's `GetDirection` gives them, or the same
                as a 3 x 3 matrix. None: X, Y and Z run towards left, posterior and superior. A wrong direction gives a wrong
                segmentation.
            origin_mm: of an array, where its first voxel lies, as SimpleITK's `GetOrigin` gives it, for `save`. None: 0.
            with_probabilities: also give the probability of every class.
            with_uncertainty: also give the entropy and the Dice that is probably reached.

        Returns:
            `labels.array`, the data set's own label values, uint16, (Z, Y, X), Z being 1 for a 2D image; `volumes_ml`;
            `warnings` of what is unusual or doubtful; and what was asked for besides. Its `save` writes the label map.

        Raises:
            ImageError: this is not a scan that the model reads: wrong axes or channels, NaN or infinite values (which
                a plan may take for 0: then there is a warning), complex values,
                spacings that are not positive, directions that are not at right angles, a damaged file.
            MemoryLimitError: segmenting it would take more memory than was allowed when the model was loaded.
            UsageError: there is no such file, or there are several scans.
        """
        placed = Placed(spacing_mm, direction, origin_mm)
        image = given_image(volume, placed, self.segmenter, with_uncertainty=with_uncertainty)
        found = self.segmenter.segment(image, with_probabilities=with_probabilities, with_uncertainty=with_uncertainty)
        return as_prediction(found, image, self.classes)

    def slices(
        self,
        volume: Given,
        *,
        spacing_mm: Sequence[float] | None = None,
        direction: Direction | None = None,
        network: int = 0,
        view: int = 0,
    ) -> NDArray[np.float32]:
        """A scan as a network sees it: in canonical orientation, cropped and resampled as planned, normalised.

        Args:
            volume: the scan, as for `predict`.
            spacing_mm: as for `predict`.
            direction: as for `predict`.
            network: number of the network in `networks`, whose plan counts.
            view: number of the plan's view, which says along which plane the scan is cut.

        Returns:
            (S, C, H, W), float32: each of the S slices with its channels; where the plan has adjacent slices (2.5D), with
            those of N slices on either side, too: C is 2 N + 1 times as many.
        """
        image = given_image(volume, Placed(spacing_mm, direction), self.segmenter)
        plan = self.segmenter.ensemble.members[network].plan
        cut = cut_slices(image, plan.preprocessing, view=plan.views[view])
        number = cut.footprint.kept[0]
        return with_adjacent_slices(
            cut.part(slice(0, number)), range(number), adjacent_slices=plan.views[view].adjacent_slices
        )

    def _in_short(self) -> str:
        compute, names = self.segmenter.ensemble.compute, ", ".join(label.name for label in self.classes[1:])
        return f"{self.segmenter.ensemble.title}; segments {names}; on {compute.device} in {compute.precision}"
