"""Weights of one network in another: what is kept, what is reordered, and what is made of them."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autoseg.catalogue import NETWORKS
from autoseg.errors import UsageError
from autoseg.networks import build_network
from autoseg.networks.blocks import SegmentationNetwork
from autoseg.planning.plan import Plan
from autoseg.training.adapting import transfer

MakePlan = Callable[..., Plan]
CLASSES = [{"value": value, "name": name} for value, name in enumerate(("background", "left", "right"))]
OTHER_ORDER = [{"value": 0, "name": "background"}, {"value": 4, "name": "right"}, {"value": 9, "name": "left"}]
STEMS: list[dict[str, Any]] = [{}, {"stem": "space_to_depth", "features": [4, 8, 8]}]


@pytest.fixture
def planned(make_plan: MakePlan) -> Callable[..., Plan]:
    def make(*, channels: tuple[str, ...] = ("T1",), classes: Any = CLASSES, around: int = 0, **network: Any) -> Plan:
        return make_plan(
            data={"channels": channels, "classes": classes},
            views=[{"adjacent_slices": around}],
            network=network,
            training={"class_weights": [1.0] * len(classes)},
            preprocessing={"normalisation": [{"method": "none"}] * len(channels)},
            evaluation={"tolerances_mm": [1.0]},
        )

    return make


def network_of(plan: Plan, architecture: Any = "unet", *, seed: int = 0) -> SegmentationNetwork:
    torch.manual_seed(seed)
    encoding = plan.data.encoding
    network = build_network(architecture, in_channels=plan.input_channels, classes=encoding.logits, size=plan.network)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.01 * torch.rand_like(tensor))  # as learnt: nothing is 0 or 1 any more
    return network.eval()


def started(architecture: str, before: Plan, plan: Plan) -> tuple[SegmentationNetwork, SegmentationNetwork]:
    """A network, and another one that was started from it."""
    old, new = network_of(before, architecture), network_of(plan, architecture, seed=1)
    how = transfer(architecture, before=before, plan=plan, where="model")
    new.load_state_dict(how(old.state_dict(), new.state_dict()))
    return old, new


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("architecture", list(NETWORKS.built_in))
def test_classes_in_another_order_give_the_same_logits_in_that_order(
    planned: Callable[..., Plan], architecture: str, stem: dict[str, Any]
) -> None:
    size = {**stem, "deep_supervision": True}
    old, new = started(architecture, planned(**size), planned(classes=OTHER_ORDER, **size))
    slices = torch.rand(2, 1, 16, 24)
    for before, after in zip(old.forward_levels(slices), new.forward_levels(slices), strict=True):
        assert torch.equal(after, before[:, [0, 2, 1]])


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("architecture", list(NETWORKS.built_in))
def test_channels_in_another_order_are_read_where_they_are(
    planned: Callable[..., Plan], architecture: str, stem: dict[str, Any]
) -> None:
    before, after = planned(channels=("T1", "T2"), around=1, **stem), planned(channels=("T2", "T1"), around=1, **stem)
    old, new = started(architecture, before, after)
    slices = torch.rand(1, 6, 16, 24)  # T1 of three slices, then T2
    assert torch.allclose(new(slices[:, [3, 4, 5, 0, 1, 2]]), old(slices), atol=1e-6)


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("architecture", list(NETWORKS.built_in))
def test_other_channels_that_show_the_same_give_what_one_gave(
    planned: Callable[..., Plan], architecture: str, stem: dict[str, Any]
) -> None:
    old, new = started(architecture, planned(**stem), planned(channels=("FLAIR", "T2"), around=1, **stem))
    slices = torch.rand(1, 1, 16, 24)
    assert torch.allclose(new(slices.repeat(1, 6, 1, 1)), old(slices), atol=1e-5)


def test_a_channel_of_the_same_name_keeps_its_weights_and_a_new_one_gets_the_mean(planned: Callable[..., Plan]) -> None:
    before = planned(channels=("T1", "T2"))
    old, new = started("unet", before, planned(channels=("PD", "T2", "T1")))
    name = next(name for name, tensor in old.state_dict().items() if tensor.shape[1:2] == (2,))
    was, is_ = old.state_dict()[name], new.state_dict()[name]
    assert torch.allclose(is_[:, 1:], was[:, [1, 0]] * 2 / 3)
    assert torch.allclose(is_[:, 0], was.mean(dim=1) * 2 / 3)


def test_other_classes_have_last_layers_as_they_were_drawn_and_nothing_else_is_new(planned: Callable[..., Plan]) -> None:
    before, plan = planned(), planned(classes=[*CLASSES, {"value": 3, "name": "lesion"}])
    drawn = network_of(plan, seed=1).state_dict()
    old, new = (network.state_dict() for network in started("unet", before, plan))
    heads = {name for name in new if name.startswith("heads.")}
    assert heads
    assert all(torch.equal(new[name], drawn[name] if name in heads else old[name]) for name in new)
    how = transfer("unet", before=before, plan=plan, where="model")
    assert (how.classes_kept, how.channels_kept) == (False, True)


def test_regions_are_no_classes_that_exclude_one_another(planned: Callable[..., Plan]) -> None:
    regions = [
        CLASSES[0],
        {"value": 1, "name": "left", "values": [1, 2], "order": 0},
        {"value": 2, "name": "right", "values": [2], "order": 1},
    ]
    nested = planned(classes=regions)
    assert nested.data.encoding.logits == 2
    assert not transfer("unet", before=planned(), plan=nested, where="model").classes_kept
    assert transfer("unet", before=nested, plan=nested, where="model").classes_kept


@pytest.mark.parametrize(
    ("size", "found"),
    [
        ({"features": [4, 16]}, "network.features [4,16]"),
        ({"features": [4, 8, 8]}, "network.features [4,8,8]"),
        ({"convolutions": 2}, "network.convolutions 2"),
        ({"deep_supervision": True, "features": [4, 8, 8]}, "network.features [4,8,8], network.deep_supervision true"),
        ({"stem": "space_to_depth", "features": [4, 8, 8]}, 'network.features [4,8,8], network.stem "space_to_depth"'),
    ],
)
def test_other_sizes_are_refused(planned: Callable[..., Plan], size: dict[str, Any], found: str) -> None:
    with pytest.raises(UsageError, match="of other sizes than the plan's") as refused:
        transfer("unet", before=planned(**size), plan=planned(), where="model")
    assert (refused.value.where, refused.value.found) == ("model", found)


def test_a_size_that_a_network_does_not_have_need_not_agree(planned: Callable[..., Plan]) -> None:
    assert transfer("unet", before=planned(expansion=4.0), plan=planned(), where="model").classes_kept
    with pytest.raises(UsageError, match="of other sizes"):
        transfer("sepres", before=planned(expansion=4.0), plan=planned(), where="model")


class _Tied(SegmentationNetwork):
    """A network whose last layer has the classes twice, so that nothing says which of its weights belong to one."""

    def __init__(self, *, in_channels: int, classes: int, size: Any) -> None:
        super().__init__()
        self.body = nn.Conv2d(in_channels, size.features[0], 1)
        self.head = nn.Conv2d(size.features[0], 2 * classes, 1)

    def forward_levels(self, slices: Tensor) -> list[Tensor]:
        first, second = self.head(self.body(slices)).chunk(2, dim=1)
        return [first + second]


def test_a_network_of_a_package_is_refused_where_its_last_layer_cannot_be_told(
    planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(_: str, **parts: Any) -> SegmentationNetwork:
        return _Tied(**parts)

    monkeypatch.setattr("autoseg.training.adapting.build_network", build)
    others: Mapping[str, Any] = {"channels": ("FLAIR", "T2")}
    assert not transfer("unet", before=planned(), plan=planned(**others), where="model").channels_kept
    assert transfer("unet", before=planned(), plan=planned(), where="model").classes_kept
    with pytest.raises(UsageError, match="its classes are others than the plan's") as refused:
        transfer("unet", before=planned(), plan=planned(classes=OTHER_ORDER), where="model")
    assert refused.value.found in {"head.weight", "head.bias"}
