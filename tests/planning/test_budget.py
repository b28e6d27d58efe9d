import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.planning.budget import WIDTHS, base_features

DEVICES = st.sampled_from(["cpu", "gpu"])


def width(minutes, *, speed_kpx_s=512, pixels=8e6, device="cpu"):
    return base_features(pixels, minutes=minutes, speed_kpx_s=speed_kpx_s, device=device).value


@pytest.mark.parametrize(("minutes", "features"), [(1, 12), (5, 16), (20, 16), (60, 24), (240, 32)])
def test_crossing_points_of_small_slices(minutes, features):
    # 512 thousand pixels a second pass over 8 million pixels 3.84 times in a minute.
    assert width(minutes) == features


def test_a_width_is_taken_where_slices_are_seen_often_enough():
    # One pass takes a second; a network of 32 features takes 2 ** 1.5 = 2.83 times as long, one of 8 features 0.354 times.
    def at_a_pass_a_second(minutes):
        return width(minutes, speed_kpx_s=1000, pixels=1e6)

    assert at_a_pass_a_second(100 * 2.829 / 60) == 32
    assert at_a_pass_a_second(100 * 2.828 / 60) == 24
    assert at_a_pass_a_second(5 / 60) == 16
    assert at_a_pass_a_second(4.99 / 60) == 12
    assert at_a_pass_a_second(0.01 / 60) == 8


def test_a_gpu_has_widths_of_its_own():
    assert width(0.001, device="gpu") == 16
    assert width(1, speed_kpx_s=16_384, device="gpu") == 32
    assert width(60, speed_kpx_s=16_384, device="gpu") == 48


@given(minutes=st.floats(0.01, 1e5), more=st.floats(1, 100), speed_kpx_s=st.floats(1, 1e6), device=DEVICES)
def test_more_time_or_speed_never_makes_networks_narrower(minutes, more, speed_kpx_s, device):
    before = width(minutes, speed_kpx_s=speed_kpx_s, device=device)
    assert before in WIDTHS[device]
    assert width(minutes * more, speed_kpx_s=speed_kpx_s, device=device) >= before
    assert width(minutes, speed_kpx_s=speed_kpx_s * more, device=device) >= before


def test_why_so_wide():
    assert base_features(8e6, minutes=60, speed_kpx_s=512, device="cpu").reason == (
        "At 512 thousand pixels a second, 60 minutes show each slice 230 times to a network of 16 features and 125 times "
        "to one of 24; more than 16 are taken from 100 times on, fewer below 5, which is chosen and not measured."
    )
    assert "show each slice 19.2 times to a network of 16 features; more" in (
        base_features(8e6, minutes=5, speed_kpx_s=512, device="cpu").reason
    )
