"""What logits mean, in torch: the same as `autoseg.data.labels` says for arrays."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from autoseg.data.labels import LabelEncoding
from autoseg.model.encoding import RegionEncoding, TensorEncoding
from autoseg.planning.plan import Plan

ENCODING = TensorEncoding(LabelEncoding((0, 2, 5)))
LOGITS = torch.randn((2, 3, 4, 5), generator=torch.Generator().manual_seed(0))


def test_probabilities_are_the_softmax_and_so_is_the_layer_of_an_exported_network() -> None:
    powers = LOGITS.exp()
    torch.testing.assert_close(ENCODING.probabilities(LOGITS), powers / powers.sum(dim=1, keepdim=True))
    assert torch.equal(ENCODING.activation()(LOGITS), ENCODING.probabilities(LOGITS))


def test_a_prediction_is_the_target_of_the_labels_that_the_probabilities_speak_for() -> None:
    prediction = ENCODING.prediction(LOGITS)
    assert prediction.dtype == torch.int64
    probabilities = np.moveaxis(ENCODING.probabilities(LOGITS).numpy(), 1, 0)  # (K, B, H, W)
    np.testing.assert_array_equal(ENCODING.labels.targets(ENCODING.labels.labels(probabilities)), prediction.numpy())


def test_memberships_by_hand() -> None:
    found = ENCODING.memberships(torch.tensor([[[0, 2]]]), dtype=torch.float32)  # (1, 1, 2)
    assert found.tolist() == [[[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]]]


@pytest.fixture
def shifted(make_plan: Callable[..., Plan]) -> TensorEncoding:
    """Of a plan with the class weights 1 and 4, whose probabilities are divided by 1 and 2."""
    return TensorEncoding.of(make_plan(training={"class_weights": [1.0, 4.0]}, prediction={"prior_power": 0.5}))


def test_probabilities_are_divided_by_the_weights_to_the_power_and_sum_to_1(shifted: TensorEncoding) -> None:
    logits = torch.log(torch.tensor([0.4, 0.6]))[None, :, None, None]  # (1, 2, 1, 1)
    divided = torch.tensor([0.4, 0.6 / 2])[None, :, None, None]
    torch.testing.assert_close(shifted.probabilities(logits), divided / 0.7)
    assert ENCODING.prediction(logits).item() == 1
    assert shifted.prediction(logits).item() == 0


def test_an_exported_network_ends_in_the_shifted_probabilities(shifted: TensorEncoding) -> None:
    logits = LOGITS[:, :2]
    assert torch.equal(shifted.activation()(logits), shifted.probabilities(logits))
    assert not torch.allclose(shifted.probabilities(logits), torch.softmax(logits, dim=1))


def test_losses_see_what_networks_give(shifted: TensorEncoding) -> None:
    logits = LOGITS[:, :2]
    assert torch.equal(shifted.of_losses.probabilities(logits), torch.softmax(logits, dim=1))


def test_without_a_power_nothing_is_added(tiny_plan: Plan) -> None:
    encoding = TensorEncoding.of(tiny_plan)
    assert encoding.log_shift == ()
    assert torch.equal(encoding.probabilities(LOGITS), torch.softmax(LOGITS, dim=1))


def test_a_shift_made_while_predicting_serves_while_training(shifted: TensorEncoding) -> None:
    with torch.inference_mode():
        shifted.probabilities(LOGITS[:, :2])
    logits = LOGITS[:, :2].clone().requires_grad_()
    shifted.probabilities(logits)[:, 0].sum().backward()
    assert logits.grad is not None
    assert bool(logits.grad.any())


def test_an_ignored_voxel_is_in_no_class() -> None:
    encoding = TensorEncoding(LabelEncoding((0, 2, 5), ignore=9))
    found = encoding.memberships(torch.tensor([[[0, 2, 3]]]), dtype=torch.float32)  # (1, 1, 3)
    assert found[0, :, 0].T.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


NESTED = LabelEncoding((0, 1, 2, 4), regions=((1, 2, 4), (2, 4), (4,)), written=(1, 2, 3), ignore=9)
REGIONS = RegionEncoding(NESTED)


def test_regions_have_a_sigmoid_each_and_the_background_what_the_likeliest_leaves() -> None:
    logits = torch.logit(torch.tensor([0.9, 0.2, 0.3]))[None, :, None, None]  # (1, 3, 1, 1)
    torch.testing.assert_close(REGIONS.probabilities(logits).flatten(), torch.tensor([0.1, 0.9, 0.2, 0.3]))
    assert torch.equal(REGIONS.activation()(LOGITS), REGIONS.probabilities(LOGITS))


def test_a_prediction_of_regions_is_the_target_of_the_labels_that_their_probabilities_speak_for() -> None:
    prediction = REGIONS.prediction(LOGITS)
    assert prediction.dtype == torch.int64
    assert set(prediction.unique().tolist()) == {0, 1, 2, 3}
    probabilities = np.moveaxis(REGIONS.probabilities(LOGITS).numpy(), 1, 0)  # (K, B, H, W)
    np.testing.assert_array_equal(NESTED.targets(NESTED.labels(probabilities)), prediction.numpy())


def test_a_voxel_is_in_every_region_around_it_and_in_none_where_nobody_labelled() -> None:
    found = REGIONS.memberships(torch.tensor([[[0, 2, NESTED.ignored]]]), dtype=torch.float32)  # (1, 1, 3)
    assert found[0, :, 0].T.tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("encoding", [ENCODING, TensorEncoding(LabelEncoding((0, 2, 5), ignore=9)), REGIONS])
def test_memberships_lie_in_memory_as_the_maps_they_are_combined_with(
    encoding: TensorEncoding, memory_format: torch.memory_format
) -> None:
    target = torch.randint(encoding.labels.channels, (2, 5, 4), generator=torch.Generator().manual_seed(0))
    found = encoding.memberships(target, dtype=torch.float32, memory_format=memory_format)
    maps = torch.empty((2, encoding.labels.channels, 5, 4), memory_format=memory_format)
    assert (found.shape, found.stride(), found.dtype) == (maps.shape, maps.stride(), torch.float32)
    expected = torch.from_numpy(encoding.labels.members)[target].movedim(-1, 1)
    assert torch.equal(found, expected.float())


def test_the_shift_of_a_region_undoes_the_weight_of_its_voxels() -> None:
    """At power 1: of the probability that minimises the weighted cross-entropy comes the fraction of voxels inside.

    Beside a voxel of a region are those of the region around it, or of the background.
    """
    power, weights, inside = 1.0, [2.0, 3.0, 8.0, 1.0], torch.tensor([0.3, 0.1, 0.02])
    encoding = RegionEncoding(NESTED, tuple(-power * math.log(weight) for weight in weights))
    own, around = torch.tensor(weights[1:]), torch.tensor(weights[:3])
    best = own * inside / (own * inside + around * (1 - inside))
    found = encoding.probabilities(torch.logit(best)[None, :, None, None])[0, :, 0, 0]
    torch.testing.assert_close(found, torch.tensor([0.7, *inside.tolist()]))
    torch.testing.assert_close(encoding.activation()(torch.logit(best)[None, :, None, None])[0, :, 0, 0], found)
    assert isinstance(encoding.of_losses, RegionEncoding)
    assert encoding.of_losses.log_shift == ()


def test_a_plan_with_regions_has_their_encoding(make_plan: Callable[..., Plan]) -> None:
    regions = [{"value": 0, "name": "background"}, {"value": 1, "name": "whole", "values": [1], "order": 0}]
    encoding = TensorEncoding.of(make_plan(data={"classes": regions}))
    assert isinstance(encoding, RegionEncoding)
    assert encoding.labels.logits == 1
