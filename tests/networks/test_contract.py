"""What every architecture of the table owes to its users, with either stem. A new entry is picked up by itself."""

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autoseg import catalogue
from autoseg.catalogue import NETWORKS
from autoseg.networks import build_network
from autoseg.networks.blocks import SegmentationNetwork
from autoseg.planning.memory import bytes_per_pixel
from autoseg.planning.sections import NetworkSection

SMALL = NetworkSection(features=(4, 8, 12), convolutions=2, expansion=2, skips="add", deep_supervision=False)

pytestmark = pytest.mark.parametrize("architecture", NETWORKS)

STEMS = {
    "plain": SMALL,
    "space_to_depth": SMALL.model_copy(update={"features": (2, *SMALL.features), "stem": "space_to_depth"}),
}


@pytest.fixture(params=STEMS, autouse=True)
def stem(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> catalogue.Stem:
    """Either stem, around the same network."""
    monkeypatch.setitem(globals(), "SMALL", STEMS[request.param])
    chosen: catalogue.Stem = request.param
    return chosen


def small_network(architecture: catalogue.Architecture, *, in_channels: int = 1, classes: int = 3) -> SegmentationNetwork:
    torch.manual_seed(0)
    return build_network(architecture, in_channels=in_channels, classes=classes, size=SMALL)


def random_slices(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def settled_network(architecture: catalogue.Architecture) -> SegmentationNetwork:
    """In evaluation mode, with running statistics that are no longer the initial ones."""
    network = small_network(architecture)
    network(random_slices(4, 1, 24, 24))
    return network.eval()


def test_its_entry_says_what_reports_need(architecture: catalogue.Architecture) -> None:
    entry = NETWORKS[architecture]
    assert entry.title
    assert entry.phrase
    for reference in entry.references:  # an author that the phrase cites
        assert reference.split()[0] in entry.phrase


@pytest.mark.parametrize("side", [(37, 53), (5, 3), (64, 48), (1, 1), (1, 70)])
@pytest.mark.parametrize(("in_channels", "classes"), [(1, 5), (3, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_logits_have_the_size_of_the_slices(
    architecture: catalogue.Architecture, side: tuple[int, int], in_channels: int, classes: int, training: bool
) -> None:
    network = small_network(architecture, in_channels=in_channels, classes=classes).train(training)
    logits = network(random_slices(1, in_channels, *side))
    assert logits.shape == (1, classes, *side)
    assert logits.isfinite().all()


def test_logits_are_not_probabilities(architecture: catalogue.Architecture) -> None:
    logits = settled_network(architecture)(10 * random_slices(2, 1, 24, 24))
    assert logits.min() < 0
    assert not torch.allclose(logits.sum(dim=1), torch.ones(2, 24, 24), atol=0.1)


def test_gradient_reaches_every_parameter(architecture: catalogue.Architecture) -> None:
    network = small_network(architecture)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as if trained: with offsets of 0, some scales cancel in the next one
            nn.init.normal_(module.bias, std=0.3)
    target = torch.randint(0, 3, (2, 24, 24), generator=torch.Generator().manual_seed(2))
    F.cross_entropy(network(random_slices(2, 1, 24, 24)), target).backward()
    unreached = [
        name for name, parameter in network.named_parameters() if parameter.grad is None or parameter.grad.abs().max() < 1e-6
    ]
    assert unreached == []


@pytest.mark.parametrize("skips", ["add", "concatenate"])
@pytest.mark.parametrize("features", [(4, 8, 12), (16, 32)])
@pytest.mark.parametrize("expansion", [1.0, 2.0])
def test_its_entry_estimates_at_least_the_memory_a_step_keeps(
    architecture: catalogue.Architecture,
    features: tuple[int, ...],
    skips: catalogue.Skip,
    expansion: float,
    stem: catalogue.Stem,
) -> None:
    features = features if stem == "plain" else (1, *features)
    size = SMALL.model_copy(update={"features": features, "skips": skips, "expansion": expansion})
    network = build_network(architecture, in_channels=1, classes=3, size=size)
    slices = random_slices(2, 1, 32, 32)
    weights = {tensor.data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}  # by its memory, which several tensors may share; holding them keeps it from being reused

    def keep(tensor: Tensor) -> Tensor:
        if (address := tensor.untyped_storage().data_ptr()) not in weights:
            kept.setdefault(address, tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.forward_levels(slices)
    kept_bytes = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    estimate = bytes_per_pixel(
        features, convolutions=size.convolutions, expansion=expansion, stem=stem, networks=[NETWORKS[architecture]]
    )
    assert 0 < kept_bytes <= estimate * slices.numel()


def test_same_seed_same_network(architecture: catalogue.Architecture) -> None:
    one, other = small_network(architecture), small_network(architecture)
    slices = random_slices(2, 1, 17, 20)
    assert torch.equal(one(slices), other(slices))
    assert all(torch.equal(one.state_dict()[name], weights) for name, weights in other.state_dict().items())


def test_another_seed_another_network(architecture: catalogue.Architecture) -> None:
    one = small_network(architecture)
    other = build_network(architecture, in_channels=1, classes=3, size=SMALL)
    assert not torch.equal(one(random_slices(1, 1, 16, 16)), other(random_slices(1, 1, 16, 16)))


def test_weights_survive_storage(architecture: catalogue.Architecture) -> None:
    network = settled_network(architecture)
    stored = safetensors.torch.save(network.state_dict())
    restored = build_network(architecture, in_channels=1, classes=3, size=SMALL)
    restored.load_state_dict(safetensors.torch.load(stored))
    slices = random_slices(2, 1, 21, 30)
    assert torch.equal(restored.eval()(slices), network(slices))


def test_prediction_is_repeatable_and_leaves_no_trace(architecture: catalogue.Architecture) -> None:
    network = settled_network(architecture)
    before = {name: weights.clone() for name, weights in network.state_dict().items()}
    slices = random_slices(2, 1, 21, 30)
    assert torch.equal(network(slices), network(slices))
    assert all(torch.equal(before[name], weights) for name, weights in network.state_dict().items())


def test_forward_leaves_its_input_alone(architecture: catalogue.Architecture) -> None:
    slices = random_slices(2, 1, 24, 24)
    small_network(architecture)(slices)
    assert torch.equal(slices, random_slices(2, 1, 24, 24))


def test_prediction_of_a_slice_does_not_depend_on_its_batch(architecture: catalogue.Architecture) -> None:
    network = settled_network(architecture)
    slices = random_slices(3, 1, 24, 24)
    assert torch.allclose(network(slices)[1:2], network(slices[1:2]), atol=1e-5)


def test_memory_format_does_not_change_the_result(architecture: catalogue.Architecture) -> None:
    network = settled_network(architecture)
    slices = random_slices(2, 1, 21, 30)
    plain = network(slices)
    last = network.to(memory_format=torch.channels_last)(slices.to(memory_format=torch.channels_last))
    assert torch.allclose(plain, last, atol=1e-5)


def test_bfloat16_is_close(architecture: catalogue.Architecture) -> None:
    network = settled_network(architecture)
    slices = random_slices(2, 1, 24, 24)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(slices)
    exact = network(slices)
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


def blobs() -> tuple[Tensor, Tensor]:
    """Eight 32 x 32 slices with a bright and a dark disc on noise, and their classes 0 / 1 / 2."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    labels = torch.zeros(8, 32, 32, dtype=torch.long)
    for index in range(8):
        labels[index][(rows - 8 - index) ** 2 + (columns - 9) ** 2 < 30] = 1
        labels[index][(rows - 20) ** 2 + (columns - 14 - index) ** 2 < 25] = 2
    brightness = torch.tensor([0.0, 2.0, -2.0])[labels]
    return (brightness + 0.5 * random_slices(8, 32, 32)).unsqueeze(1), labels  # (8, 1, 32, 32), (8, 32, 32)


def test_it_learns(architecture: catalogue.Architecture) -> None:
    network = small_network(architecture)
    slices, labels = blobs()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(network(slices), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_without_deep_supervision_only_full_resolution_has_logits(architecture: catalogue.Architecture) -> None:
    network = settled_network(architecture)
    slices = random_slices(2, 1, 21, 30)
    (logits,) = network.forward_levels(slices)
    assert torch.equal(logits, network(slices))


def deeply_supervised(architecture: catalogue.Architecture) -> SegmentationNetwork:
    torch.manual_seed(0)
    size = SMALL.model_copy(update={"deep_supervision": True})
    return build_network(architecture, in_channels=1, classes=3, size=size)


def test_with_deep_supervision_every_decoder_level_has_logits(architecture: catalogue.Architecture) -> None:
    network = deeply_supervised(architecture).eval()
    slices = random_slices(2, 1, 21, 30)
    levels = network.forward_levels(slices)
    assert [tuple(level.shape) for level in levels] == [(2, 3, 21, 30), (2, 3, 11, 15)]
    assert torch.equal(levels[0], network(slices))


def test_deep_supervision_adds_one_small_convolution_per_coarser_level(
    architecture: catalogue.Architecture, stem: catalogue.Stem
) -> None:
    plain = sum(parameter.numel() for parameter in small_network(architecture).parameters())
    deep = sum(parameter.numel() for parameter in deeply_supervised(architecture).parameters())
    assert deep - plain == (8 * 3 + 3) * (1 if stem == "plain" else 4)


def test_coarse_logits_teach_the_coarse_levels(architecture: catalogue.Architecture) -> None:
    network = deeply_supervised(architecture)
    network.forward_levels(random_slices(2, 1, 24, 24))[1].square().mean().backward()
    reached = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert any("decoder.0" in name for name in reached)
    assert not any("decoder.1" in name for name in reached)
