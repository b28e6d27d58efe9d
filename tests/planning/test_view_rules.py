import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.errors import UsageError
from autoseg.planning import view_rules

FLAT = {
    "dimensions": 2,
    "shape": (1, 80, 60),
    "nonzero_box": ((0, 1), (20, 60), (15, 45)),
    "label_box": ((0, 1), (20, 60), (15, 45)),
}


def first_view(fingerprint, *, asked="auto", recipe="auto"):
    return view_rules.slice_planes(fingerprint, asked=asked, recipe=recipe)[0]


@pytest.mark.parametrize(
    ("spacing_mm", "plane"),
    [
        ((1.0, 1.0, 1.0), "axial"),
        ((3.0, 1.0, 1.0), "axial"),
        ((0.94, 1.5, 0.94), "coronal"),
        ((1.0, 1.0, 2.0), "sagittal"),
        ((1.0, 1.29, 1.0), "axial"),
        ((1.0, 1.3, 1.0), "coronal"),
        ((2.0, 2.2, 2.0), "axial"),
        ((3.0, 3.0, 1.0), "axial"),
    ],
)
def test_slices_lie_across_the_thick_axis(make_fingerprint, spacing_mm, plane):
    assert first_view(make_fingerprint({"spacing_mm": spacing_mm})).value == plane


def test_thick_axis_is_an_anatomical_one(make_fingerprint):
    stored_coronally = {"axes": ("posterior-anterior", "inferior-superior", "left-right"), "spacing_mm": (3, 1, 1)}
    choice = first_view(make_fingerprint(stored_coronally))
    assert choice.value == "coronal"
    assert "posterior-anterior is 3.00 times coarser" in choice.reason


def test_plane_follows_the_median_scan(make_fingerprint):
    fingerprint = make_fingerprint({}, {}, {"spacing_mm": (1.0, 9.0, 1.0)})
    assert first_view(fingerprint).value == "axial"


def test_a_single_slice_stays_whole(make_fingerprint):
    single = {**FLAT, "dimensions": 3, "axes": ("left-right", "inferior-superior", "posterior-anterior")}
    assert first_view(make_fingerprint(single)).value == "sagittal"


@pytest.mark.parametrize(("across_mm", "count"), [(0.5, 2), (1.0, 2), (1.01, 1), (1.5, 1), (2.0, 1), (5.0, 1)])
def test_adjacent_slices_are_those_within_two_millimetres_but_one_or_two(make_fingerprint, across_mm, count):
    fingerprint = make_fingerprint({"spacing_mm": (across_mm, 1.0, 1.0)})
    assert view_rules.adjacent_slices(fingerprint, planes=["axial"], recipe="auto").value == count


def test_pictures_and_the_papers_networks_have_no_adjacent_slices(make_fingerprint):
    assert view_rules.adjacent_slices(make_fingerprint({}), planes=["axial"], recipe="paper").value == 0
    assert view_rules.adjacent_slices(make_fingerprint(FLAT), planes=[None], recipe="auto").value == 0


def test_a_single_slice_has_no_adjacent_ones(make_fingerprint):
    single, some = {"shape": (1, 40, 60)}, {"shape": (3, 40, 60)}
    assert view_rules.adjacent_slices(make_fingerprint(single, single), planes=["axial"], recipe="auto").value == 0
    assert view_rules.adjacent_slices(make_fingerprint(single, some), planes=["axial"], recipe="auto").value > 0


def planes_of(fingerprint, *, asked, recipe="auto"):
    return [choice.value for choice in view_rules.slice_planes(fingerprint, asked=asked, recipe=recipe)]


def test_planes_asked_for_are_views_in_this_order(make_fingerprint):
    fingerprint = make_fingerprint({"spacing_mm": (1.0, 2.0, 1.0)})
    assert planes_of(fingerprint, asked=("sagittal", "axial")) == ["sagittal", "axial"]
    assert planes_of(fingerprint, asked=("sagittal", "axial"), recipe="paper") == ["sagittal", "axial"]


def test_all_planes_are_those_of_the_data_the_finest_first(make_fingerprint):
    assert planes_of(make_fingerprint({"spacing_mm": (1.0, 2.0, 1.0)}), asked="all") == ["coronal", "axial", "sagittal"]
    assert planes_of(make_fingerprint({}), asked="all") == ["axial", "coronal", "sagittal"]
    assert planes_of(make_fingerprint({"shape": (40, 1, 60)}), asked="all") == ["coronal"]
    assert planes_of(make_fingerprint(FLAT), asked="all") == [None]


def test_a_plane_that_the_data_lack_cannot_be_asked_for(make_fingerprint):
    single = make_fingerprint({"shape": (40, 1, 60)})
    assert planes_of(single, asked=("coronal",)) == ["coronal"]
    with pytest.raises(UsageError, match="no axial slices: each has a single voxel along posterior-anterior"):
        planes_of(single, asked=("coronal", "axial"))
    assert planes_of(make_fingerprint({"shape": (40, 1, 60)}, {}), asked=("axial",)) == ["axial"]


def further(fingerprint, *, first="axial", smallest_px=16, crop="none"):
    return view_rules.further_planes(fingerprint, first=first, smallest_px=smallest_px, crop=crop, margin_px=0)


@pytest.mark.parametrize(
    ("spacing_mm", "first", "planes"),
    [
        ((1.0, 1.0, 1.0), "axial", ["coronal", "sagittal"]),
        ((0.94, 1.5, 0.94), "coronal", []),
        ((1.29, 1.0, 1.0), "axial", ["coronal", "sagittal"]),
        ((1.3, 1.0, 1.0), "axial", []),
        ((1.2, 0.9, 1.0), "axial", ["coronal"]),
    ],
)
def test_views_besides_the_finest_are_those_without_a_coarser_axis(make_fingerprint, spacing_mm, first, planes):
    chosen, others = further(make_fingerprint({"spacing_mm": spacing_mm}), first=first)
    assert [choice.value for choice in chosen] == planes
    assert len(chosen) + len(others) == 2


@pytest.mark.parametrize(("smallest_px", "planes"), [(40, ["coronal", "sagittal"]), (41, [])])
def test_views_besides_the_finest_have_slices_large_enough_for_its_network(make_fingerprint, smallest_px, planes):
    chosen, _ = further(make_fingerprint({}), smallest_px=smallest_px)  # 40 x 80 x 60 voxels
    assert [choice.value for choice in chosen] == planes


def test_what_is_cropped_away_makes_no_slice_larger(make_fingerprint):
    chosen, _ = further(make_fingerprint({}), smallest_px=21, crop="nonzero")  # to 20 x 40 x 30
    assert chosen == ()


@given(thick_mm=st.floats(0.3, 6), more=st.floats(1, 2))
def test_a_coarser_axis_never_gives_more_views(make_fingerprint, thick_mm, more):
    def count(mm):
        return len(further(make_fingerprint({"spacing_mm": (mm, 1.0, 1.0)}))[0])

    assert thick_mm < 1 or count(thick_mm * more) <= count(thick_mm)


def test_a_single_slice_is_no_further_view(make_fingerprint):
    assert further(make_fingerprint({"shape": (1, 80, 60), "nonzero_box": ((0, 1), (20, 60), (15, 45))})) == ((), ())


def test_why_a_view_or_none(make_fingerprint):
    (coronal, sagittal), _ = further(make_fingerprint({"spacing_mm": (1.0, 0.95, 0.9)}))
    assert coronal.reason == (
        "Fine enough, with pixels of 1 x 0.9 mm, and large enough, with slices of at least 40 pixels: the mean over "
        "planes errs less than one of them."
    )
    assert "1 x 0.95 mm" in sagittal.reason
    _, others = further(make_fingerprint({"spacing_mm": (5.0, 1.0, 1.0)}))
    assert others[0] == "coronal, because pixels of 5 x 1 mm are 5.00 times as long as wide"
    _, others = further(make_fingerprint({}), smallest_px=64)
    assert others[1] == "sagittal, because the network needs 64 pixels and slices have 40"


@pytest.mark.parametrize(
    ("spacing_mm", "plane", "target"),
    [
        ((3.0, 1.0, 1.0), "coronal", None),
        ((3.1, 1.0, 1.0), "coronal", (1.0, 1.0)),
        ((3.1, 1.0, 1.0), "sagittal", (1.0, 1.0)),
        ((1.0, 0.5, 1.6), "axial", (0.5, 0.5)),
        ((9.0, 1.0, 1.0), "axial", None),
    ],
)
def test_pixels_far_from_square_are_resampled_to_their_shorter_side(make_fingerprint, spacing_mm, plane, target):
    fingerprint = make_fingerprint({"spacing_mm": spacing_mm})
    assert view_rules.in_plane_spacing(fingerprint, plane=plane, recipe="auto").value == target
    assert view_rules.in_plane_spacing(fingerprint, plane=plane, recipe="paper").value is None


def test_views_that_share_a_network_show_as_many_adjacent_slices(make_fingerprint):
    fingerprint = make_fingerprint({"spacing_mm": (1.0, 1.5, 1.0)})
    assert view_rules.adjacent_slices(fingerprint, planes=["axial"], recipe="auto").value == 2
    assert view_rules.adjacent_slices(fingerprint, planes=["axial", "coronal"], recipe="auto").value == 1


@pytest.mark.parametrize("recipe", ["auto", "paper"])
def test_the_plane_asked_for_wins(make_fingerprint, recipe):
    fingerprint = make_fingerprint({"spacing_mm": (1.0, 2.0, 1.0)})
    assert first_view(fingerprint, asked=("sagittal",), recipe=recipe).value == "sagittal"


def test_the_paper_is_axial(make_fingerprint):
    fingerprint = make_fingerprint({"spacing_mm": (1.0, 2.0, 1.0)})
    assert first_view(fingerprint, recipe="paper").value == "axial"


def test_pictures_have_no_plane(make_fingerprint):
    assert first_view(make_fingerprint(FLAT), recipe="paper").value is None
    with pytest.raises(UsageError) as refused:
        first_view(make_fingerprint(FLAT), asked=("coronal",), recipe="auto")
    assert str(refused.value) == "2D images have no coronal plane. Leave out --planes to have the planes chosen."


@pytest.mark.parametrize("others_mm", [(9.0, 1.2, 0.9), (1.0, 1.25, 1.0), (1.0, 1.0, 1.25)])
def test_similar_spacings_are_kept(make_fingerprint, others_mm):
    fingerprint = make_fingerprint({"spacing_mm": (1.0, 1.0, 1.0)}, {"spacing_mm": others_mm})
    assert view_rules.in_plane_spacing(fingerprint, plane="axial", recipe="auto").value is None


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (0.5, 0.5, 0.5)])
def test_equal_spacings_are_kept_whatever_they_are(make_fingerprint, spacing_mm):
    fingerprint = make_fingerprint(*[{"spacing_mm": spacing_mm}] * 2)
    assert view_rules.in_plane_spacing(fingerprint, plane="axial", recipe="auto").value is None


def test_different_spacings_are_brought_to_the_median(make_fingerprint):
    spacings = [(1.0, 1.0, 1.0), (1.0, 2.0, 0.5), (1.0, 3.0, 0.7)]
    fingerprint = make_fingerprint(*({"spacing_mm": spacing} for spacing in spacings))
    assert view_rules.in_plane_spacing(fingerprint, plane="axial", recipe="auto").value == (2.0, 0.7)
    assert view_rules.in_plane_spacing(fingerprint, plane="coronal", recipe="auto").value == (1.0, 0.7)


def test_the_median_spacing_is_rounded_to_four_digits(make_fingerprint):
    spacings = [(1.0, 0.5, 0.5), (1.0, 0.937549, 0.4123456), (1.0, 2.0, 0.4)]
    fingerprint = make_fingerprint(*({"spacing_mm": spacing} for spacing in spacings))
    assert view_rules.in_plane_spacing(fingerprint, plane="axial", recipe="auto").value == (0.9375, 0.4123)


@given(factor=st.floats(1, 4), more=st.floats(0, 4))
def test_more_different_spacings_are_never_less_resampled(make_fingerprint, factor, more):
    def resampled(ratio: float) -> bool:
        fingerprint = make_fingerprint({}, {"spacing_mm": (1.0, ratio, 1.0)})
        return view_rules.in_plane_spacing(fingerprint, plane="axial", recipe="auto").value is not None

    assert resampled(factor) <= resampled(factor + more)


def test_why_a_plane(make_fingerprint):
    def why(case, *, asked="auto", recipe="auto"):
        return first_view(make_fingerprint(case), asked=asked, recipe=recipe).reason

    assert why(FLAT) == "The images are 2D: each is one slice."
    assert why({}, asked=("coronal",)) == "Asked for."
    assert why({}, recipe="paper") == "The paper uses axial slices."
    assert why({"shape": (40, 1, 60)}) == "Every scan has a single voxel along posterior-anterior: it is one slice."
    assert why({"spacing_mm": (2.0, 3.0, 0.5)}) == (
        "Median spacing in mm is inferior-superior 2, posterior-anterior 3, left-right 0.5: posterior-anterior is 1.50 "
        "times coarser than the next axis, so slices across it show the finest plane."
    )
    assert why({"spacing_mm": (1.0, 1.2, 0.9)}) == (
        "Median spacing in mm is inferior-superior 1, posterior-anterior 1.2, left-right 0.9: no axis is 1.3 times coarser "
        "than the next, so the usual plane is taken."
    )


def test_why_a_spacing(make_fingerprint):
    def why(columns_mm):
        fingerprint = make_fingerprint({"spacing_mm": (1.0, 1.0, 1.0)}, {"spacing_mm": (1.0, 1.0, columns_mm)})
        return view_rules.in_plane_spacing(fingerprint, plane="axial", recipe="auto").reason

    assert why(2.0) == "In-plane spacings differ by a factor of 2.00, more than 1.25: take the median."
    assert why(8.0) == (
        "Pixels of 1 x 4.5 mm are 4.50 times as long as wide, more than 3: their longer side is resampled to the shorter "
        "one."
    )
    assert why(1.2) == (
        "In-plane spacings differ by a factor of 1.20 at most, which scaling in the augmentation covers; resampling "
        "would blur."
    )


def test_why_so_many_adjacent_slices(make_fingerprint):
    def why(*planes, recipe="auto"):
        fingerprint = make_fingerprint({"spacing_mm": (1.5, 1.0, 1.0)})
        return view_rules.adjacent_slices(fingerprint, planes=planes, recipe=recipe).reason

    assert why("axial", recipe="paper") == "The paper's networks see one slice at a time."
    assert why(None) == "2D images have no adjacent slices."
    assert why("axial") == (
        "Slices lie 1.5 mm apart; those within 2 mm, at least one and at most 2 on either side, tell where structures begin "
        "and end."
    )
    assert why("axial", "coronal", "sagittal") == (
        "Slices lie 1 or 1.5 mm apart; those within 2 mm, at least one and at most 2 on either side, tell where structures "
        "begin and end; the views share one network, so the largest distance decides."
    )
