"""What facts about a machine mean: each of them alone, on a machine that has no other fault."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoseg.diagnosis.facts import Disk, Facts, Gpu, Memory, Torch
from autoseg.diagnosis.judging import judge

GPU = Gpu("NVIDIA A100", 80.0, bfloat16=True)
FAST = Torch("2.13.0", bfloat16=("AVX512-BF16", "AMX"), threads=8)
GOOD = Facts(
    versions={"autoseg": "1", "python": "3.11"},
    missing={"onnx": ()},
    system="Linux 6",
    processor="a processor",
    cores=8,
    usable_cores=8,
    disk=Disk(Path("/work"), 500.0, "ext4"),
    torch=FAST,
    memory=Memory(total=32.0, free=20.0),
    browser=True,
)


def test_a_good_machine_has_no_fault() -> None:
    assert judge(GOOD) == ()
    assert judge(replace(GOOD, torch=Torch("2.13.0+cu128", "CUDA 12.8", gpus=(GPU,)))) == ()
    assert judge(replace(GOOD, torch=Torch("2.13.0", mps=True))) == ()


@pytest.mark.parametrize(
    ("changes", "what", "remedy"),
    [
        ({"torch": Torch("2.13.0")}, "no instructions for bfloat16: training takes about twice as long", "--minutes"),
        ({"torch": Torch("2.13.0+cu128", "CUDA 12.8", bfloat16=("AMX",))}, "and there is no GPU", "build without CUDA"),
        ({"nvidia": ("NVIDIA L4",)}, "built for the processor alone: NVIDIA L4 is not used", "build for CUDA"),
        (
            {"torch": Torch("2.13.0+cu128", "CUDA 12.8", bfloat16=("AMX",)), "nvidia": ("NVIDIA L4",)},
            "torch (CUDA 12.8) finds no GPU, but the driver names NVIDIA L4",
            "Update the driver; it has to know CUDA 12.8.",
        ),
        (
            {
                "torch": Torch("2.13.0+cu128", "CUDA 12.8", bfloat16=("AMX",)),
                "nvidia": ("NVIDIA L4",),
                "variables": {"CUDA_VISIBLE_DEVICES": ""},
            },
            "finds no GPU",
            "CUDA_VISIBLE_DEVICES is '': unset it",
        ),
        (
            {"torch": Torch("2.13.0+cu128", "CUDA 12.8", gpus=(replace(GPU, bfloat16=False),))},
            "NVIDIA A100 does not compute in bfloat16",
            "newer GPU",
        ),
        (
            {"torch": Torch("2.13.0+cu128", "CUDA 12.8", gpus=(replace(GPU, memory_gb=2.0),))},
            "NVIDIA A100 has 2.0 GB of memory",
            "--memory",
        ),
        ({"variables": {"OMP_NUM_THREADS": "2"}}, "OMP_NUM_THREADS is 2: torch computes on 2 of 8 cores", "--threads 8"),
        ({"quota_cores": 1.5}, "the container may use 1.5 cores, and programs see 8", "--threads 1 --jobs 1"),
        ({"usable_cores": 1}, "one core for everything", "batch system"),
        ({"memory": Memory(32.0, 2.0)}, "2.0 GB of memory are left", "--memory 1.0"),
        ({"memory": Memory(32.0, 20.0, limit=3.0)}, "3.0 GB of memory are left", "--memory 1.5"),
        ({"memory": Memory(32.0, 20.0, swapped=3.0)}, "3.0 GB of memory are swapped out", "fewer --jobs"),
        ({"disk": Disk(Path("/work"), 500.0, "nfs4", network=True)}, "network file system (nfs4)", "local disk"),
        ({"disk": Disk(Path("/work"), 3.0)}, "3.0 GB of disk are left", "--no-keep-probabilities"),
    ],
)
def test_what_is_slow_is_told_with_a_cure(changes: dict[str, Any], what: str, remedy: str) -> None:
    (finding,) = judge(replace(GOOD, **changes))
    assert not finding.fatal
    assert what in finding.what
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"torch": None, "broken": {"torch": "OSError: libcudart"}}, "torch cannot be loaded (OSError: libcudart)"),
        ({"broken": {"SimpleITK": "ImportError: x"}}, "SimpleITK cannot be loaded"),
        ({"disk": Disk(Path("/work"), 500.0, writable=False)}, "/work may not be written"),
        ({"disk": Disk(Path("/work"), 0.01)}, "the disk of /work is full (0.01 GB left)"),
    ],
)
def test_what_cannot_work_comes_first(changes: dict[str, Any], what: str) -> None:
    first, *others = judge(replace(GOOD, usable_cores=1, **changes))
    assert first.fatal
    assert what in first.what
    assert first.remedy
    assert [finding.fatal for finding in others] == [False]


@pytest.mark.parametrize("variables", [{"OMP_NUM_THREADS": "8"}, {"OMP_NUM_THREADS": "x"}, {"OMP_NUM_THREADS": "0"}])
def test_threads_that_limit_nothing_are_no_fault(variables: dict[str, str]) -> None:
    assert judge(replace(GOOD, variables=variables)) == ()
