import pytest
import torch

from autoseg.errors import UsageError
from autoseg.model.compute import Compute, choose_compute, evaluating


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
