"""What the report is about: gathered once, for every part of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.catalogue import NETWORKS, Architecture
from autoseg.data.dataset import Dataset
from autoseg.evaluation.cases import CaseMetrics
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.postprocessing import held_out
from autoseg.postprocessing.scoring import case_means
from autoseg.postprocessing.selection import Selection
from autoseg.runs.inventory import FinishedModel, Inventory


@dataclass(frozen=True)
class Findings:
    """Everything the page is made from.

    Attributes:
        dataset: the cases.
        fingerprint: the labelled ones in numbers.
        plan: the plan.
        inventory: what was trained.
        scores: by network, of every case held out by the cross-validation; of the official split where there is none.
        models: by network, the models these scores are of.
        cases: what the cases are, in words.
        selection: what was selected, or None.
        selected: scores of the selection, by case.
        label_maps: folder of the selection's label maps.
        figures: files of figures, by name without suffix.
    """

    dataset: Dataset
    fingerprint: Fingerprint
    plan: Plan
    inventory: Inventory
    scores: Mapping[Architecture, Sequence[CaseMetrics]]
    models: Mapping[Architecture, Sequence[FinishedModel]]
    cases: str
    selection: Selection | None
    selected: Sequence[CaseMetrics]
    label_maps: Path
    figures: Sequence[Path]

    @property
    def titled(self) -> dict[str, Sequence[CaseMetrics]]:
        """Scores by the networks' names for people."""
        return {NETWORKS[name].title: cases for name, cases in self.scores.items()}

    @property
    def best(self) -> tuple[str, Sequence[CaseMetrics]]:
        """What the report is about above all, with its scores: the selection, else the best network."""
        if self.selection is not None:
            return "the selection", self.selected
        if not self.scores:
            return "", ()
        return NETWORKS[self._best_network].title, self.scores[self._best_network]

    def prediction_file(self, case_id: str) -> Path:
        """The label map of a held-out case by what is best."""
        if self.selection is not None:
            return self.label_maps / f"{case_id}.nii.gz"
        candidates = [held_out.label_map_file(model.folder, case_id) for model in self.models[self._best_network]]
        return next(path for path in candidates if path.exists())

    @property
    def _best_network(self) -> Architecture:
        def merit(name: Architecture) -> tuple[int, float]:
            return len(self.scores[name]), float(np.nanmean(case_means(self.scores[name], "dice")))

        return max(self.scores, key=merit)
