"""A scan of a DICOM series, and what it is called."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats.dicom_fields import Field
from autoseg.images.dicom import naming


@dataclass(frozen=True)
class DicomScan:
    """One scan of a DICOM series.

    Attributes:
        files: in the order of the slices; what is left of them where it cannot be used.
        fields: what the header of one of them says.
        part: what tells it from other scans of its series; empty where there is one.
        warnings: what the user should know of how it was put together.
        error: why it cannot be used; None: reading it will tell.
    """

    files: tuple[Path, ...]
    fields: Mapping[Field, str]
    part: str = ""
    warnings: tuple[str, ...] = ()
    error: ImageError | None = None

    @property
    def folder(self) -> Path:
        """Where its files lie: the folder that holds all of theirs."""
        return Path(commonpath([path.parent for path in self.files]))


def name_scans(scans: Sequence[DicomScan], *, folder_name: Callable[[Path], str]) -> list[str]:
    """What scans are called: after their folder, and where several lie in one, by what tells these apart.

    Args:
        scans: all that lie in one place, also those that cannot be used: correcting them renames no other.
        folder_name: what to call the folder that holds all files of a scan.

    Returns:
        a name for each, all different.
    """
    bases = [folder_name(scan.folder) for scan in scans]
    names = [f"{base}_{scan.part}" for base, scan in zip(bases, scans, strict=True)]
    for base in set(bases):
        places = [index for index, other in enumerate(bases) if other == base and scans[index].fields]
        told = naming.distinctions([scans[index] for index in places], FEATURES)
        for index, distinction in zip(places, told, strict=True):
            names[index] = naming.shortened("_".join(filter(None, [base, distinction])))
    return naming.unique(names, [f"{_identity(scan)} {scan.fields.get(Field.SOP_UID)}" for scan in scans])


def _identity(scan: DicomScan) -> str:
    return scan.fields.get(Field.SERIES_UID) or scan.files[0].name


FEATURES: Final[tuple[Callable[[DicomScan], str], ...]] = (
    lambda scan: naming.patient(scan.fields),
    lambda scan: naming.cleaned(scan.fields.get(Field.STUDY_DATE, "")),
    lambda scan: naming.cleaned(scan.fields.get(Field.STUDY_TIME, "").partition(".")[0]),
    lambda scan: naming.cleaned(scan.fields.get(Field.SERIES_NUMBER, "")),
    lambda scan: naming.description(scan.fields),
    lambda scan: scan.part,
    lambda scan: naming.digest(_identity(scan)),
)
"""What tells scans of one folder apart in their names, the most telling first."""
