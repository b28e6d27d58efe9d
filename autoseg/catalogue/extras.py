"""The packages that are installed on request alone, by the extra that brings them."""

import importlib.util
from collections.abc import Mapping
from typing import Final

from autoseg.errors import UsageError

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "tracking": ("tensorboard", "wandb"),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "cluster": ("dask", "distributed", "cryptography"),
    "dicom-seg": ("highdicom", "pydicom"),
}
"""Packages of each extra, as pyproject.toml has them; they are imported by the names that they are installed by."""


def missing_of(extra: str) -> tuple[str, ...]:
    """The packages of an extra that are not installed."""
    return tuple(name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None)


def require_extra(extra: str, what: str, *, elsewhere: str = "") -> None:
    """Find out whether the packages of an extra are installed.

    Args:
        extra: a key of `EXTRAS`.
        what: they are needed for, as in "packages for ONNX models".
        elsewhere: where else they are needed, as the end of a sentence.

    Raises:
        UsageError: one is missing.
    """
    if missing := missing_of(extra):
        raise missing_extra(extra, what, found=f"no {', '.join(missing)}", elsewhere=elsewhere)


def missing_extra(extra: str, what: str, *, found: str, elsewhere: str = "") -> UsageError:
    """The failure that packages of an extra are missing, or cannot be imported."""
    return UsageError(
        f"packages for {what} are not installed",
        found=found,
        remedy=f"Run `pip install '.[{extra}]'` in autoseg's source folder{elsewhere}.",
    )
