"""What logits mean, in torch: the same as `autoseg.data.labels` says for arrays."""

import numpy as np
import torch

from autoseg.data.labels import LabelEncoding
from autoseg.model.encoding import TensorEncoding

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
