"""Whether what a command left behind is whole, whatever ended it."""

import json
from pathlib import Path

import numpy as np
from oracles.stored_probabilities import read_whole

from autoseg.exporting.document import read_exported
from autoseg.images.image import read_labels, verify_file
from autoseg.model.bundle import load_bundle
from autoseg.planning.plan import read_plan
from autoseg.postprocessing.selection import read_selection


def read_everything(folder: Path) -> None:
    """Read every result below a folder to its end; hidden files and what lies in `data/` are left out.

    Raises:
        AutosegError, ValueError, OSError: one is not whole.
    """
    for path in folder.rglob("*"):
        if not path.is_file() or path.name.startswith(".") or "data" in path.relative_to(folder).parts[:1]:
            continue
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in {".npy", ".npz"}:
            np.load(path, allow_pickle=False) if path.suffix == ".npy" else read_whole(path)
        elif path.name.endswith(".nii.gz"):
            verify_file(path) if {"uncertainty", "probabilities"} & set(path.parts) else read_labels(path)
        elif path.suffix == ".autoseg":
            read_exported(path)
        elif path.name == "plan.json":
            read_plan(path)
        elif path.name == "selection.json":
            read_selection(path)
        if path.name == "bundle.json":
            load_bundle(path.parent)
