from collections.abc import Callable

import pytest
import torch

from autoseg.model.padding import Padding
from autoseg.planning.plan import Plan

MakePlan = Callable[..., Plan]


def test_slices_are_extended_at_their_ends_by_the_darkest_value_of_their_channel() -> None:
    images = torch.ones((1, 4, 3, 6))  # two channels, each with an adjacent slice
    extended = Padding(divisor=4, values=(-1.0, -2.0)).extend(images)
    assert extended.shape == (1, 4, 8, 8)
    assert torch.equal(extended[..., :3, :6], images)
    outside = torch.ones(8, 8, dtype=torch.bool)
    outside[:3, :6] = False
    assert [set(channel[outside].tolist()) for channel in extended[0]] == [{-1.0}, {-1.0}, {-2.0}, {-2.0}]


@pytest.mark.parametrize(("padding", "size"), [(Padding(4), (3, 6)), (Padding(4, (0.0,)), (8, 12))])
def test_what_the_network_extends_itself_or_fits_stays(padding: Padding, size: tuple[int, int]) -> None:
    images = torch.ones((1, 1, *size))
    assert padding.extend(images) is images


def test_the_plan_says_which(make_plan: MakePlan) -> None:
    assert Padding.of(make_plan(), ()) == Padding(2)
    darkest = make_plan(prediction={"padding": "darkest"})
    assert Padding.of(darkest, (-1.5,)) == Padding(2, (-1.5,))
    with pytest.raises(ValueError, match="1 channel"):
        Padding.of(darkest, ())
