"""What a network was trained on: the processor or the GPUs, by their makers' names."""

from functools import cache

import torch

from autoseg.jobs.machine import processor_name
from autoseg.model.description import Hardware


def hardware_of(device: torch.device, *, processes: int, threads: int | None) -> Hardware:
    """Describe what computes.

    Args:
        device: of the first process; the others have one of the same kind.
        processes: that train together.
        threads: processor threads that compute; None: not known.
    """
    on_processor = device.type == "cpu"
    return Hardware(
        processor=_processor(),
        gpu=None if on_processor else _gpu(device),
        processes=processes,
        threads=threads if on_processor else None,
    )


_processor = cache(processor_name)  # which does not change, and is asked for after every epoch


def _gpu(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} GPU"
