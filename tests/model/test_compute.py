from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from autoseg.catalogue.devices import parse_devices
from autoseg.errors import UsageError
from autoseg.model.compute import Compute, choose_compute, choose_computes, evaluating, sharing_cores


def test_the_cpu_is_always_there() -> None:
    assert choose_compute("cpu", "float32").device.type == "cpu"
    assert choose_compute("auto").device.type in {"cpu", "cuda", "mps"}


def test_a_chosen_precision_is_used() -> None:
    assert choose_compute("cpu", "bfloat16").precision == "bfloat16"
    assert choose_compute("cpu", "float32").precision == "float32"


@pytest.mark.parametrize(("abilities", "fast"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({}, False)])
def test_bfloat16_is_chosen_where_the_processor_is_made_for_it(
    monkeypatch: pytest.MonkeyPatch, abilities: dict[str, bool], fast: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert choose_compute("cpu", "auto").bfloat16 is fast


def test_a_device_that_is_not_there_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="cuda"):
        choose_compute("cuda")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The compute capability of pretended GPUs, by number."""
    majors = {0: 9, 1: 9, 2: 7}

    def properties(device: torch.device) -> SimpleNamespace:
        assert device.index is not None
        return SimpleNamespace(major=majors[device.index])

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(majors))
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return majors


@pytest.mark.parametrize(
    ("asked", "names", "precision"),
    [
        ("auto", "cuda:0 cuda:1 cuda:2", "float32"),  # the same for all: one of them is too old for another
        ("cuda:0,1", "cuda:0 cuda:1", "bfloat16"),
        ("cuda:2", "cuda:2", "float32"),
        ("cpu,cpu", "cpu cpu", "float32"),
    ],
)
def test_each_device_is_named_and_all_have_one_number_format(
    gpus: dict[int, int], monkeypatch: pytest.MonkeyPatch, asked: str, names: str, precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    choice = parse_devices(asked)
    assert choice is not None
    found = choose_computes(choice)
    assert [str(compute.device) for compute in found] == names.split()
    assert {compute.precision for compute in found} == {precision}


def test_one_device_is_the_first_or_the_one_named(gpus: dict[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert [str(choose_compute(name).device) for name in ("auto", "cuda", "cuda:2")] == ["cuda:0", "cuda:0", "cuda:2"]
    with pytest.raises(UsageError, match="one device is wanted here; found cuda:0,1"):
        choose_compute("cuda:0,1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    with pytest.raises(UsageError, match=r"no cuda:3.*cuda:2 \(CUDA_VISIBLE_DEVICES is '4,5,6'\)"):
        choose_compute("cuda:3")


def test_processors_named_several_times_share_their_cores() -> None:
    before = torch.get_num_threads()
    cpu, gpu = Compute(torch.device("cpu"), bfloat16=False), Compute(torch.device("cuda", 0), bfloat16=False)
    torch.set_num_threads(6)
    try:
        for computes, threads in (([cpu], 6), ([cpu] * 2, 3), ([cpu] * 4, 1), ([cpu] * 9, 1), ([gpu] * 2, 6)):
            with sharing_cores(computes):
                assert torch.get_num_threads() == threads
                with ThreadPoolExecutor(1) as pool:
                    assert pool.submit(torch.get_num_threads).result() == threads
            assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(before)


def test_bfloat16_networks_live_in_channels_last_and_compute_nearly_the_same() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 1)).eval()
    images = torch.randn((2, 1, 16, 16))
    expected = network(images)
    compute = choose_compute("cpu", "bfloat16")
    placed = compute.place(network)
    assert next(placed.parameters()).is_contiguous(memory_format=torch.channels_last)
    with compute.autocast():
        found = placed(compute.tensor(images))
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)


def test_evaluating_restores_the_mode_even_after_a_failure() -> None:
    network = torch.nn.BatchNorm2d(1).train()
    with pytest.raises(ValueError, match="one channel"), evaluating(network):
        _fail(network)
    assert network.training


def _fail(network: torch.nn.Module) -> None:
    assert not network.training
    msg = "one channel"
    raise ValueError(msg)


def test_on_a_gpu_work_can_be_repeated_bit_by_bit_and_the_choice_ends_with_it() -> None:
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with Compute(torch.device("cuda"), bfloat16=True).repeatable():
        assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
    with Compute(torch.device("cpu"), bfloat16=False).repeatable():
        assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == before
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == before
    assert Compute(torch.device("cpu"), bfloat16=False).recorder() is None
