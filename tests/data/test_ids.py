"""What scans are called by where they lie."""

from pathlib import Path

from autoseg.data.ids import Place, identify, subjects


def places(*paths: str) -> list[Place]:
    return [Place(tuple(parts[:-1]), parts[-1]) for parts in (path.split("/") for path in paths)]


def test_a_name_that_is_there_once_is_the_id() -> None:
    assert identify(places("p1/a", "p2/b", "c")) == ["a", "b", "c"]


def test_equal_names_become_the_folders_that_differ() -> None:
    assert identify(places("x/p1/anat/t", "x/p2/anat/t")) == ["p1", "p2"]
    assert identify(places("p1/day1/t", "p1/day2/t", "p2/day1/t")) == ["p1_day1", "p1_day2", "p2_day1"]


def test_folders_of_different_depth_lose_what_is_common_at_both_ends() -> None:
    assert identify(places("x/p1/anat/t", "x/p2/day1/anat/t", "x/p2/day2/anat/t")) == ["p1", "p2_day1", "p2_day2"]
    assert identify(places("t", "p1/t")) == ["t", "p1"]


def test_several_names_in_the_same_folders_keep_their_names() -> None:
    assert identify(places("p1/t", "p1/u", "p2/t", "p2/u")) == ["p1_t", "p1_u", "p2_t", "p2_u"]


def test_an_id_that_another_scan_has_is_made_longer() -> None:
    assert identify(places("p1", "p1/t", "p2/t")) == ["p1", "p1_t", "p2_t"]


def test_what_cannot_be_told_apart_shares_its_id() -> None:
    assert identify(places("a_b/c/t", "a/b_c/t", "x/t", "x/t")) == ["a_b_c_t", "a_b_c_t", "x_t", "x_t"]


def test_folders_are_compared_in_one_unicode_form() -> None:
    assert identify(places("Zoe\u0308/t", "p/t")) == ["Zo\u00eb", "p"]


def test_a_file_without_a_name_of_its_own_is_called_after_its_folder(tmp_path: Path) -> None:
    assert identify(places("x/p1/", "x/p2/t")) == ["p1", "t"]
    assert identify([Place.below(tmp_path, tmp_path, ""), Place.below(tmp_path, tmp_path / "p1", "")]) == [
        tmp_path.name,
        "p1",
    ]


def test_scans_below_one_folder_are_one_subjects() -> None:
    found = places("x/p1/day1/t", "x/p1/day2/t", "x/p2/day1/t")
    assert subjects(found, identify(found)) == ["p1", "p1", "p2"]
    assert subjects(places("a", "b"), ["a", "b"]) == ["a", "b"]
    assert subjects(places("x/a", "x/b"), ["a", "b"]) == ["a", "b"]
