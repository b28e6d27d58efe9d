"""The planner: look at the data, decide everything, say why. Never loads torch."""
