import pytest

from autoseg.jobs import machine


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (4, 4), (8, 8), (64, 8)])
def test_processes_suit_the_machine_where_that_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, cores: int, expected: int
) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    assert machine.processes("auto") == expected
    assert machine.processes(3) == 3
