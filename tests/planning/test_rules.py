import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.data.dataset import LabelClass
from autoseg.planning import channel_rules, rules
from autoseg.planning.case_fingerprint import ChannelStatistics

TISSUES = tuple(LabelClass(value=value, name=name) for value, name in enumerate(["background", "CSF", "GM", "WM"]))


@pytest.mark.parametrize(("rows", "crop"), [(59, "nonzero"), (60, "none"), (80, "none")])
def test_crop_where_the_box_is_small(make_fingerprint, rows, crop):
    box = ((0, 40), (0, rows), (0, 60))  # of 40 x 80 x 60
    assert rules.crop(make_fingerprint({"nonzero_box": box})).value == crop


def test_crop_margin_covers_the_worst_overhang_within_reason(make_fingerprint):
    assert rules.crop_margin(make_fingerprint({"label_margin_px": 2}, {"label_margin_px": 6}), crop="nonzero").value == 6
    assert rules.crop_margin(make_fingerprint({"label_margin_px": 40}), crop="nonzero").value == 16
    assert rules.crop_margin(make_fingerprint({"label_margin_px": 2}), crop="none").value == 0


@pytest.mark.parametrize(
    ("name", "recipe", "method", "clip"),
    [
        ("T1", "auto", "quantile_zscore", 10.0),
        ("T1", "paper", "quantile_zscore", None),
        ("CT", "auto", "ct", None),
        ("abdominal ct", "paper", "ct", None),
        ("ACTH", "auto", "quantile_zscore", 10.0),
        ("noNorm", "auto", "none", None),
    ],
)
def test_normalisation_by_the_channel_name(make_fingerprint, name, recipe, method, clip):
    step = channel_rules.normalisation(make_fingerprint({}), channel=0, name=name, recipe=recipe).value
    assert (step.method, step.clip) == (method, clip)


CT_NAMES = """
CT|ct|Ct|ct_venous|abdomen_ct|CT_1|CT-1|CT 1|low-dose CT|low_dose_ct|CT (portal venous)|non-contrast CT|no_contrast_CT
CT no. 2|pseudo-CT|CECT|cect_arterial|NCCT|LDCT|CTA|head.cta
"""
OTHER_NAMES = """
image|T1|ACT|ct1|CTP|octet|PET/CT|PET_CT|SUV from PET/CT|suv_ct|MR registered to CT|mri_on_ct|t1w_to_ct|CT T2
non-CT|no CT|not_ct|CBCT|CBCT to CT|micro-CT|noNormal|T1 noNorm
"""


@pytest.mark.parametrize(
    ("names", "method"),
    [(CT_NAMES, "ct"), (OTHER_NAMES, "quantile_zscore"), ("noNorm|nonorm|noNorm_T1|noNorm T1", "none")],
)
def test_channels_that_are_called_ct_and_those_that_are_not(make_fingerprint, names, method):
    methods = {
        name: channel_rules.normalisation(make_fingerprint({}), channel=0, name=name, recipe="auto").value.method
        for name in names.strip().replace("\n", "|").split("|")
    }
    assert methods == dict.fromkeys(methods, method)


def test_where_all_scans_are_surrounded_by_0_that_becomes_the_darkest_value_it_would_have(
    make_fingerprint, make_intensities
):
    # Quartiles 40 and 60 are spread by 20 / sqrt(12) = 5.77 about 50: 0 lies 8.66 below; quartiles 30 and 70: 4.33.
    wide = (ChannelStatistics(positive=make_intensities(percentile_25=30.0, percentile_75=70.0), labelled=None),)
    middle = make_intensities(percentile_25=49.0, percentile_75=51.0, percentile_99_5=53.0)
    narrow = (ChannelStatistics(positive=middle, labelled=None),)

    def background(*cases, name="T1", recipe="auto"):
        return channel_rules.normalisation(make_fingerprint(*cases), channel=0, name=name, recipe=recipe).value.background

    assert background({}, {"channels": wide}) == -8.7
    assert background({"channels": wide}) == -4.3
    assert background({"channels": narrow}) == -10.0  # where values are clipped
    assert background({}, recipe="paper") is None
    assert background({}, name="CT") is None
    assert background({}, {"nonzero_voxels": 153_000}) == -8.7  # four fifths are 153 600
    assert background({}, {"nonzero_voxels": 154_000}) is None
    assert background({}, {"channels": (ChannelStatistics(positive=None, labelled=None),)}) is None


def test_where_the_middle_half_is_not_the_subjects_nothing_is_clipped(make_fingerprint, make_intensities):
    # Quartiles 40 and 60: 10 widths are 57.7 from 50.
    def method(*, positive=None, labelled=None, cases=1, others=0, recipe="auto"):
        channel = ChannelStatistics(
            positive=make_intensities(**(positive or {})), labelled=make_intensities(**(labelled or {}))
        )
        fingerprint = make_fingerprint(*[{"channels": (channel,)}] * cases, *[{}] * others)
        step = channel_rules.normalisation(fingerprint, channel=0, name="MR", recipe=recipe).value
        return step.method if step.method == "quantile_zscore" else (step.method, step.clip, step.background)

    usual, other = "quantile_zscore", ("zscore", None, None)
    assert method(positive={"percentile_99_5": 107.0}) == usual
    assert method(positive={"percentile_99_5": 109.0}) == other
    assert method(labelled={"percentile_75": 109.0}) == other  # noise in air, and a bright subject
    assert method(labelled={"percentile_99_5": 5000.0}) == usual
    assert method(labelled={"percentile_25": -9.0}) == other
    assert method(positive={"percentile_99_5": 109.0}, recipe="paper") == usual
    assert method(positive={"percentile_99_5": 109.0}, cases=1, others=2) == usual  # an outlier among scans
    assert method(positive={"percentile_99_5": 109.0}, cases=2, others=1) == other
    flat = {"percentile_25": 50.0, "percentile_75": 50.0, "percentile_99_5": 109.0}
    assert method(positive=flat) == usual  # which then takes mean and standard deviation by itself


@pytest.mark.parametrize(
    ("spacings_mm", "expected_mm"),
    [
        ([(1.0, 1.0, 1.0)], 1.0),
        ([(0.9375, 1.5, 0.9375)], 0.938),  # slices lie along the second axis; rounded up
        ([(5.0, 0.5, 0.6)], 0.6),
        ([(3.0, 0.25, 0.25), (3.0, 0.5, 0.5), (3.0, 2.0, 2.0)], 0.5),
        ([(1.00001, 1.00001, 1.00001)], 1.01),
        ([(0.000123456, 0.000123456, 0.000123456)], 0.000124),
    ],
)
def test_the_tolerance_is_a_pixel_of_the_finest_plane(make_fingerprint, spacings_mm, expected_mm):
    fingerprint = make_fingerprint(*({"spacing_mm": spacing_mm} for spacing_mm in spacings_mm))
    choice = rules.tolerances(fingerprint, classes=TISSUES)
    assert choice.value == (expected_mm,) * 3
    assert "set it" in choice.reason


def test_the_tolerance_of_2d_images_is_a_pixel_of_theirs(make_fingerprint):
    fingerprint = make_fingerprint({"dimensions": 2, "shape": (1, 80, 60), "spacing_mm": (9.0, 0.2, 0.3)})
    assert rules.tolerances(fingerprint, classes=TISSUES[:2]).value == (0.3,)


def test_ct_pools_the_labelled_voxels_of_all_scans(make_fingerprint, make_intensities):
    # 1000 voxels of 0 and 3000 of 40, no variance within: mean 30, variance (900 + 3 x 100) / 4 = 300.
    small = make_intensities(voxels=1000, mean=0.0, std=0.0, percentile_00_5=-10.0, percentile_99_5=80.0)
    large = make_intensities(voxels=3000, mean=40.0, std=0.0, percentile_00_5=-30.0, percentile_99_5=100.0)
    channels = [(ChannelStatistics(positive=None, labelled=group),) for group in (small, large)]
    fingerprint = make_fingerprint(*({"channels": channel} for channel in channels))
    step = channel_rules.normalisation(fingerprint, channel=0, name="CT", recipe="auto").value
    assert (step.lower, step.upper, step.mean) == (-20.0, 90.0, 30.0)
    assert step.std == pytest.approx(300**0.5, rel=1e-5)


def test_ct_rounds_to_six_digits_and_counts_the_deviation_within_scans(make_fingerprint, make_intensities):
    # Deviation 3 within, none between: the pooled one is that of each scan.
    group = make_intensities(mean=101.23456, std=3.1234567, percentile_00_5=-20.123456, percentile_99_5=310.12345)
    fingerprint = make_fingerprint(*[{"channels": (ChannelStatistics(positive=None, labelled=group),)}] * 2)
    step = channel_rules.normalisation(fingerprint, channel=0, name="CT", recipe="auto").value
    assert (step.lower, step.upper, step.mean, step.std) == (-20.1235, 310.123, 101.235, 3.12346)


def test_constant_ct_is_not_divided_by_nothing(make_fingerprint, make_intensities):
    constant = make_intensities(std=0.0)
    fingerprint = make_fingerprint({"channels": (ChannelStatistics(positive=None, labelled=constant),)})
    assert channel_rules.normalisation(fingerprint, channel=0, name="CT", recipe="auto").value.std == 1.0


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


def test_the_weight_of_a_region_is_that_of_its_voxels_against_those_outside():
    regions = [
        LabelClass(value=0, name="background"),
        LabelClass(value=1, name="core", values=(1, 3), order=1),
        LabelClass(value=2, name="whole", values=(1, 2, 3), order=0),
        LabelClass(value=4, name="vessel", values=(4,), order=2),
    ]
    # core 1000 of 101 000, so 10^-2; whole 10 000 of 101 000 and 91 000 outside; nothing of vessel; 9 is no class
    choice = rules.class_weights({0: 91_000, 1: 400, 2: 9_000, 3: 600, 9: 10**9}, classes=regions, recipe="auto")
    assert choice.value == (1.0, 5.75, 2.31, 5.75)
    assert "whole 9.901%" in choice.reason
    assert "fraction outside" in choice.reason


@given(
    background=st.integers(1, 10**9),
    counts=st.lists(st.integers(1, 10**8), min_size=2, max_size=2),
)
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


@pytest.mark.parametrize(("subjects", "asked", "count"), [(10, None, 5), (3, None, 3), (10, 4, 4), (1, None, 1)])
def test_folds_by_the_number_of_subjects(subjects, asked, count):
    assert rules.folds(subjects, asked=asked).value == count


# The plan is read by its owner: every sentence that a rule can give, word for word.


def test_why_a_crop(make_fingerprint):
    def why(rows):
        return rules.crop(make_fingerprint({"nonzero_box": ((0, 40), (0, rows), (0, 60))})).reason

    assert why(20) == "The box around nonzero voxels holds 25.0% of the median scan, less than 75%."
    assert why(60) == "The box around nonzero voxels holds 75.0% of the median scan, not less than 75%."


def test_why_a_margin(make_fingerprint):
    def why(label_margin_px, *, crop="nonzero"):
        return rules.crop_margin(make_fingerprint({"label_margin_px": label_margin_px}), crop=crop).reason

    assert why(2, crop="none") == "Nothing is cropped."
    assert why(16) == "Labels reach up to 16 voxels beyond the box in some scan."
    assert why(17) == "Labels reach up to 17 voxels beyond the box, more than 16: those beyond are not learnt."


def test_why_a_normalisation(make_fingerprint, make_intensities):
    brighter = ChannelStatistics(positive=make_intensities(percentile_50=70.0), labelled=make_intensities())
    dark = ChannelStatistics(positive=None, labelled=make_intensities())

    def why(name, *cases, recipe="auto"):
        return channel_rules.normalisation(make_fingerprint(*cases), channel=0, name=name, recipe=recipe).reason

    assert why("noNorm", {}) == "noNorm: the data set asks for none."
    assert why("T1", {}, recipe="paper") == "T1: eq. 1 of the paper, per scan."
    assert why("T1", {}, {"channels": (brighter,)}) == (
        "T1: medians of voxels > 0 range from 50 to 70 between scans, so each scan is brought to a common scale by the "
        "middle half of its own intensities; beyond 10 lie only outliers. In every scan at least 90% of the voxels are 0: "
        "they surround the subject, and all become -8.7, the darkest that scaling would make of them, instead of another "
        "value in each scan."
    )
    full = {"channels": (brighter,), "nonzero_voxels": 192_000}
    assert why("T1", {}, full).endswith("beyond 10 lie only outliers.")
    assert why("T1", {"channels": (dark,)}).startswith("T1: no voxel is > 0, so each scan is brought to a common scale")
    assert why("CT", {}) == (
        "CT: intensities of CT have a physical meaning, so all scans share one scale: clipped to 20 .. 90 (medians of the "
        "scans' 0.5 % and 99.5 % quantiles inside the labels), mean 50, standard deviation 10."
    )


def test_why_so_many_folds():
    assert rules.folds(10, asked=4).reason == "Asked for."
    assert rules.folds(1, asked=None).reason == "With 1 training subject there is no cross-validation."
    assert rules.folds(2, asked=None).reason == "There are 2 training subjects; no more than five folds are needed."


def test_why_these_weights():
    def why(voxels, *, recipe="auto"):
        return rules.class_weights(voxels, classes=TISSUES, recipe=recipe).reason

    assert why({}, recipe="paper") == "The paper's table 2, for background, CSF, GM and WM."
    assert why({0: 800, 1: 20, 2: 80, 3: 100}) == (
        "Voxels over whole scans: background 80.000%, CSF 2.000%, GM 8.000%, WM 10.000%; weight = (fraction / "
        "background's fraction) ^ -0.38."
    )
    assert why({0: 900, 1: 100}) == (
        "Voxels over whole scans: background 90.000%, CSF 10.000%, GM 0.000%, WM 0.000%; weight = (fraction / "
        "background's fraction) ^ -0.38. No voxel has GM, WM: given the largest weight of the others."
    )


def test_why_probabilities_are_shifted():
    def why(loss, *, recipe="auto"):
        return rules.prior_power(loss, recipe=recipe).reason

    assert why("cross_entropy", recipe="paper") == "The paper mentions none: probabilities are what the networks give."
    assert why("dice") == "The loss `dice` has no cross-entropy that class weights could bend."
    assert why("cross_entropy_dice").startswith(
        "The weights of the cross-entropy make networks find too much of rare classes"
    )
