"""Held-out probabilities that are of no use, because they are not those that the model beside them gave."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final

from autoseg.inference.ensemble import digest_of
from autoseg.model.description import BundleDocument
from autoseg.postprocessing.held_out.files import read_record
from autoseg.postprocessing.scored import folder_of, is_scored

_ENDINGS: Final = (".npy", ".npz")
"""Of files of probabilities."""

_AGAIN: Final = "the next `autoseg train` predicts the cases again"


def superseded(model: Path, document: BundleDocument) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Files of probabilities in a model's folder that nobody reads, with the reason.

    Args:
        model: its folder.
        document: what the model is.

    Raises:
        WorkspaceError: the record of what the model held out cannot be parsed.
    """
    paths = tuple(sorted(path for path in folder_of(model).glob("[!.]*") if path.suffix in _ENDINGS and path.is_file()))
    if not paths:
        return
    if not is_scored(model):
        yield f"the held-out cases were not predicted to the end; {_AGAIN}", paths
        return
    record = read_record(model)
    if not _gave(document, record.model_digest):
        yield f"given by the model that was here before; {_AGAIN}", paths
        return
    unknown = tuple(path for path in paths if path.stem not in record.probabilities_sha256)
    if unknown:
        yield "of no case that the model held out", unknown


def _gave(document: BundleDocument, digest: str) -> bool:
    """Whether a model has a digest as of `Ensemble`, wherever it ran."""
    return any(
        digest == digest_of([(plan, document.weights_sha256)], mirror=True, precision=precision, device=device)
        for plan, precision, device in product(
            (document.plan_digest, document.plan.digest_in_0_1), ("float32", "bfloat16"), ("cpu", "cuda", "mps")
        )
    )
