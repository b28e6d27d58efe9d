"""Turning, scaling and shifting, as matrices that say where in an image each pixel of the changed one comes from."""

import numpy as np
from numpy.typing import NDArray


def matrices(
    *,
    angle: NDArray[np.float64],
    zoom: NDArray[np.float64],
    shift: NDArray[np.float64],
    sides: tuple[int, int],
    aspect: NDArray[np.float64] | float = 1.0,
) -> NDArray[np.float64]:
    """One matrix per image, from output to input, in the coordinates of torch's `grid_sample`: (x, y) in [-1, 1].

    Args:
        angle: of rotation, (B,), in radians.
        zoom: magnification, (B,), > 0.
        shift: displacement along (x, y) as a fraction of half the image, (B, 2).
        sides: height and width, of the output as of the input.
        aspect: height of a pixel over its width, (B,): a rotation turns millimetres. 1: it turns pixels, and shears where
            these are not square.

    Returns:
        (B, 2, 3), float64.
    """
    height, width = sides
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    rows = [
        [cosine, -sine * aspect * height / width, shift[:, 0]],
        [sine * width / height / aspect, cosine, shift[:, 1]],
    ]
    return np.moveaxis(np.array(rows), -1, 0)  # (B, 2, 3)


def flipped(matrix: NDArray[np.float64], *, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The same followed by a reversal of rows, of columns or of both, image by image.

    Args:
        matrix: (B, 2, 3).
        rows: whether rows are reversed, (B,).
        columns: whether columns are, (B,).
    """
    signs = np.stack([np.where(columns, -1.0, 1.0), np.where(rows, -1.0, 1.0), np.ones(len(matrix))], axis=-1)
    mirrored: NDArray[np.float64] = matrix * signs[:, np.newaxis]  # (B, 2, 3)
    return mirrored


def from_canvas(
    matrix: NDArray[np.float64], *, start: NDArray[np.int64], sides: tuple[int, int], canvas: tuple[int, int]
) -> NDArray[np.float64]:
    """The same for images that are a part of a larger canvas, or hang over its sides.

    Args:
        matrix: from output to the part, (B, 2, 3).
        start: row and column of the canvas at which the part begins, (B, 2); may be negative.
        sides: height and width of the part.
        canvas: those of the canvas.

    Returns:
        from output to canvas, (B, 2, 3).
    """
    part, whole = np.array(sides[::-1], dtype=np.float64), np.array(canvas[::-1], dtype=np.float64)  # (x, y)
    scaled = matrix * (part / whole)[:, np.newaxis]
    # Pixel p lies at (2 p + 1) / n - 1; so the centre of the part lies at (2 start + part) / whole - 1.
    scaled[:, :, 2] += (2.0 * start[:, ::-1] + part) / whole - 1.0
    return scaled
