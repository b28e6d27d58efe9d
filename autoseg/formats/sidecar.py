"""The voxel spacing of pictures in a `.json` beside them.

Source: nnU-Net v2's documentation of its data set format: `<id>.json` beside `<id>_0000.tif` and `<id>.tif` holds
`{"spacing": [...]}`, three numbers. By the documentation they run along X, Y, Z, by its reader along Z, Y, X; so
the two that are equal tell which is meant.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autoseg.errors import ImageError
from autoseg.formats.units import stated_mm

_CHANNEL: Final = re.compile(r"_\d{4}$")
_KEY: Final = "spacing"
_MOST_BYTES: Final = 1 << 26
"""Of a document. Source: chosen; annotation programs put whole pictures into theirs."""

_REMEDY: Final = (
    'Write {"spacing": [Z, Y, X]} with three numbers in mm, those of rows and columns alike, or remove the file.'
)


@dataclass(frozen=True)
class Beside:
    """A spacing stated beside a picture, (Z, Y, X), and where."""

    path: Path
    spacing_mm: tuple[float, float, float]


def sidecar(picture: Path) -> Path | None:
    """The document beside a picture that states its spacing; None where none does.

    Raises:
        ImageError: a document of that name is no JSON.
    """
    for path in map(picture.with_name, sidecar_names(picture)):
        if path.is_file() and _KEY in _read(path):
            return path
    return None


def sidecar_names(picture: Path) -> tuple[str, ...]:
    """What a document beside a picture may be called, the first that states a spacing counts."""
    stem = picture.name.removesuffix(picture.suffix)
    return tuple(dict.fromkeys((f"{stem}.json", f"{_CHANNEL.sub('', stem)}.json")))


def spacing_beside(picture: Path, *, pages: int) -> Beside | None:
    """The spacing that a `.json` beside a picture states.

    Args:
        picture: the file.
        pages: its slices; the spacing across a single one is of no account.

    Returns:
        None where there is no such document, or it states none.

    Raises:
        ImageError: the document cannot be understood, or fits both orders of axes.
    """
    path = sidecar(picture)
    if path is None:
        return None
    document = _read(path)
    numbers = document[_KEY]
    usable = isinstance(numbers, list) and all(type(side) in {int, float} and 0 < side < math.inf for side in numbers)
    if not usable or len(numbers) not in ({3} if pages > 1 else {2, 3}):
        raise _refused(path, numbers, expected="three numbers > 0")
    unit_mm = stated_mm(str(document.get("unit", "")), where=path)
    across, rows, columns = _ordered(path, numbers)
    return Beside(path, (across * unit_mm, rows * unit_mm, columns * unit_mm))


def _ordered(path: Path, numbers: list[float]) -> tuple[float, float, float]:
    """The numbers along (Z, Y, X): pixels are square, so the number that has no equal is that of Z."""
    if len(numbers) == 2 and math.isclose(numbers[0], numbers[1]):
        return 1.0, numbers[0], numbers[1]
    if len(numbers) == 3 and math.isclose(numbers[1], numbers[2]):
        return numbers[0], numbers[1], numbers[2]
    if len(numbers) == 3 and math.isclose(numbers[0], numbers[1]):
        return numbers[2], numbers[1], numbers[0]
    raise _refused(path, numbers, expected="equal numbers for rows and columns, because others fit Z, Y, X and X, Y, Z")


def _refused(path: Path, found: Any, *, expected: str) -> ImageError:
    return ImageError(
        f"`{_KEY}` states no spacing", where=path, expected=expected, found=json.dumps(found)[:200], remedy=_REMEDY
    )


def _read(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ImageError("too large", where=path, expected=f"at most {_MOST_BYTES} bytes", found=size, remedy=_REMEDY)
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as cause:
        raise ImageError(f"not a JSON document ({cause})", where=path, remedy=_REMEDY) from None
    return document if isinstance(document, dict) else {}
