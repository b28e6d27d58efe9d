"""What version 0.1 stored: a workspace with its data, an exported model and results (`tests/fixtures/v0_1/README.md`)."""

import shutil
from pathlib import Path
from typing import Final

STORED: Final = Path(__file__).parents[1] / "fixtures" / "v0_1"


def copy_of_0_1(root: Path) -> Path:
    """Copy all of it into a folder, in which the workspace `workspace` finds its data, whose paths are absolute in 0.1.

    Args:
        root: the folder, new or empty.

    Returns:
        the folder.
    """
    shutil.copytree(STORED, root, dirs_exist_ok=True)
    dataset = root / "workspace" / "dataset.json"
    dataset.write_text(dataset.read_text().replace('"/data', f'"{root}/data'))
    return root
