from collections.abc import Mapping

import pytest

from autoseg.errors import UsageError
from autoseg.jobs.torchrun import Launched, launched, told_by_another

SECOND_OF_FOUR: Mapping[str, str] = {
    "RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node7",
    "MASTER_PORT": "29500",
}


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "1"}, {**SECOND_OF_FOUR, "WORLD_SIZE": "1", "RANK": "0"}])
def test_a_process_is_alone_unless_the_environment_speaks_of_others(environment: Mapping[str, str]) -> None:
    assert launched(environment) is None
    assert not told_by_another(environment)


def test_what_torchrun_says() -> None:
    assert launched(SECOND_OF_FOUR) == Launched(rank=1, size=4, local_rank=1, local_size=2, restarts=0)
    again = launched({**SECOND_OF_FOUR, "TORCHELASTIC_RESTART_COUNT": "2"})
    assert again is not None
    assert again.restarts == 2


def test_the_first_tells_the_user_what_all_do() -> None:
    assert told_by_another(SECOND_OF_FOUR)
    assert not told_by_another({**SECOND_OF_FOUR, "RANK": "0"})


@pytest.mark.parametrize("name", ["WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"])
@pytest.mark.parametrize("value", ["-1", "two", "1.5", "²"])
def test_a_number_that_is_none_is_an_error(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        launched({**SECOND_OF_FOUR, name: value})


def test_no_processes_are_none_that_train_together() -> None:
    with pytest.raises(UsageError, match="at least 1; found '0'"):
        launched({**SECOND_OF_FOUR, "WORLD_SIZE": "0"})


def test_an_incomplete_environment_is_named() -> None:
    with pytest.raises(UsageError, match="but not of LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT"):
        launched({"WORLD_SIZE": "2", "RANK": "0"})
