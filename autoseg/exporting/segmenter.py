"""An exported model, ready to segment."""

from pathlib import Path

from autoseg.events import Events
from autoseg.exporting.document import read_exported
from autoseg.inference.ensemble import make_ensemble
from autoseg.inference.segmenter import Segmenter
from autoseg.model.compute import Compute
from autoseg.postprocessing.in_use import make_segmenter


def exported_segmenter(path: Path, *, compute: Compute, mirror: bool, memory_gb: float, events: Events) -> Segmenter:
    """An exported model with its postprocessing, which may take so much memory, in GB, to segment a scan.

    Raises:
        BundleError: not an exported model, damaged, or written by a newer autoseg.
        MemoryLimitError: its weights do not fit into the memory.
    """
    model = read_exported(path, memory_gb=memory_gb)
    ensemble = make_ensemble(model.bundles, compute=compute, mirror=mirror)
    description = model.description
    return make_segmenter(ensemble, description.selection, description.fingerprint, memory_gb=memory_gb, events=events)
