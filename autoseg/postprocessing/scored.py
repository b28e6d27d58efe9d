"""Where a model keeps its held-out cases, and whether they were scored; loads nothing that trains."""

from pathlib import Path

from autoseg.training.run_state import HELD_OUT_FOLDER, RECORD_FILE, run_folder


def folder_of(model: Path) -> Path:
    """Where a model keeps everything about its held-out cases."""
    return run_folder(model) / HELD_OUT_FOLDER


def record_file(model: Path) -> Path:
    """What is written last: that a model's held-out cases were predicted and scored to the end."""
    return folder_of(model) / RECORD_FILE


def is_scored(model: Path) -> bool:
    """Whether a model's held-out cases were scored to the end."""
    return record_file(model).exists()
