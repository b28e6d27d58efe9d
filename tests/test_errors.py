"""What an error says, and that it says the same on the other side of a process border."""

import pickle
from pathlib import Path

import pytest

from autoseg import errors
from autoseg.errors import AutosegError, CasesFailedError, ImageError, ProblemsError

EXIT_CODES = {
    "UsageError": 2,
    "DatasetError": 3,
    "ImageError": 3,
    "ProblemsError": 3,
    "PlanError": 4,
    "WorkspaceError": 5,
    "ExtensionError": 5,
    "BundleError": 6,
    "MemoryLimitError": 6,
    "CasesFailedError": 7,
    "TrainingError": 8,
    "LostRankError": 8,
    "ProcessEndedError": 8,
    "SystemFailureError": 9,
    "InterruptedRunError": 130,
}
SHORT = ImageError("the file is empty", remedy="Copy it again.")
FULL = ImageError("cut off", where=Path("a") / "b.nii", expected=352, found="12 bytes", remedy="Copy it again.")


def everything() -> list[type[AutosegError]]:
    kinds, waiting = [], [AutosegError]
    while waiting:
        found = waiting.pop().__subclasses__()
        kinds += found
        waiting += found
    return kinds


def test_exit_codes_are_those_promised_to_users() -> None:
    assert {kind.__name__: kind.exit_code for kind in everything() if kind.__module__ == errors.__name__} == EXIT_CODES
    assert AutosegError.exit_code == 1


def test_a_message_has_file_problem_expectation_finding_and_cure() -> None:
    assert str(FULL) == "a/b.nii: cut off; expected 352; found 12 bytes. Copy it again."


def test_a_message_leaves_out_what_is_not_known() -> None:
    assert str(SHORT) == "the file is empty. Copy it again."


def test_expectations_that_are_0_or_false_are_shown() -> None:
    assert str(ImageError("odd", expected=0, found=False, remedy="Look.")) == "odd; expected 0; found False. Look."


def test_an_error_as_plain_data() -> None:
    assert FULL.as_dict() == {
        "error": "ImageError",
        "exit_code": 3,
        "what": "cut off",
        "where": "a/b.nii",
        "expected": "352",
        "found": "12 bytes",
        "remedy": "Copy it again.",
    }


def failed() -> CasesFailedError:
    return CasesFailedError([("one", SHORT), ("two", FULL)], done=5)


def test_failed_cases_are_listed_each_on_its_line() -> None:
    assert str(failed()) == (
        "2 cases failed, 5 succeeded and are written:\n"
        "  one: the file is empty. Copy it again.\n"
        "  two: a/b.nii: cut off; expected 352; found 12 bytes. Copy it again.\n"
        "Fix the listed cases and run the same command again; finished ones are skipped."
    )


def test_where_every_case_failed_nothing_is_said_to_be_written() -> None:
    assert CasesFailedError([("one", SHORT)], done=0).message == (
        "1 case failed, none succeeded:\n  one: the file is empty. Copy it again."
    )


def test_failed_cases_as_plain_data() -> None:
    document = failed().as_dict()
    assert document["exit_code"] == 7
    assert document["failures"] == {"one": SHORT.as_dict(), "two": FULL.as_dict()}
    assert "result" not in document


def test_failed_cases_come_with_the_result_of_the_others() -> None:
    error = failed()
    error.document = {"cases": 5}
    assert error.as_dict()["result"] == {"cases": 5}
    assert pickle.loads(pickle.dumps(error)).as_dict() == error.as_dict()  # noqa: S301


@pytest.mark.parametrize("kind", [kind for kind in everything() if kind not in {CasesFailedError, ProblemsError}])
def test_every_error_crosses_process_borders_unchanged(kind: type[AutosegError]) -> None:
    original = kind("cut off", where="case 3", expected=1, found=2, remedy="Copy it again.")
    copy = pickle.loads(pickle.dumps(original))  # noqa: S301
    assert type(copy) is kind
    assert str(copy) == str(original)
    assert copy.as_dict() == original.as_dict()
    assert copy.args == original.args


def found() -> ProblemsError:
    return ProblemsError([("one", SHORT), ("two", FULL), ("two", SHORT)], where=Path("data"))


def test_problems_are_listed_each_on_its_line() -> None:
    assert str(found()) == (
        "data: 3 problems in 2 cases:\n"
        "  one: the file is empty. Copy it again.\n"
        "  two: a/b.nii: cut off; expected 352; found 12 bytes. Copy it again.\n"
        "  two: the file is empty. Copy it again.\n"
        "Fix or remove the listed files and run the same command again."
    )


def test_problems_as_plain_data() -> None:
    document = found().as_dict()
    assert document["exit_code"] == 3
    assert document["problems"] == [
        {"case": "one", **SHORT.as_dict()},
        {"case": "two", **FULL.as_dict()},
        {"case": "two", **SHORT.as_dict()},
    ]


def test_problems_cross_process_borders_unchanged() -> None:
    copy = pickle.loads(pickle.dumps(found()))  # noqa: S301
    assert str(copy) == str(found())
    assert copy.as_dict() == found().as_dict()


def test_failed_cases_cross_process_borders_unchanged() -> None:
    copy = pickle.loads(pickle.dumps(failed()))  # noqa: S301
    assert str(copy) == str(failed())
    assert copy.as_dict() == failed().as_dict()
    assert copy.done == 5
    assert [(name, type(error)) for name, error in copy.failures] == [("one", ImageError), ("two", ImageError)]
