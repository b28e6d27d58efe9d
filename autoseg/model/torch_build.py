"""The installed torch: what it was built for, and what it finds here."""

import torch

from autoseg.model.compute import computes_bfloat16, present_devices

_BFLOAT16: dict[str, str] = {"avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX"}


def build_name() -> str:
    """What torch computes on beside the processor, such as `CUDA 12.8`; empty: nothing."""
    if torch.version.hip is not None:
        return f"ROCm {torch.version.hip}"
    return "" if torch.version.cuda is None else f"CUDA {torch.version.cuda}"


def gpus() -> tuple[tuple[str, float, bool], ...]:
    """The cards that torch can use: name, memory in GB, and whether each computes in bfloat16."""
    devices = [torch.device(name) for name in present_devices().cuda]
    properties = [torch.cuda.get_device_properties(device) for device in devices]
    return tuple(
        (about.name, about.total_memory / 1e9, computes_bfloat16(device))
        for device, about in zip(devices, properties, strict=True)
    )


def has_mps() -> bool:
    """Whether torch can use a graphics card of Apple."""
    return present_devices().mps


def bfloat16_instructions() -> tuple[str, ...]:
    """Instructions of the processor that make bfloat16 fast."""
    abilities = torch.cpu.get_capabilities()
    return tuple(name for key, name in _BFLOAT16.items() if abilities.get(key))


def threads() -> int:
    """On how many threads torch computes where nothing else is chosen."""
    return torch.get_num_threads()
