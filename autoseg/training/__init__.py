"""The trainer: one loop for every network, driven by the plan, repeatable and resumable."""
