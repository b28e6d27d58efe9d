"""`autoseg info`: what an exported model is: trained on what, how good, for which scans."""

from pathlib import Path

from autoseg.exporting.card import InfoResult
from autoseg.exporting.document import describe_exported
from autoseg.storage import files


def run(path: Path) -> InfoResult:
    """Read and verify an exported model's documents.

    Raises:
        BundleError: not an exported model, damaged, or written by a newer autoseg.
    """
    description = describe_exported(path)
    return InfoResult(description, files.sha256_file(path), path.stat().st_size)
