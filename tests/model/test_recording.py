"""Recording and replaying, with a device that only pretends to record."""

from collections.abc import Callable, Sequence

import torch

from autoseg.model.recording import WARM_UP, Recorded, TensorFunction


class Pretended:
    """Replays by calling the function again on what the held inputs contain, into the same results."""

    def __init__(self, *, fails: bool = False) -> None:
        self.warmed, self.recorded, self.fails = 0, 0, fails

    def warm_up(self, function: TensorFunction, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        self.warmed += 1
        return function(*inputs)

    def record(
        self, function: TensorFunction, inputs: Sequence[torch.Tensor]
    ) -> tuple[Callable[[], None], tuple[torch.Tensor, ...]]:
        if self.fails:
            msg = "operation not permitted when stream is capturing\nand much more"
            raise RuntimeError(msg)
        self.recorded += 1
        results = tuple(torch.full_like(tensor, -1.0) for tensor in inputs[:1])  # recording computes nothing

        def replay() -> None:
            for held, new in zip(results, function(*inputs), strict=True):
                held.copy_(new)

        return replay, results


def doubled(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (2.0 * first + second,)


def numbers(value: float, *, count: int = 3) -> torch.Tensor:
    return torch.full((count,), value)


def test_after_a_few_calls_a_recording_answers_with_equal_results() -> None:
    recorder = Pretended()
    function = Recorded(doubled, recorder=recorder)
    results = [function(numbers(value), numbers(1.0))[0] for value in range(WARM_UP + 4)]
    assert [result.tolist() for result in results] == [[2.0 * value + 1.0] * 3 for value in range(WARM_UP + 4)]
    assert (recorder.warmed, recorder.recorded) == (WARM_UP, 1)


def test_each_set_of_shapes_has_a_recording_of_its_own() -> None:
    recorder = Pretended()
    function = Recorded(doubled, recorder=recorder)
    for value in range(WARM_UP + 3):
        for count in (3, 5):
            assert function(numbers(value, count=count), numbers(0.0, count=count))[0].tolist() == [2.0 * value] * count
    assert recorder.recorded == 2


def test_without_a_recorder_it_is_the_function() -> None:
    assert Recorded(doubled, recorder=None)(numbers(1.0), numbers(2.0))[0].tolist() == [4.0] * 3


def test_where_recording_fails_it_says_so_once_and_goes_on() -> None:
    said: list[str] = []
    recorder = Pretended(fails=True)
    function = Recorded(doubled, recorder=recorder, failed=said.append)
    for value in range(WARM_UP + 3):
        assert function(numbers(value), numbers(0.0))[0].tolist() == [2.0 * value] * 3
    assert said == ["operation not permitted when stream is capturing"]
