"""From a scan to the slices a network sees, and exactly back. Never loads torch."""
