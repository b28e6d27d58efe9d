"""What runs on a GPU that is not the first asks nothing of the first: tried with a driver that only pretends."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

import autoseg
from autoseg.model import recording, uploading
from autoseg.model.compute import Compute
from autoseg.model.recording import CudaRecorder
from autoseg.model.uploading import Uploaded, Uploader

SECOND = torch.device("cuda", 1)
PACKAGE = Path(autoseg.__file__).parent


@dataclass
class Driver:
    """Pretends to be `torch.cuda`; notes on which device everything takes place, and which one is current."""

    current: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    def _note(self, what: str, device: torch.device | None) -> int:
        index = self.current if device is None or device.index is None else device.index
        self.asked.append((what, index))
        return index

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        before, self.current = self.current, device.index
        yield
        self.current = before

    def Stream(self, device: torch.device | None = None) -> "Stream":  # noqa: N802 - as torch calls it
        return Stream(self, self._note("stream", device))

    def current_stream(self, device: torch.device | None = None) -> "Stream":
        return Stream(self, self._note("current stream", device))

    @contextmanager
    def stream(self, stream: "Stream") -> Iterator[None]:
        with self.device(torch.device("cuda", stream.index)):
            yield
        self.asked.append(("current afterwards", self.current))  # set back by torch, which begins to use that GPU

    def graph_pool_handle(self) -> tuple[int, int]:
        return (0, 1)

    def CUDAGraph(self) -> Any:  # noqa: N802 - as torch calls it
        return type("Graph", (), {"replay": lambda _: self._note("replay", None)})()

    @contextmanager
    def graph(self, graph: Any, *, pool: Any, stream: "Stream", capture_error_mode: str) -> Iterator[None]:
        self._note("graph", None)  # it waits for the current device, and frees memory of it
        with self.stream(stream):
            yield


@dataclass
class Stream:
    driver: Driver
    index: int

    def wait_stream(self, other: "Stream") -> None:
        assert other.index == self.index

    def wait_event(self, event: Any) -> None:
        self.driver.asked.append(("wait", self.index))

    def record_event(self) -> str:
        self.driver.asked.append(("event", self.index))
        return "sent"


class Tensor:
    """Pretends to be a tensor of the host, or of a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.streams: list[int] = []

    def pin_memory(self) -> "Tensor":
        return self

    def to(self, device: torch.device, *, non_blocking: bool) -> "Tensor":
        return Tensor(device)

    def record_stream(self, stream: Stream) -> None:
        self.streams.append(stream.index)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    for module in (recording, uploading):
        monkeypatch.setattr(module.torch, "cuda", driver)
    return driver


def test_steps_are_recorded_on_their_own_gpu(driver: Driver) -> None:
    recorder, tensor = CudaRecorder(SECOND), Tensor(SECOND)
    currents: list[int] = []

    def function(given: Any) -> tuple[Any, ...]:
        currents.append(driver.current)
        return (given,)

    with driver.device(SECOND):  # as a run has it
        recorder.warm_up(function, [tensor])  # type: ignore[list-item]
    recorder.record(function, [tensor])  # type: ignore[list-item]
    recorder.record(function, [tensor])  # type: ignore[list-item]
    assert {index for _, index in driver.asked} == {1}
    assert currents == [1, 1, 1]
    assert tensor.streams == [1] * 4
    assert [what for what, _ in driver.asked].count("stream") == 2  # all recordings, which share memory, have one


def test_batches_are_sent_to_their_own_gpu_whichever_is_current(driver: Driver) -> None:
    uploader = Uploader(Compute(SECOND, bfloat16=False))
    sent = uploader.send([Tensor(torch.device("cpu"))])  # type: ignore[list-item]
    (tensor,) = sent.arrived()
    assert tensor.device == SECOND
    assert tensor.streams == [1]  # type: ignore[attr-defined]
    assert {index for _, index in driver.asked} == {1}
    assert {what for what, _ in driver.asked} >= {"event", "wait", "current stream"}


def test_what_the_host_has_is_there_at_once() -> None:
    tensor = torch.zeros(2)
    assert Uploaded((tensor,)).arrived() == (tensor,)


def test_the_current_device_is_set_for_a_gpu_alone(driver: Driver) -> None:
    with Compute(SECOND, bfloat16=False).current():
        assert driver.current == 1
    with Compute(torch.device("cpu"), bfloat16=False).current():
        assert driver.current == 0


ASKS_THE_CURRENT_DEVICE = {
    "Stream", "current_stream", "default_stream", "synchronize", "mem_get_info", "get_device_properties", "memory_allocated",
    "max_memory_allocated", "memory_reserved", "get_device_capability", "get_rng_state", "set_rng_state",
}  # fmt: skip
"""What of `torch.cuda` answers for the current device where none is named."""

NEVER = {"current_device", "is_bf16_supported", "empty_cache", "manual_seed", "default_stream"}
"""What of `torch.cuda` cannot name one."""


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_asked_of_whichever_gpu_is_current(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        assert not name.endswith(".cuda"), f"line {call.lineno}: {name}() moves something to the current GPU"
        if name.startswith("torch.cuda."):
            what = name.rpartition(".")[2]
            assert what not in NEVER, f"line {call.lineno}: {name} is about the current GPU"
            assert what not in ASKS_THE_CURRENT_DEVICE or call.args, f"line {call.lineno}: {name} names no device"
            assert what != "graph" or "stream" in {given.arg for given in call.keywords}, f"line {call.lineno}: {name}"
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == "cuda"]
    moved = [
        node.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"torch.device", "torch.autocast"}
        for node in call.args
        if node in names
    ]
    assert not moved, f"lines {moved}: the first GPU is meant by its kind"
