"""The workspace and what was trained in it."""
