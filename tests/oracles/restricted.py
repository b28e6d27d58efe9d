"""RunContext that refuse: permissions that bind even an administrator, files that may not grow, full disks."""

import ctypes
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522
_CLONE_NEWNS, _MS_RDONLY, _MS_REC, _MS_PRIVATE = 0x20000, 0x1, 0x4000, 0x40000
"""Source: linux/prctl.h, linux/capability.h, linux/sched.h, linux/mount.h."""


def as_ordinary_user() -> None:
    """Called between fork and exec: permissions of files hold for the new process, whoever runs the tests."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # an ordinary user may not, and need not


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("process", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Permissions of files hold for this process, too, whoever runs the tests."""
    if sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = _Header(_CAPABILITY_VERSION_3, 0)
    words = (_Capabilities * 2)()  # of 32 capabilities each
    assert libc.capget(ctypes.byref(header), words) == 0, os.strerror(ctypes.get_errno())
    before = words[0].effective
    words[0].effective &= ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH)
    assert libc.capset(ctypes.byref(header), words) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        words[0].effective = before
        assert libc.capset(ctypes.byref(header), words) == 0, os.strerror(ctypes.get_errno())


@contextmanager
def small_files(limit_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond a limit, as on a disk that is nearly full.

    For as few lines as possible: what the tests themselves write, perhaps into a long log, is restricted, too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(folder: Path, *, size_bytes: int) -> Iterator[bool]:
    """A file system of its own on a folder; says whether the system permits it."""
    mounted = (
        sys.platform == "linux"
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def shared_memory_of(size_bytes: int) -> Callable[[], None]:
    """To be called between fork and exec: for the new process alone, /dev/shm holds so many bytes; 0: it cannot be written.

    The call raises OSError where the system does not permit that.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def succeed(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def prepare() -> None:
        succeed(libc.unshare(_CLONE_NEWNS))
        succeed(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
        options, flags = f"size={size_bytes or 4096}".encode(), 0 if size_bytes else _MS_RDONLY
        succeed(libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", flags, options))

    return prepare
