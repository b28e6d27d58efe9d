"""From the cross-validation to one model: which networks, which clean-up, and how good its results will be."""
