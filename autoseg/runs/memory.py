"""How much memory a training step may take on this machine, for plans that are sized for it."""

from autoseg.catalogue import DeviceKind
from autoseg.catalogue.devices import DeviceChoice
from autoseg.events import Events
from autoseg.jobs.nvidia import GpuMemory, gpu_memory
from autoseg.planning.memory import MEMORY_GB, step_gb_of_gpu


def machine_memory_gb(kind: DeviceKind, device: DeviceChoice, events: Events) -> float:
    """What a training step may take where nothing was asked for, in GB: so much of the GPU that would be used here.

    Args:
        kind: of the machine that is planned for.
        device: what is asked for.
        events: told of the GPU, and warned where its memory is not known.
    """
    asks = kind == "gpu" and device.kind != "mps"
    memory = gpu_memory(device) if asks else GpuMemory()
    memory_gb = MEMORY_GB[kind] if memory.gb is None else step_gb_of_gpu(memory.gb)
    if memory.remark:
        events.warn(f"{memory.remark}: a training step may take {memory_gb:g} GB (--memory)")
    elif memory.gb is not None:
        events.info(f"the GPU here has {memory.gb:.0f} GB, of which a training step may take {memory_gb:g} (--memory)")
    return memory_gb
