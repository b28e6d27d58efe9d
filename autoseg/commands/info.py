"""`autoseg info`: what an exported model is: trained on what, how good, for which scans."""

from dataclasses import dataclass
from pathlib import Path

from autoseg.export.document import ExportDescription, describe_exported
from autoseg.storage import files


@dataclass(frozen=True)
class InfoResult:
    """An exported model's description.

    Attributes:
        description: what its documents say.
        sha256: of the whole file.
        bytes: its size.
    """

    description: ExportDescription
    sha256: str
    bytes: int


def run(path: Path) -> InfoResult:
    """Read and verify an exported model's documents.

    Raises:
        BundleError: not an exported model, damaged, or written by a newer autoseg.
    """
    description = describe_exported(path)
    return InfoResult(description, files.sha256_file(path), path.stat().st_size)
