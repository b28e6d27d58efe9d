import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.planning import sizing
from autoseg.planning.slicing import Stack

SIDES = st.integers(1, 2000)
DEVICES = st.sampled_from(["cpu", "gpu"])


def stacks(*sizes: tuple[int, int]) -> list[Stack]:
    return [Stack(slices=10, rows_px=rows, columns_px=columns) for rows, columns in sizes]


@pytest.mark.parametrize(
    ("side", "cpu", "gpu"),
    [(1, 2, 2), (8, 2, 2), (16, 3, 3), (31, 3, 3), (32, 4, 4), (35, 4, 4), (64, 5, 5), (128, 5, 6), (2000, 5, 6)],
)
def test_levels_by_the_side_of_a_slice(side, cpu, gpu):
    assert len(sizing.features(stacks((side, side)), device="cpu").value) == cpu
    assert len(sizing.features(stacks((side, side)), device="gpu").value) == gpu


def test_features_double_up_to_their_limit():
    assert sizing.features(stacks((160, 150)), device="cpu").value == (16, 32, 64, 128, 256)
    assert sizing.features(stacks((160, 150)), device="gpu").value == (32, 64, 128, 256, 512, 512)


def test_levels_follow_the_median_case_not_an_outlier():
    assert len(sizing.features(stacks((35, 35), (36, 36), (5, 5)), device="cpu").value) == 4


@given(side=st.integers(1, 1000), more=st.integers(0, 1000), device=DEVICES)
def test_larger_slices_never_get_fewer_levels(side, more, device):
    small = sizing.features(stacks((side, side)), device=device).value
    large = sizing.features(stacks((side + more, side + more)), device=device).value
    assert len(large) >= len(small)


def patch(*sizes, recipe="auto", divisor=16, device="cpu", step_px=10**9):
    return sizing.patch(stacks(*sizes), recipe=recipe, divisor=divisor, device=device, step_px=step_px)


def test_patch_holds_the_typical_slice_rounded_up():
    choice = patch((40, 59), (42, 31), (90, 32), (43, 30), divisor=8)
    assert choice.value == (48, 32)  # medians 42.5 and 31.5
    assert "43 rows and 32 columns" in choice.reason


def test_patch_of_the_paper_holds_the_largest_slice():
    choice = patch((40, 59), (43, 31), (41, 32), divisor=8, recipe="paper")
    assert choice.value == (48, 64)
    assert "43 rows and 59 columns" in choice.reason


def test_patch_is_cut_along_its_longer_side_first():
    assert patch((2000, 256)).value == (1024, 256)
    assert patch((256, 2000)).value == (256, 1024)


def test_patch_of_a_huge_slice_is_square():
    assert patch((3000, 2000)).value == (512, 512)


def test_memory_limits_the_patch_on_a_gpu():
    # two patches of 50,000 pixels, 223 squared
    assert patch((800, 800), device="gpu", step_px=100_000).value == (208, 240)


def test_a_patch_is_never_smaller_than_networks_need():
    assert patch((800, 800), step_px=0).value == (16, 16)


@pytest.mark.parametrize(
    ("views", "fraction"),
    [
        ([(stacks((512, 512), (512, 512)), (512, 512))], 0.0),
        ([(stacks((512, 512), (600, 700), (512, 512)), (512, 512))], 0.0),  # the typical slice
        ([(stacks((100, 100)), (128, 128))], 0.0),
        ([(stacks((724, 724)), (512, 512))], 0.0),
        ([(stacks((725, 725)), (512, 512))], 0.33),
        ([(stacks((2000, 256)), (512, 256))], 0.33),
        ([(stacks((512, 512)), (512, 512)), (stacks((2048, 1024)), (512, 512))], 0.33),  # a view among others
    ],
)
def test_patches_are_laid_around_classes_where_they_show_little_of_a_slice(views, fraction):
    assert sizing.foreground_patches(views, recipe="auto").value == fraction
    assert sizing.foreground_patches(views, recipe="paper").value == 0.0


@given(rows=SIDES, columns=SIDES, levels=st.integers(1, 5), device=DEVICES, step_px=st.integers(0, 10**8))
def test_patch_fits_the_network_and_the_memory(rows, columns, levels, device, step_px):
    divisor = 2**levels
    sides = patch((rows, columns), divisor=divisor, device=device, step_px=step_px).value
    assert all(side > 0 and side % divisor == 0 for side in sides)
    assert 2 * math.prod(sides) <= max(step_px, 2 * divisor**2)
    assert all(side < size + divisor for side, size in zip(sides, (rows, columns), strict=True))


@pytest.mark.parametrize(
    ("patch_px", "slices", "expected"),
    [
        ((160, 192), 1000, 8),  # 6.5 slices would make 200,000 pixels
        ((128, 128), 1000, 12),
        ((48, 64), 1000, 16),
        ((48, 64), 100, 5),  # 5 % of the slices
        ((48, 64), 3, 2),
    ],
)
def test_batch_size_on_a_cpu(patch_px, slices, expected):
    choice = sizing.batch_size(patch_px, device="cpu", step_px=10**9, training_patches=slices)
    assert choice.value == expected


def test_batch_size_on_a_gpu_is_what_fits():
    choice = sizing.batch_size((100, 100), device="gpu", step_px=105_000, training_patches=5000)
    assert choice.value == 10


def test_little_memory_makes_small_batches_on_a_cpu_too():
    choice = sizing.batch_size((100, 100), device="cpu", step_px=45_000, training_patches=5000)
    assert choice.value == 4


@given(
    step_px=st.integers(0, 10**7),
    more=st.integers(0, 10**7),
    slices=st.integers(1, 10_000),
    side=st.integers(8, 600),
    kind=DEVICES,
)
def test_more_memory_never_makes_smaller_batches(step_px, more, slices, side, kind):
    def size(pixels: int) -> int:
        return sizing.batch_size((side, side), device=kind, step_px=pixels, training_patches=slices).value

    assert 2 <= size(step_px) <= size(step_px + more) <= 64


@pytest.mark.parametrize(
    ("sizes", "patch_px", "expected"),
    [
        ([(160, 150), (170, 160)], (160, 160), 1),
        ([(100, 90)], (128, 128), 1),
        ([(600, 600)], (512, 512), 1),
        ([(1024, 1024)], (512, 512), 4),
        ([(2848, 4288)], (512, 512), 47),
        ([(2848, 4288), (512, 512), (512, 512)], (512, 512), 1),  # the typical slice
    ],
)
def test_patches_that_show_a_slice_once(sizes, patch_px, expected):
    assert sizing.patches_per_slice(stacks(*sizes), patch_px) == expected


def test_training_slices_leave_one_fold_out():
    assert sizing.training_slices(stacks((1, 1), (1, 1), (1, 1), (1, 1), (1, 1)), folds=5) == 40
    assert sizing.training_slices(stacks((1, 1)), folds=1) == 10


@pytest.mark.parametrize(("slices", "batch", "steps"), [(1000, 10, 100), (1001, 10, 101), (30, 10, 20), (9999, 8, 250)])
def test_an_epoch_is_one_pass_within_limits(slices, batch, steps):
    assert sizing.steps_per_epoch([(slices, batch)]).value == steps


def test_an_epoch_passes_over_the_slices_of_all_views():
    choice = sizing.steps_per_epoch([(1000, 10), (1205, 12)])
    assert choice.value == 201
    assert choice.reason == (
        "One pass over the training patches of all views (1000, 1205) takes 201 steps; kept between 20 and 250."
    )


@pytest.mark.parametrize(
    ("slices", "batch", "epochs"),
    [(960, 48, 8), (2048, 64, 13), (1_000_000, 64, 100)],  # 4000 steps at least, 200 passes, 50,000 steps at most
)
def test_a_gpu_validates_after_many_steps_and_passes_over_the_slices_as_often(slices, batch, epochs):
    steps = sizing.steps_per_epoch([(slices, batch)], device="gpu").value
    assert steps == 500
    assert sizing.run_epochs(recipe="auto", device="gpu", views=[(slices, batch)], steps_per_epoch=steps).value == epochs
    assert sizing.steps_per_epoch([(960, 48)], recipe="paper", device="gpu").value == 20


def test_what_a_limit_of_steps_leaves_is_said():
    def reason(patches: int) -> str:
        return sizing.run_epochs(recipe="auto", device="gpu", views=[(patches, 2)], steps_per_epoch=500).reason

    assert reason(200) == "200 passes over the training slices are 20000 steps; kept between 4000 and 50000."
    assert reason(480_000).endswith("are 48000000 steps; kept between 4000 and 50000, which are 0.208 passes.")


@pytest.mark.parametrize(("side", "other", "levels"), [(64, 64, 5), (64, 32, 5), (64, 31, 4), (64, 3, 2), (16, 200, 3)])
def test_levels_are_those_of_the_first_view_unless_another_is_too_small(side, other, levels):
    choice = sizing.features(stacks((side, side)), others=[stacks((300, 300)), stacks((other, 200))], device="cpu")
    assert len(choice.value) == levels
    assert ("of another view" in choice.reason) == (levels < len(sizing.features(stacks((side, side)), device="cpu").value))


@pytest.mark.parametrize("recipe", ["auto", "paper"])
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_a_run_has_exactly_one_length(recipe, device):
    epochs = sizing.run_epochs(recipe=recipe, device=device, views=[(1000, 10)], steps_per_epoch=100).value
    minutes = sizing.run_minutes(recipe=recipe, device=device).value
    assert (epochs is None) != (minutes is None)
    assert (minutes is not None) == (recipe == "auto" and device == "cpu")
