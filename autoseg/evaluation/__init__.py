"""Predictions compared with references: which belong together, how each class scores, and the tables of it."""
