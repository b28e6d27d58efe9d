"""Held-out cases: predicted once after training by a model that never saw them, and read back as often as needed.

`files` says what a model keeps of them, `predicting` writes it (and needs torch), `cases` reads it back.
"""

from autoseg.postprocessing.held_out.cases import (
    HeldOutCase,
    expectations,
    label_map,
    mean_probabilities,
    postprocessed,
    score_choices,
    score_postprocessed,
    verify,
)
from autoseg.postprocessing.held_out.files import (
    Record,
    found_probabilities_files,
    keeps_probabilities,
    label_map_file,
    predict_again,
    probabilities_files,
    read_record,
    read_scores,
)
from autoseg.postprocessing.held_out.shown import shown_files, verify_scored, verify_shown, write_shown
from autoseg.postprocessing.scored import folder_of, is_scored

__all__ = [
    "HeldOutCase",
    "Record",
    "expectations",
    "folder_of",
    "found_probabilities_files",
    "is_scored",
    "keeps_probabilities",
    "label_map",
    "label_map_file",
    "mean_probabilities",
    "postprocessed",
    "predict_again",
    "probabilities_files",
    "read_record",
    "read_scores",
    "score_choices",
    "score_postprocessed",
    "shown_files",
    "verify",
    "verify_scored",
    "verify_shown",
    "write_shown",
]
