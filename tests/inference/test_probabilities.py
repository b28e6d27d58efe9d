import numpy as np
import pytest

from autoseg.inference.probabilities import SMALLEST, decode_mean, encode


def test_probabilities_are_rounded_to_the_nearest_of_256_steps() -> None:
    probabilities = np.array([0.0, 1 / 255, 1.4 / 255, 1.6 / 255, 0.5, 1.0], np.float32)
    assert encode(probabilities).tolist() == [0, 1, 1, 2, 128, 255]  # 127.5 goes to the even neighbour
    assert encode(probabilities).dtype == np.uint8


def test_the_smallest_probability_is_where_storing_starts() -> None:
    assert encode(np.array([0.99 * SMALLEST, 1.01 * SMALLEST], np.float32)).tolist() == [0, 1]


def test_networks_count_alike_in_the_mean() -> None:
    mean = decode_mean([[np.array([255, 0, 51], np.uint8)], [np.array([255, 255, 0], np.uint8)]])
    assert mean.dtype == np.float32
    assert mean.tolist() == pytest.approx([1.0, 0.5, 0.1])


def test_the_mean_of_many_does_not_overflow() -> None:
    assert decode_mean([[np.full(3, 255, np.uint8)]] * 257).tolist() == [1.0, 1.0, 1.0]
    assert decode_mean([[np.full(3, 255, np.uint8)] * count for count in (1, 7, 11, 13)]).tolist() == [1.0, 1.0, 1.0]


def test_arrays_of_one_network_count_as_one() -> None:
    none, full = np.array([0], np.uint8), np.array([255], np.uint8)
    assert decode_mean([[none, full, full], [none]]).tolist() == pytest.approx([1 / 3])
    assert decode_mean([[full, none], [full, full, full]]).tolist() == [0.75]


def test_a_mean_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs networks"):
        decode_mean([])
