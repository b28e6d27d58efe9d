"""What files of the system say, in both versions of control groups, written by hand as the kernel writes them."""

from pathlib import Path

import pytest

from autoseg.diagnosis import limits


def system(root: Path, **contents: str) -> Path:
    """Files of a system; `__` in a name is a slash."""
    for name, content in contents.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_a_system_that_says_nothing(tmp_path: Path) -> None:
    assert limits.quota_cores(tmp_path) is None
    assert limits.memory(tmp_path).total is None
    assert limits.memory(tmp_path).limit is None
    assert limits.file_system(tmp_path, tmp_path) == ""


@pytest.mark.parametrize(
    ("own", "above", "cores"),
    [("200000 100000", "max 100000", 2.0), ("max 100000", "150000 100000", 1.5), ("max 100000", "max 100000", None)],
)
def test_the_narrowest_quota_of_version_2_counts(tmp_path: Path, own: str, above: str, cores: float | None) -> None:
    root = system(tmp_path, proc__self__cgroup="0::/jobs/42\n")
    (root / "sys/fs/cgroup/jobs/42").mkdir(parents=True)
    (root / "sys/fs/cgroup/jobs/42/cpu.max").write_text(f"{own}\n")
    (root / "sys/fs/cgroup/jobs/cpu.max").write_text(f"{above}\n")
    assert limits.quota_cores(root) == cores


@pytest.mark.parametrize(("quota", "cores"), [("50000", 0.5), ("-1", None)])
def test_a_quota_of_version_1(tmp_path: Path, quota: str, cores: float | None) -> None:
    root = system(tmp_path, proc__self__cgroup="4:memory:/box\n1:cpu,cpuacct:/box\n")
    group = root / "sys/fs/cgroup/cpu,cpuacct/box"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    assert limits.quota_cores(root) == cores


def test_inside_a_container_the_group_is_the_root_of_what_is_seen(tmp_path: Path) -> None:
    root = system(tmp_path, proc__self__cgroup="0::/docker/abc\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/fs/cgroup/cpu.max").write_text("400000 100000\n")
    (root / "sys/fs/cgroup/memory.max").write_text("8000000000\n")
    assert limits.quota_cores(root) == 4.0
    assert limits.memory(root).limit == 8.0


@pytest.mark.parametrize(("limit", "expected_gb"), [("2000000000", 2.0), ("9223372036854771712", None)])
def test_a_limit_of_memory_of_version_1(tmp_path: Path, limit: str, expected_gb: float | None) -> None:
    root = system(tmp_path, proc__self__cgroup="4:memory:/box\n")
    (root / "sys/fs/cgroup/memory/box").mkdir(parents=True)
    (root / "sys/fs/cgroup/memory/box/memory.limit_in_bytes").write_text(f"{limit}\n")
    assert limits.memory(root).limit == expected_gb


def test_memory_and_what_is_swapped_out(tmp_path: Path) -> None:
    lines = "MemTotal: 16000000 kB\nMemFree: 1 kB\nMemAvailable: 8000000 kB\nSwapTotal: 2000000 kB\nSwapFree: 500000 kB\n"
    found = limits.memory(system(tmp_path, proc__meminfo=lines))
    assert (found.total, found.free) == (pytest.approx(16.384), pytest.approx(8.192))
    assert found.swapped == pytest.approx(1.536)


def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = (
        "/dev/sda / ext4 rw 0 0\nserver:/data /data/my\\040scans nfs4 rw 0 0\ntmpfs /data/my\\040scans/fast tmpfs rw 0 0\n"
    )
    root = system(tmp_path, proc__self__mounts=mounts)
    assert limits.file_system(Path("/data/my scans/runs"), root) == "nfs4"
    assert limits.file_system(Path("/data/my scans/fast"), root) == "tmpfs"
    assert limits.file_system(Path("/data/my scansX"), root) == "ext4"
    assert [limits.is_network(kind) for kind in ("nfs4", "fuse.sshfs", "cifs", "ext4", "tmpfs", "")] == [True] * 3 + [
        False
    ] * 3
