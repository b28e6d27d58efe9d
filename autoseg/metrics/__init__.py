"""How well two masks agree, as pure functions: numpy arrays in, numbers out. Definitions: docs/reference/metrics.md."""
