"""What a rank is told; by others that are real: see `test_several_ranks`."""

import pytest
import torch

from autoseg.errors import UsageError
from autoseg.training.process_group import joined_ranks, launched_size
from autoseg.training.ranks import ALONE, Imagined, own_part

SAID = {"rate": 0.1 + 0.2, "text": "Größe", "nothing": None, "list": [1, -(2**60), True], "nan": float("nan")}


def test_alone_everything_is_what_one_has() -> None:
    mine = torch.ones(2, requires_grad=True)
    assert ALONE.total(mine) is mine
    assert ALONE.sum(mine) is mine
    assert ALONE.stacked(mine).shape == (1, 2)
    assert ALONE.from_first(SAID) is SAID
    assert ALONE.gathered(SAID) == [SAID]
    ALONE.barrier()
    assert (ALONE.rank, ALONE.size, ALONE.is_first) == (0, 1, True)


def test_imagined_ranks_have_what_this_one_has() -> None:
    mine = torch.ones(2, requires_grad=True)
    three = Imagined(3)
    three.total(mine).sum().backward()
    assert mine.grad is not None
    assert mine.grad.tolist() == [3.0, 3.0]
    assert three.sum(mine).tolist() == [3.0, 3.0]
    assert three.stacked(mine).tolist() == [[1.0, 1.0]] * 3
    assert three.gathered("it") == ["it"] * 3
    assert three.from_first("it") == "it"
    three.barrier()


@pytest.mark.parametrize(("images", "size"), [(8, 1), (8, 2), (8, 3), (7, 4), (4, 4), (33, 32)])
def test_parts_of_a_batch_cover_each_image_once_and_are_as_equal_as_can_be(images: int, size: int) -> None:
    parts = []
    for rank in range(size):
        ranks = Imagined(size)
        ranks.rank = rank  # type: ignore[misc]
        parts.append(own_part(images, ranks))
    assert [image for part in parts for image in part] == list(range(images))
    assert max(map(len, parts)) - min(map(len, parts)) in {0, 1}
    assert min(map(len, parts)) >= 1


def test_more_ranks_than_images_are_refused() -> None:
    with pytest.raises(UsageError, match="a batch of 2 images cannot be shared by 3 processes"):
        own_part(2, Imagined(3))


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert launched_size() == 1
    with joined_ranks(torch.device("cpu")) as ranks:
        assert ranks is ALONE


@pytest.mark.parametrize("value", ["", "0", "-1", "two", "1.5", "²"])
def test_a_number_of_ranks_that_is_none_is_an_error(value: str) -> None:
    with pytest.raises(UsageError, match="WORLD_SIZE"):
        launched_size({"WORLD_SIZE": value})


def test_an_incomplete_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(UsageError, match="not of LOCAL_RANK, MASTER_ADDR, MASTER_PORT"),
        joined_ranks(torch.device("cpu")),
    ):
        pass


def test_devices_that_nothing_connects_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="on mps"), joined_ranks(torch.device("mps")):
        pass
