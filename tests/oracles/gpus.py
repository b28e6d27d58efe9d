"""Graphics cards that are pretended: a driver's program that tells of them."""

import os
from pathlib import Path

import pytest

ASKED = "--query-gpu=memory.total,uuid,mig.mode.current,name"


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: str, ends: int = 0) -> None:
    """Have nvidia-smi print some lines and end with a code, and no variable say which GPUs may be used."""
    program = folder / "nvidia-smi"
    printed = "".join(f"echo '{line}'\n" for line in lines)
    program.write_text(f'#!/bin/sh\ntest "$1" = {ASKED} || exit 1\n{printed}exit {ends}\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    for variable in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(variable, raising=False)
