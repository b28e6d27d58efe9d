from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from autoseg.catalogue import DeviceChoice, MemoryFormatChoice, PrecisionChoice, Tracker
from autoseg.model.compute import Compute
from autoseg.runs.session import Session
from autoseg.runs.workspace import Workspace


@dataclass(frozen=True)
class Chosen:
    """What a user chose, or left as it is."""

    epochs: int | None = None
    minutes: float | None = None
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    workers: int | None = None
    memory_format: MemoryFormatChoice = "auto"
    restart: bool = False
    track: Tracker | None = None


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., Session]:
    """Sessions in an empty workspace, with neither plan nor cases."""

    def make(*, device: str = "cpu", cores: int = 1, **chosen: Any) -> Session:
        without: Any = None
        return Session(
            workspace=Workspace(tmp_path),
            plan=without,
            cases={},
            store=without,
            computes=tuple(Compute(torch.device(name), bfloat16=False) for name in device.split(",")),
            cores=cores,
            choices=Chosen(**chosen),
        )

    return make
