"""Which numbers pass as intensities; counts and positions worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import ImageError
from autoseg.formats.finite import check_finite


def test_values_that_are_not_finite_are_counted_with_the_first_position() -> None:
    array = np.zeros((2, 3, 4, 5), dtype=np.float32)
    array[1, 2, 0, 4] = np.nan
    array[1, 2, 3, 1] = -np.inf
    with pytest.raises(ImageError, match=r"second: .* found 2 NaN or infinite, the first at \(2, 0, 4\) \(Z, Y, X\)"):
        check_finite(array, [Path("first"), Path("second")])
    check_finite(array[:1], [Path("first")])


@pytest.mark.parametrize("optional", [True, False])
def test_the_option_is_named_where_there_is_one(*, optional: bool) -> None:
    with pytest.raises(ImageError) as caught:
        check_finite(np.full((1, 1, 1, 1), np.nan, np.float32), [Path("a")], optional=optional)
    assert ("--not-finite zero" in str(caught.value)) == optional
