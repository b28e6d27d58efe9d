"""What a rank is told; by others that are real: see `test_several_ranks`."""

from threading import Thread

import pytest
import torch

from autoseg.errors import LostRankError, UsageError
from autoseg.jobs.torchrun import Launched
from autoseg.training.process_group import joined_ranks
from autoseg.training.ranks import ALONE, Imagined, own_part
from autoseg.training.rendezvous import Meeting, Rendezvous, hosted_store

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


@pytest.mark.parametrize("at", [None, Meeting(port=1, rank=0, size=1)])
def test_nobody_is_met_where_there_is_nobody(at: Meeting | None) -> None:
    with joined_ranks(torch.device("cpu"), at=at) as ranks:
        assert ranks is ALONE


def test_devices_that_nothing_connects_are_refused() -> None:
    with pytest.raises(UsageError, match="on mps"), joined_ranks(torch.device("mps"), at=Meeting(port=1, rank=0, size=2)):
        pass


def test_ranks_wait_for_one_another_however_long_it_takes() -> None:
    heard: list[str] = []
    with hosted_store() as port:
        first, second = (Rendezvous(Meeting(port, rank, size=2), timeout_s=60) for rank in range(2))

        def wait() -> None:
            second.wait_for_all()
            heard.append("all here")

        thread = Thread(target=wait)
        thread.start()
        assert heard == []
        first.wait_for_all()
        thread.join(60)
        assert heard == ["all here"]


def test_who_waits_hears_of_a_failure_and_only_the_first_to_fail_says_why() -> None:
    with hosted_store() as port:
        ranks = [Rendezvous(Meeting(port, rank, size=3), timeout_s=60) for rank in range(3)]
        assert [rank.first_to_fail() for rank in ranks[1:]] == [True, False]
        with pytest.raises(LostRankError) as lost:
            ranks[0].wait_for_all()
        assert lost.value.told


def test_who_restarts_does_not_hear_of_what_failed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    with hosted_store() as port:
        environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": "0", "WORLD_SIZE": "2"}
        for name, value in {**environment, "TORCHELASTIC_USE_AGENT_STORE": "True"}.items():
            monkeypatch.setenv(name, value)
        attempts = [
            Rendezvous(Launched(rank=0, size=2, local_rank=0, local_size=2, restarts=number), timeout_s=60)
            for number in range(2)
        ]
        assert [attempt.first_to_fail() for attempt in attempts] == [True, True]
