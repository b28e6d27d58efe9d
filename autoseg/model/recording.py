"""Work of a GPU that is recorded once and then replayed in one go.

Asking a GPU for an operation takes the host some microseconds; a training step of a small network asks for a thousand. A
recording (a CUDA graph) of all of them is asked for once.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import torch

TensorFunction = Callable[..., tuple[torch.Tensor, ...]]
"""Takes tensors and gives tensors, all on one device; what it does with them depends on their shapes alone."""

WARM_UP: Final = 3
"""Calls before one is recorded: in the first, memory is reserved and libraries choose how they compute.

Source: as many as torch's documentation of CUDA graphs takes."""

Shape = tuple[tuple[int, ...], torch.dtype, tuple[int, ...]]


class Recorder(Protocol):
    """Knows how to record what a device does."""

    def warm_up(self, function: TensorFunction, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Call a function in the way in which it will be recorded."""

    def record(
        self, function: TensorFunction, inputs: Sequence[torch.Tensor]
    ) -> tuple[Callable[[], None], tuple[torch.Tensor, ...]]:
        """Record a function without running it.

        Args:
            function: what to record.
            inputs: tensors that it will always read.

        Returns:
            what runs it again on whatever the inputs hold then, and the tensors in which its results will lie.
        """


class CudaRecorder:
    """Records CUDA graphs; all of one recorder share their memory, so that only the largest takes some.

    Args:
        device: the GPU, which need not be the current one.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        # Torch's own stream is on the GPU of the first recording in this process. All recordings that share memory have one.
        self._stream: torch.cuda.Stream | None = None

    def warm_up(self, function: TensorFunction, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Call a function on a stream of its own: see `Recorder`."""
        here, aside = torch.cuda.current_stream(self._device), self._new_stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            results = function(*inputs)
        here.wait_stream(aside)
        for tensor in (*inputs, *results):
            tensor.record_stream(here)
            tensor.record_stream(aside)
        return results

    def record(
        self, function: TensorFunction, inputs: Sequence[torch.Tensor]
    ) -> tuple[Callable[[], None], tuple[torch.Tensor, ...]]:
        """Record a function: see `Recorder`."""
        graph, self._stream = torch.cuda.CUDAGraph(), self._stream or self._new_stream()
        # Only this thread is watched: others may prepare batches meanwhile.
        recording = torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local")
        with torch.cuda.device(self._device), recording:
            results = function(*inputs)
        return graph.replay, results

    def _new_stream(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch leaves it unannotated


class Recorded:
    """A function that is recorded for each set of shapes, after a few calls, and replayed from then on.

    Where recording fails, it is called as it is: slower, with equal results.

    Args:
        function: what to call; it must not wait for the device, and what it changes besides must stay where it is.
        recorder: None: nothing is recorded.
        failed: told why recording failed, at most once.
    """

    def __init__(
        self, function: TensorFunction, *, recorder: Recorder | None, failed: Callable[[str], None] = lambda _: None
    ) -> None:
        self._function, self._recorder, self._failed = function, recorder, failed
        self._calls: Counter[tuple[Shape, ...]] = Counter()
        self._recordings: dict[tuple[Shape, ...], _Recording] = {}

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the function, or what was recorded of it; results are the caller's own."""
        if self._recorder is None:
            return self._function(*inputs)
        shapes = tuple((tuple(tensor.shape), tensor.dtype, tensor.stride()) for tensor in inputs)
        recording = self._recordings.get(shapes)
        if recording is None and self._calls[shapes] < WARM_UP:
            self._calls[shapes] += 1
            return self._recorder.warm_up(self._function, inputs)
        if recording is None:
            recording = self._record(self._recorder, inputs)
            if recording is None:
                return self._function(*inputs)
            self._recordings[shapes] = recording
        return recording(inputs)

    def _record(self, recorder: Recorder, inputs: Sequence[torch.Tensor]) -> "_Recording | None":
        held = [tensor.clone() for tensor in inputs]
        try:
            replay, results = recorder.record(self._function, held)
        except RuntimeError as error:  # torch gives no narrower one, and a full memory is one of them
            self._recorder = None
            self._recordings.clear()
            self._failed(str(error).partition("\n")[0])
            return None
        return _Recording(held, replay, results)


class _Recording:
    """What was recorded for one set of shapes."""

    def __init__(
        self, inputs: Sequence[torch.Tensor], replay: Callable[[], None], results: tuple[torch.Tensor, ...]
    ) -> None:
        self._inputs, self._replay, self._results = inputs, replay, results

    def __call__(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given, non_blocking=True)
        self._replay()
        return tuple(result.clone() for result in self._results)  # the next replay writes where these lie
