import pytest

from autoseg.evaluation.typical import median_case, typical_cases

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({"a": NAN}, {}),
        ({"a": 0.5, "b": NAN}, {"only": "a"}),
        ({"a": 0.5, "b": 0.9}, {"best": "b", "worst": "a"}),
        ({"a": 0.5, "b": 0.9, "c": 0.6}, {"best": "b", "median": "c", "worst": "a"}),
        ({"a": 0.5, "b": 0.9, "c": 0.6, "d": 0.7}, {"best": "b", "median": "c", "worst": "a"}),
        ({"b": 0.5, "a": 0.5, "c": 0.5}, {"best": "a", "median": "b", "worst": "c"}),
    ],
)
def test_few_cases_are_called_what_they_are(values: dict[str, float], expected: dict[str, str]) -> None:
    found = typical_cases(values)
    assert found == expected
    assert list(found) == list(expected)
    assert len(set(found.values())) == len(found)


def test_the_case_in_the_middle() -> None:
    assert median_case({"a": 0.5}) == "a"
    assert median_case({"a": 0.5, "b": 0.9}) == "a"
    assert median_case({"a": 0.5, "b": 0.9, "c": 0.6}) == "c"
    assert median_case({"a": NAN}) is None
