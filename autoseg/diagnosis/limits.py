"""What the operating system says of memory and disks, and what a container or batch job may have of them.

Everything is read from files of Linux; other systems have none of them, and then nothing is known.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from autoseg.diagnosis.facts import Memory

SYSTEM: Final = Path("/")
_GROUPS: Final = Path("sys/fs/cgroup")
_UNLIMITED: Final = 1 << 60
"""Limits of memory from here on are none. Source: version 1 of control groups gives the largest multiple of a page."""

_NETWORK: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "afs",
        "9p",
        "pvfs2",
        "orangefs",
    }
)
_OF_FUSE: Final = frozenset(
    {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.beegfs"}
)
"""File systems on other machines. Source: their names in the kernel and of their programs."""


def quota_cores(root: Path = SYSTEM) -> float | None:
    """Processor time that this control group may have, in cores; None: all.

    Args:
        root: of the system's files.
    """
    found = []
    for group in _groups("cpu", root):
        with suppress(OSError, ValueError):
            quota, period = (group / "cpu.max").read_text().split()
            found += [] if quota == "max" else [int(quota) / int(period)]
        with suppress(OSError, ValueError):
            quota_us, period_us = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            found += [quota_us / period_us] if quota_us > 0 else []
    return min(found, default=None)


def memory(root: Path = SYSTEM) -> Memory:
    """Memory of the machine and of this control group."""
    values: dict[str, float] = {}
    with suppress(OSError, ValueError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            name, _, amount = line.partition(":")
            values[name] = int(amount.split()[0]) * 1024 / 1e9
    swap = values.get("SwapTotal", 0.0)
    return Memory(
        values.get("MemTotal"),
        values.get("MemAvailable"),
        _memory_limit_gb(root),
        swap - values.get("SwapFree", swap),
    )


def file_system(folder: Path, root: Path = SYSTEM) -> str:
    """Type of the file system that a folder lies on; empty: not known."""
    place, best = str(folder.resolve()), ("", "")
    with suppress(OSError):
        for line in (root / "proc/self/mounts").read_text().splitlines():
            fields = line.split()
            mounted = fields[1].replace("\\040", " ") if len(fields) > 2 else ""
            inside = mounted and (place == mounted or place.startswith(f"{mounted.rstrip('/')}/"))
            if inside and len(mounted) >= len(best[0]):
                best = mounted, fields[2]
    return best[1]


def is_network(kind: str) -> bool:
    """Whether a type of file system is one on other machines."""
    return kind in _NETWORK or kind in _OF_FUSE


def _memory_limit_gb(root: Path) -> float | None:
    found = []
    for group in _groups("memory", root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # "max" is no number
                found.append(int((group / name).read_text()))
    return min((limit / 1e9 for limit in found if limit < _UNLIMITED), default=None)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Folders of the control group of this process, and of those above it, in both versions of control groups."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            for base in (root / _GROUPS / controllers, root / _GROUPS / "unified"):
                place = base / path.lstrip("/")
                yield from (each for each in (place, *place.parents) if each.is_relative_to(base))
