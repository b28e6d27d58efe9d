import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoseg.data.dataset import LabelClass
from autoseg.errors import UsageError
from autoseg.planning import rules
from autoseg.planning.case_fingerprint import ChannelStatistics

FLAT = {
    "dimensions": 2,
    "shape": (1, 80, 60),
    "nonzero_box": ((0, 1), (20, 60), (15, 45)),
    "label_box": ((0, 1), (20, 60), (15, 45)),
}
TISSUES = tuple(LabelClass(value=value, name=name) for value, name in enumerate(["background", "CSF", "GM", "WM"]))


@pytest.mark.parametrize(
    ("spacing_mm", "plane"),
    [
        ((1.0, 1.0, 1.0), "axial"),
        ((3.0, 1.0, 1.0), "axial"),
        ((0.94, 1.5, 0.94), "coronal"),
        ((1.0, 1.0, 2.0), "sagittal"),
        ((1.0, 1.29, 1.0), "axial"),
        ((1.0, 1.31, 1.0), "coronal"),
        ((3.0, 3.0, 1.0), "axial"),
    ],
)
def test_slices_lie_across_the_thick_axis(make_fingerprint, spacing_mm, plane):
    assert rules.slice_plane(make_fingerprint({"spacing_mm": spacing_mm}), asked="auto", recipe="auto").value == plane


def test_thick_axis_is_an_anatomical_one(make_fingerprint):
    stored_coronally = {"axes": ("posterior-anterior", "inferior-superior", "left-right"), "spacing_mm": (3, 1, 1)}
    choice = rules.slice_plane(make_fingerprint(stored_coronally), asked="auto", recipe="auto")
    assert choice.value == "coronal"
    assert "posterior-anterior is 3.00 times coarser" in choice.reason


def test_plane_follows_the_median_scan(make_fingerprint):
    fingerprint = make_fingerprint({}, {}, {"spacing_mm": (1.0, 9.0, 1.0)})
    assert rules.slice_plane(fingerprint, asked="auto", recipe="auto").value == "axial"


def test_a_single_slice_stays_whole(make_fingerprint):
    single = {**FLAT, "dimensions": 3, "axes": ("left-right", "inferior-superior", "posterior-anterior")}
    assert rules.slice_plane(make_fingerprint(single), asked="auto", recipe="auto").value == "sagittal"


@pytest.mark.parametrize(("across_mm", "count"), [(0.5, 2), (1.0, 2), (1.01, 1), (1.5, 1), (2.0, 1), (5.0, 1)])
def test_neighbours_are_the_slices_within_two_millimetres_but_one_or_two(make_fingerprint, across_mm, count):
    fingerprint = make_fingerprint({"spacing_mm": (across_mm, 1.0, 1.0)})
    assert rules.neighbours(fingerprint, plane="axial", recipe="auto").value == count


def test_pictures_and_the_papers_networks_have_no_neighbours(make_fingerprint):
    assert rules.neighbours(make_fingerprint({}), plane="axial", recipe="paper").value == 0
    assert rules.neighbours(make_fingerprint(FLAT), plane=None, recipe="auto").value == 0


@pytest.mark.parametrize("recipe", ["auto", "paper"])
def test_the_plane_asked_for_wins(make_fingerprint, recipe):
    fingerprint = make_fingerprint({"spacing_mm": (1.0, 2.0, 1.0)})
    assert rules.slice_plane(fingerprint, asked="sagittal", recipe=recipe).value == "sagittal"


def test_the_paper_is_axial(make_fingerprint):
    fingerprint = make_fingerprint({"spacing_mm": (1.0, 2.0, 1.0)})
    assert rules.slice_plane(fingerprint, asked="auto", recipe="paper").value == "axial"


def test_pictures_have_no_plane(make_fingerprint):
    assert rules.slice_plane(make_fingerprint(FLAT), asked="auto", recipe="paper").value is None
    with pytest.raises(UsageError, match="coronal"):
        rules.slice_plane(make_fingerprint(FLAT), asked="coronal", recipe="auto")


def test_similar_spacings_are_kept(make_fingerprint):
    fingerprint = make_fingerprint({"spacing_mm": (1.0, 1.0, 1.0)}, {"spacing_mm": (9.0, 1.2, 0.9)})
    choice = rules.in_plane_spacing(fingerprint, plane="axial")
    assert choice.value is None
    assert "1.20" in choice.reason


def test_different_spacings_are_brought_to_the_median(make_fingerprint):
    spacings = [(1.0, 1.0, 1.0), (1.0, 2.0, 0.5), (1.0, 3.0, 0.7)]
    fingerprint = make_fingerprint(*({"spacing_mm": spacing} for spacing in spacings))
    assert rules.in_plane_spacing(fingerprint, plane="axial").value == (2.0, 0.7)
    assert rules.in_plane_spacing(fingerprint, plane="coronal").value == (1.0, 0.7)


@given(factor=st.floats(1, 4), more=st.floats(0, 4))
@settings(deadline=None, max_examples=50)
def test_more_different_spacings_are_never_less_resampled(make_fingerprint, factor, more):
    def resampled(ratio: float) -> bool:
        fingerprint = make_fingerprint({}, {"spacing_mm": (1.0, ratio, 1.0)})
        return rules.in_plane_spacing(fingerprint, plane="axial").value is not None

    assert resampled(factor) <= resampled(factor + more)


@pytest.mark.parametrize(("rows", "crop"), [(59, "nonzero"), (60, "none"), (80, "none")])
def test_crop_where_the_box_is_small(make_fingerprint, rows, crop):
    box = ((0, 40), (0, rows), (0, 60))  # of 40 x 80 x 60
    choice = rules.crop(make_fingerprint({"nonzero_box": box}))
    assert choice.value == crop
    assert f"{rows / 80:.1%}" in choice.reason


def test_crop_margin_covers_the_worst_overhang_within_reason(make_fingerprint):
    assert rules.crop_margin(make_fingerprint({"overhang_px": 2}, {"overhang_px": 6}), crop="nonzero").value == 6
    assert rules.crop_margin(make_fingerprint({"overhang_px": 40}), crop="nonzero").value == 16
    assert rules.crop_margin(make_fingerprint({"overhang_px": 2}), crop="none").value == 0


@pytest.mark.parametrize(
    ("name", "recipe", "method", "limit"),
    [
        ("T1", "auto", "quantile_zscore", 10.0),
        ("T1", "paper", "quantile_zscore", None),
        ("CT", "auto", "ct", None),
        ("abdominal ct", "paper", "ct", None),
        ("ACTH", "auto", "quantile_zscore", 10.0),
        ("noNorm", "auto", "none", None),
    ],
)
def test_normalisation_by_the_channel_name(make_fingerprint, name, recipe, method, limit):
    step = rules.normalisation(make_fingerprint({}), channel=0, name=name, recipe=recipe).value
    assert (step.method, step.limit) == (method, limit)


def test_ct_pools_the_labelled_voxels_of_all_scans(make_fingerprint, make_intensities):
    # 1000 voxels of 0 and 3000 of 40, no deviation within: mean 30, variance (900 + 3 x 100) / 4 = 300.
    small = make_intensities(voxels=1000, mean=0.0, deviation=0.0, percentile_00_5=-10.0, percentile_99_5=80.0)
    large = make_intensities(voxels=3000, mean=40.0, deviation=0.0, percentile_00_5=-30.0, percentile_99_5=100.0)
    channels = [(ChannelStatistics(positive=None, labelled=group),) for group in (small, large)]
    fingerprint = make_fingerprint(*({"channels": channel} for channel in channels))
    step = rules.normalisation(fingerprint, channel=0, name="CT", recipe="auto").value
    assert (step.lower, step.upper, step.mean) == (-20.0, 90.0, 30.0)
    assert step.deviation == pytest.approx(300**0.5, rel=1e-5)


def test_class_weights_by_hand():
    # (1/1000)^-0.38 = 10^(3 x 0.38) = 10^1.14 = 13.8; (1/10)^-0.38 = 10^0.38 = 2.40
    choice = rules.class_weights({0: 100_000, 1: 100, 2: 10_000}, classes=TISSUES[:3], recipe="auto")
    assert choice.value == (1.0, 13.8, 2.4)


def test_a_class_without_voxels_gets_the_largest_weight_and_is_named():
    choice = rules.class_weights({0: 100_000, 1: 100, 2: 10_000}, classes=TISSUES, recipe="auto")
    assert choice.value == (1.0, 13.8, 2.4, 13.8)
    assert "No voxel has WM" in choice.reason


def test_weights_where_nothing_is_background():
    assert rules.class_weights({1: 1000, 2: 1000}, classes=TISSUES[:3], recipe="auto").value == (1.0, 1.0, 1.0)


@given(
    background=st.integers(1, 10**9),
    counts=st.lists(st.integers(1, 10**8), min_size=2, max_size=2),
)
@settings(deadline=None, max_examples=50)
def test_rarer_classes_never_weigh_less(background, counts):
    rare, frequent = sorted(counts)
    weights = rules.class_weights({0: background, 1: rare, 2: frequent}, classes=TISSUES[:3], recipe="auto").value
    assert weights[0] == 1.0
    assert weights[1] >= weights[2] > 0


def test_the_paper_has_its_own_weights_for_its_own_classes_only():
    voxels = {0: 100, 1: 10, 2: 10, 3: 10}
    assert rules.class_weights(voxels, classes=TISSUES, recipe="paper").value == (1.0, 10.0, 3.0, 3.0)
    swapped = (
        TISSUES[0],
        LabelClass(value=1, name="WM"),
        LabelClass(value=2, name="GM"),
        LabelClass(value=3, name="CSF"),
    )
    assert rules.class_weights(voxels, classes=swapped, recipe="paper").value == (1.0, 2.4, 2.4, 2.4)


@pytest.mark.parametrize(
    ("plane", "symmetry", "axes"),
    [
        ("axial", (0.9, 0.9, 0.61), ("columns",)),
        ("axial", (0.9, 0.9, 0.59), ()),
        ("coronal", (0.1, 0.1, 0.61), ("columns",)),
        ("sagittal", (0.9, 0.9, 0.9), ()),
    ],
)
def test_only_left_and_right_are_mirrored(make_fingerprint, plane, symmetry, axes):
    fingerprint = make_fingerprint({"symmetry": symmetry}, {"symmetry": None})
    assert rules.training_mirror(fingerprint, plane=plane, recipe="auto").value == axes


@pytest.mark.parametrize(("columns", "axes"), [(0.61, ("rows", "columns")), (0.59, ())])
def test_pictures_are_mirrored_where_both_axes_are_symmetric(make_fingerprint, columns, axes):
    fingerprint = make_fingerprint({**FLAT, "symmetry": (1.0, 0.8, columns)})
    assert rules.training_mirror(fingerprint, plane=None, recipe="auto").value == axes


@given(symmetry=st.floats(0, 1), more=st.floats(0, 1))
@settings(deadline=None, max_examples=50)
def test_more_symmetric_labels_are_never_mirrored_less(make_fingerprint, symmetry, more):
    def mirrored(value: float) -> int:
        fingerprint = make_fingerprint({"symmetry": (0.0, 0.0, value)})
        return len(rules.training_mirror(fingerprint, plane="axial", recipe="auto").value)

    assert mirrored(symmetry) <= mirrored(min(1.0, symmetry + more))


def test_the_paper_flips_both_axes_and_predicts_once(make_fingerprint):
    trained = rules.training_mirror(make_fingerprint({}), plane="axial", recipe="paper").value
    assert trained == ("rows", "columns")
    assert rules.prediction_mirror(trained, recipe="paper").value == ()
    assert rules.prediction_mirror(("columns",), recipe="auto").value == ("columns",)


@pytest.mark.parametrize(("subjects", "asked", "count"), [(10, None, 5), (3, None, 3), (10, 4, 4), (1, None, 1)])
def test_folds_by_the_number_of_subjects(subjects, asked, count):
    assert rules.folds(subjects, asked=asked).value == count
