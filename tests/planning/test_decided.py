from autoseg.planning.decided import DECIDED, Decision, Explained, decided_paths, explained, in_every_view


def test_every_view_has_paths_of_its_own():
    paths = decided_paths(2)
    assert [path for path in paths if path.endswith(".plane")] == ["views.0.plane", "views.1.plane"]
    assert paths.index("views.0.batch_size") < paths.index("views.1.plane") < paths.index("network.features")
    assert list(dict.fromkeys(map(in_every_view, paths))) == list(DECIDED)


def test_a_path_without_the_number_of_a_view():
    assert in_every_view("views.1.batch_size") == "views.batch_size"
    assert in_every_view("views.batch_size") == "views.batch_size"
    assert in_every_view("training.loss") == "training.loss"


def decisions(**found):
    """Of values that are called after the reasons given for each view."""
    return {
        f"views.{number}.{key}": Decision(rule="rule", value=value, reason=reason)
        for number in range(2)
        for key, of_views in found.items()
        for value, reason in [of_views[number]]
    }


PLANES = [("axial", "Finest."), ("coronal", "Also.")]


def test_what_views_have_in_common_is_told_once():
    told = explained(decisions(plane=PLANES, batch_size=[(8, "Few."), (8, "Few.")]))
    assert list(told) == [
        Explained("views.0.plane (axial)", "axial", "Finest."),
        Explained("views.batch_size", 8, "Few."),
        Explained("views.1.plane (coronal)", "coronal", "Also."),
    ]


def test_different_reasons_for_the_same_value_name_their_planes():
    told = list(explained(decisions(plane=PLANES, batch_size=[(8, "Few."), (8, "Most.")])))
    assert told[1] == Explained("views.batch_size", 8, "Axial: Few. Coronal: Most.")


def test_different_values_are_told_for_each_plane():
    told = list(explained(decisions(plane=PLANES, batch_size=[(8, "Few."), (9, "Few.")])))
    assert [(each.what, each.value) for each in told if "batch_size" in each.what] == [
        ("views.0.batch_size (axial)", 8),
        ("views.1.batch_size (coronal)", 9),
    ]


def test_a_single_view_keeps_its_number():
    one = {path: why for path, why in decisions(plane=PLANES).items() if path.startswith("views.0")}
    assert [each.what for each in explained(one)] == ["views.0.plane"]


def test_reasons_that_somebody_edited_are_told_as_they_are():
    edited = {"a": Decision(rule="r", value=[1], reason="b"), "views.1.x": Decision(rule="r", value=2, reason="c")}
    edited["views.0.x"] = Decision(rule="r", value=3, reason="d")
    assert [each.what for each in explained(edited)] == ["a", "views.1.x (?)", "views.0.x (?)"]
