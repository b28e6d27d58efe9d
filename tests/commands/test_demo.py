"""`autoseg demo` up to its training; tests/end_to_end tells the whole story."""

from pathlib import Path
from typing import Any

import pytest

from autoseg.commands import demo, train
from autoseg.errors import TrainingError
from autoseg.events import Silent


def test_its_minutes_are_those_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demonstration begins with nothing each time: were its run not begun for lack of time, it would never be."""

    def stop(options: Any, _: object) -> None:
        raise TrainingError(f"{len(list((options.workspace / 'preprocessed').glob('*/*.json')))} arrays", remedy="None.")

    monkeypatch.setattr(train, "run", stop)
    with pytest.raises(TrainingError, match=r"[1-9]\d* arrays"):
        demo.run(demo.DemoOptions(folder=tmp_path / "demo"), Silent())
