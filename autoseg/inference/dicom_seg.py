"""Label maps of DICOM series as DICOM segmentations (SEG): what goes into them, and whether they can be made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from autoseg.data.dataset import LabelClass
from autoseg.data.display import colour, rgb
from autoseg.errors import MemoryLimitError
from autoseg.images.dicom.coded_segments import CodedSegment, Maker, bytes_of_segmentation
from autoseg.images.dicom.concepts import properties
from autoseg.images.image import LabelMap
from autoseg.inference.prediction_settings import PredictionSettings
from autoseg.storage import files

_HELD_BYTES: Final = 6
"""Per voxel: the scan and its label map."""

_PROGRAM_BYTES: Final = 0.6e9
"""Source: 0.4 GB were measured with highdicom loaded, without torch, and 0.5 GB with it alone."""


class WriteSeg(Protocol):
    """Writes a label map as a DICOM segmentation; what does so takes a while to load."""

    def __call__(
        self, path: Path, slices: Sequence[Path], labels: LabelMap, /, *, segments: Sequence[CodedSegment], maker: Maker
    ) -> None:
        """Write it."""


def coded_segments(classes: Sequence[LabelClass]) -> list[CodedSegment]:
    """A segment for each class, or region, but the background; in the colours they have in figures.

    Args:
        classes: the classes, background first.
    """
    foreground = classes[1:]
    known = properties([label.name for label in foreground])
    return [
        CodedSegment(label.name, label.label_values, rgb(colour(index)), what)
        for index, (label, what) in enumerate(zip(foreground, known, strict=True))
    ]


def maker_of(settings: PredictionSettings, *, input_sha256: str, output_sha256: str, classes: Sequence[LabelClass]) -> Maker:
    """What a segmentation says of its origin.

    Args:
        settings: that the scan was segmented with.
        input_sha256: digest of its files.
        output_sha256: digest of its label map.
        classes: of the label map.
    """
    described = [label.model_dump(mode="json") for label in classes]
    content = files.sha256_json([input_sha256, settings.digest, output_sha256, described])
    return Maker(settings.digest, settings.model, content)


def admit_seg(shape: tuple[int, int, int], classes: Sequence[LabelClass], *, memory_gb: float) -> None:
    """Find out whether a segmentation can be made within a limit.

    Args:
        shape: of the label map, (Z, Y, X).
        classes: of it.
        memory_gb: what making it may take, in GB, the program included.

    Raises:
        MemoryLimitError: it cannot.
    """
    depth, rows, columns = shape
    segments = coded_segments(classes)
    needed = _PROGRAM_BYTES + _HELD_BYTES * float(depth) * rows * columns + bytes_of_segmentation(shape, segments)
    if needed > memory_gb * 1e9:
        raise MemoryLimitError(
            "its DICOM segmentation takes more memory than it may",
            expected=f"at most {memory_gb:g} GB",
            found=f"{needed / 1e9:.1f} GB for {depth} x {rows} x {columns} voxels and {len(segments)} segments",
            remedy="Where the machine has it, allow more with --memory; or leave out --dicom-seg.",
        )
