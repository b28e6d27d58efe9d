import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.data.dataset import Case
from autoseg.data.grouping import group_cases


def case(name: str, subject: str) -> Case:
    return Case(id=name, images=(Path(f"/d/{name}.nii"),), label=Path(f"/d/{name}_seg.nii"), subject=subject)


SCANS = [case("a1", "a"), case("a2", "a"), case("b1", "b"), case("b2", "b"), case("c1", "c"), case("d1", "d")]


@pytest.mark.parametrize(
    ("together", "groups"),
    [
        ([], "aabbcd"),
        ([{"b1", "c1"}], "aabbbd"),
        ([("a1", "a2")], "aabbcd"),
        ([["d1", "c1"], ["b2", "d1"]], "aabbbb"),  # b and c by way of d
        ([["a2", "b1", "c1", "d1"]], "aaaaaa"),
        ([["a1", "stranger"]], "aabbcd"),
    ],
)
def test_subjects_and_what_ties_them_are_groups(together: list[list[str]], groups: str) -> None:
    assert list(group_cases(SCANS, together=together).values()) == list(groups)


@given(st.lists(st.sets(st.integers(0, 19), min_size=2, max_size=3), max_size=12), st.randoms(use_true_random=False))
def test_groups_are_what_can_be_reached_in_any_order(ties: list[set[int]], shuffled: random.Random) -> None:
    cases = [case(f"s{number}", f"p{number % 13}") for number in range(20)]
    together = [[f"s{number}" for number in tie] for tie in ties]
    found = group_cases(cases, together=together)
    for one in cases:
        reached = {one.id}
        while True:  # whoever shares a subject or a tie with what was reached so far
            subjects = {other.subject for other in cases if other.id in reached}
            more = {other.id for other in cases if other.subject in subjects}
            more |= {name for tie in together if reached & set(tie) for name in tie}
            if more <= reached:
                break
            reached |= more
        assert {name for name, group in found.items() if group == found[one.id]} == reached
        assert found[one.id] == min(other.subject for other in cases if other.id in reached)
    shuffled.shuffle(cases)
    shuffled.shuffle(together)
    assert group_cases(cases, together=together) == found
