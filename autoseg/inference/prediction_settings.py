"""What predictions are made with: by this, earlier results are recognised, and told from those of other models."""

from dataclasses import dataclass
from functools import cached_property

from autoseg.catalogue import NotFinite
from autoseg.inference.segmenter import Segmenter
from autoseg.inference.table import PredictionRow
from autoseg.storage import files

_DIGITS = 8
"""Of a digest, for people to tell models of one name apart."""


@dataclass(frozen=True)
class PredictionSettings:
    """Everything but the scan that decides a label map and what is said of it.

    Attributes:
        segmenter: the networks, their postprocessing, and what tells how good their results are.
        not_finite: what is done with voxels that are NaN or infinite.
    """

    segmenter: Segmenter
    not_finite: NotFinite

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides a label map."""
        return self._digest(self.not_finite)

    @cached_property
    def calibration_sha256(self) -> str:
        """Of what tells how good a label map is; empty where nothing does."""
        quality = self.segmenter.quality
        return "" if quality is None else files.sha256_json(quality.model_dump(mode="json"))

    @property
    def model(self) -> str:
        """What people tell it by, such as `IBSR18: unet fold_0 fold_1 + sepres fold_0 (0a1b2c3d)`."""
        return f"{self.segmenter.ensemble.title} ({self.digest[:_DIGITS]})"

    def made(self, row: PredictionRow) -> bool:
        """Whether the label map of a row is what these settings give of its scan.

        What was made where voxels that are not finite are refused has none, so that taking them for 0 gives the same.
        """
        if not row.model:
            return self.segmenter.is_identified_by(row.model_digest)
        accepted = {self.digest, self._digest("refuse")} if self.not_finite == "zero" else {self.digest}
        return row.model_digest in accepted

    def judged(self, row: PredictionRow) -> bool:
        """Whether its probable Dice and its warnings are; rows of version 0.1 do not say what they rest on."""
        return not row.model or row.calibration_sha256 == self.calibration_sha256

    def _digest(self, not_finite: NotFinite) -> str:
        return settings_digest(self.segmenter.digest, not_finite)


def settings_digest(segmenter: str, not_finite: NotFinite) -> str:
    """SHA-256 of everything that decides a label map.

    Args:
        segmenter: digest of what segments.
        not_finite: what is done with voxels that are NaN or infinite.
    """
    return segmenter if not_finite == "refuse" else files.sha256_json([segmenter, {"not_finite": not_finite}])
