"""From the cross-validation to one model: which networks, which postprocessing, and how good its results will be."""
