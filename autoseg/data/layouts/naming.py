"""What a data set is called."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_PREFIX: Final = re.compile(r"^(Dataset|Task)\d+_(?=.)")


def dataset_name(root: Path, document: Mapping[str, Any]) -> str:
    """The name a description gives, else the folder's without a prefix such as `Task04_` or `Dataset001_`."""
    given = document.get("name")
    name = given if isinstance(given, str) and given.strip() else _PREFIX.sub("", root.name)
    # The name becomes a folder's.
    return re.sub(r"[^\w.-]+", "_", name.strip()).strip("._") or "dataset"
