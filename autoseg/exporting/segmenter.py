"""An exported model, ready to segment."""

from pathlib import Path

from autoseg.events import Events
from autoseg.exporting.document import read_exported
from autoseg.inference.ensemble import make_ensemble
from autoseg.inference.segmenter import Segmenter
from autoseg.model.compute import Compute
from autoseg.postprocessing.in_use import make_segmenter


def exported_segmenter(path: Path, *, compute: Compute, mirror: bool, events: Events) -> Segmenter:
    """An exported model with its postprocessing.

    Raises:
        BundleError: not an exported model, damaged, or written by a newer autoseg.
    """
    model = read_exported(path)
    ensemble = make_ensemble(model.bundles, compute=compute, mirror=mirror)
    return make_segmenter(ensemble, model.description.selection, model.description.fingerprint, events=events)
