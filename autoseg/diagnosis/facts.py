"""What is known about a machine, as far as autoseg works well on it or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Gpu:
    """A graphics card that torch can use.

    Attributes:
        name: of its model.
        memory_gb: its memory.
        bfloat16: whether it computes in bfloat16.
    """

    name: str
    memory_gb: float
    bfloat16: bool


@dataclass(frozen=True)
class Torch:
    """The installed torch.

    Attributes:
        version: of it.
        build: what it computes on beside the processor: `CUDA 12.8`, `ROCm 6.2`; empty: nothing.
        gpus: the cards it can use.
        mps: whether it can use a graphics card of Apple.
        bfloat16: instructions of the processor for bfloat16, such as `AMX`; empty: none.
        threads: on how many it computes.
    """

    version: str
    build: str = ""
    gpus: tuple[Gpu, ...] = ()
    mps: bool = False
    bfloat16: tuple[str, ...] = ()
    threads: int = 1


@dataclass(frozen=True)
class Memory:
    """Memory of the machine, in GB.

    Attributes:
        total: there is.
        free: that programs may still have; None: not known.
        limit: that this container or batch job may have; None: all.
        swapped: that is swapped out.
    """

    total: float | None = None
    free: float | None = None
    limit: float | None = None
    swapped: float = 0.0


@dataclass(frozen=True)
class Disk:
    """Where workspaces lie.

    Attributes:
        folder: the folder, or the nearest one above it that is there.
        free_gb: space left.
        file_system: its type, such as `ext4`; empty: not known.
        network: whether it is on another machine.
        writable: whether it may be written.
    """

    folder: Path
    free_gb: float
    file_system: str = ""
    network: bool = False
    writable: bool = True


@dataclass(frozen=True)
class Facts:
    """What is known about a machine.

    Attributes:
        versions: of Python and packages, by name.
        missing: for each extra, the packages of it that are not installed.
        system: name and version of the operating system.
        processor: its model.
        cores: the machine has.
        usable_cores: this process may run on.
        quota_cores: processor time that this container or batch job may have, in cores; None: all.
        torch: the installed one; None: it cannot be loaded.
        broken: packages that cannot be loaded, each with the reason.
        nvidia: NVIDIA cards that the driver names, where torch finds none.
        variables: environment variables that matter, by name.
        memory: of the machine.
        disk: where workspaces lie.
        browser: whether a page can be opened in a browser.
    """

    versions: Mapping[str, str]
    missing: Mapping[str, tuple[str, ...]]
    system: str
    processor: str
    cores: int
    usable_cores: int
    disk: Disk
    quota_cores: float | None = None
    torch: Torch | None = None
    broken: Mapping[str, str] = field(default_factory=dict)
    nvidia: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    memory: Memory = Memory()
    browser: bool = False
