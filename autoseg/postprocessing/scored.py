"""Where a model keeps its held-out cases, and whether they were scored; loads nothing."""

from pathlib import Path
from typing import Final

_FOLDER: Final = "validation"
_RECORD: Final = "record.json"


def folder_of(model: Path) -> Path:
    """Where a model keeps everything about its held-out cases."""
    return model / _FOLDER


def record_file(model: Path) -> Path:
    """What is written last: that a model's held-out cases were predicted and scored to the end."""
    return folder_of(model) / _RECORD


def is_scored(model: Path) -> bool:
    """Whether a model's held-out cases were scored to the end."""
    return record_file(model).exists()
