"""Trees of files without content, for what looks at names only."""

from pathlib import Path


def touch(root: Path, *names: str) -> Path:
    """Make empty files and the folders they need below `root`, which is given back."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root
