"""A segmented scan as a person meets it: saved, shown in a notebook, or as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from math import nan
from pathlib import Path
from typing import Any

from autoseg.data.dataset import LabelClass
from autoseg.errors import UsageError
from autoseg.evaluation.formatting import number, volume
from autoseg.formats import WRITABLE_SUFFIXES
from autoseg.formats.remarks import remarks
from autoseg.images.image import Image, write_labels
from autoseg.inference.doubts import doubts_about
from autoseg.inference.preview import Cut, fullest_cuts, html_pictures, html_swatch
from autoseg.inference.segmenter import Segmentation
from autoseg.inference.table import volumes_ml
from autoseg.results import Records
from autoseg.wording import counted


@dataclass(frozen=True, repr=False)
class Prediction(Records, Segmentation):
    """A segmented scan, which a notebook shows in numbers and pictures.

    Attributes:
        classes: what the label values stand for, background first.
        volumes_ml: volume of each foreground class by name, in ml.
        cuts: copies of a few slices, to be drawn when a notebook asks for them.
        source: the file or folder that the scan was read from, of several channels the first; None: it was an array.
        files: all that it was read from, each channel's file or every slice.
        remarks: what is worth knowing of the files, and no reason to doubt.
    """

    classes: tuple[LabelClass, ...]
    volumes_ml: Mapping[str, float]
    cuts: tuple[Cut, ...]
    source: Path | None
    files: tuple[Path, ...]
    remarks: tuple[str, ...]

    def save(self, path: str | Path) -> Path:
        """Write the label map on the scan's own grid, as `autoseg predict` does: whole or not at all.

        Args:
            path: the file, ending in .nii.gz, .nii, .mha or .nrrd; one that is there is replaced.

        Returns:
            the path.

        Raises:
            UsageError: the name has another ending, or is that of a file of the scan itself.
            SystemFailureError: it cannot be written.
        """
        path = Path(path)
        if not path.name.endswith(WRITABLE_SUFFIXES):
            endings = ", ".join(WRITABLE_SUFFIXES)
            raise UsageError(
                "no format for label maps", where=path, expected=endings, remedy="Choose a name that ends in one of them."
            )
        if path.exists() and any(file.exists() and path.samefile(file) for file in self.files):
            raise UsageError("is the scan itself", where=path, remedy="Save the label map under another name.")
        write_labels(path, self.labels.array, self.labels.geometry)
        return path

    def _in_short(self) -> str:
        found = ", ".join(f"{name} {volume(ml)} ml" for name, ml in self.volumes_ml.items())
        doubts = f"; {counted(len(self.warnings), 'warning')}" if self.warnings else ""
        return f"{' x '.join(map(str, self.labels.array.shape))} voxels, {found}{doubts}"

    def _repr_html_(self) -> str:
        """What a notebook shows: volumes, warnings, and a slice in each plane with the classes over it."""
        heads = ("", "class", "value", "volume (ml)", *(("probable Dice",) if self.predicted_dice is not None else ()))
        head = "".join(f"<th>{name}</th>" for name in heads)
        rows = "".join(self._html_row(index, label) for index, label in enumerate(self.classes[1:]))
        warnings = "".join(f"<p>Warning: {escape(warning)}</p>" for warning in self.warnings)
        return f"<table><tr>{head}</tr>{rows}</table>{warnings}<div>{html_pictures(self.cuts, self.classes)}</div>"

    def _html_row(self, index: int, label: LabelClass) -> str:
        probable = [] if self.predicted_dice is None else [number(self.predicted_dice.get(label.name), 2)]
        cells = [escape(label.name), str(label.value), volume(self.volumes_ml[label.name]), *probable]
        return f"<tr>{''.join(f'<td>{cell}</td>' for cell in (html_swatch(index), *cells))}</tr>"

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row for each foreground class."""
        return [
            {
                "class": label.name,
                "value": label.value,
                "volume_ml": self.volumes_ml[label.name],
                "predicted_dice": (self.predicted_dice or {}).get(label.name, nan),
            }
            for label in self.classes[1:]
        ]


def as_prediction(found: Segmentation, image: Image, classes: tuple[LabelClass, ...]) -> Prediction:
    """What was found in a scan, with what there is to show of it."""
    segmentation = {field.name: getattr(found, field.name) for field in fields(Segmentation)}
    return Prediction(
        **{**segmentation, "warnings": (*doubts_about(image), *found.warnings)},
        remarks=remarks(image.warnings),
        classes=classes,
        volumes_ml=volumes_ml(found.labels, classes),
        cuts=fullest_cuts(image, found.labels),
        source=image.source,
        files=image.files,
    )
