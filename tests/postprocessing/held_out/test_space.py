"""What probabilities will take is said before they are made, by the sizes of a few cases."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.postprocessing.held_out import space
from autoseg.postprocessing.held_out.space import tell_needed, tell_size


def session(folder: Path, *, slices: int, looked_at: list[str]) -> Any:
    """Two views of three classes: slices of 100 x 50 and of 10 x 10 pixels."""

    def footprints(case: str) -> tuple[Any, Any]:
        looked_at.append(case)
        return (
            SimpleNamespace(kept=(slices, 1, 1), size_px=(100, 50)),
            SimpleNamespace(kept=(slices, 1, 1), size_px=(10, 10)),
        )

    return SimpleNamespace(
        plan=SimpleNamespace(planes=("axial", "coronal"), data=SimpleNamespace(classes=(0, 1, 2))),
        store=SimpleNamespace(footprints=footprints),
        workspace=SimpleNamespace(root=folder),
    )


def target(cases: int, *, view: str | None = None) -> Any:
    ids = tuple(f"c{number}" for number in range(cases))
    return SimpleNamespace(members=SimpleNamespace(validation=ids), model=SimpleNamespace(view=view))


def test_the_size_follows_from_a_few_cases_and_the_views_of_the_model(tmp_path: Path) -> None:
    looked_at: list[str] = []
    events = Recorder()
    both = session(tmp_path, slices=100, looked_at=looked_at)
    tell_needed(both, [target(1_000), target(0), target(1_000, view="coronal")], events)
    assert len(looked_at) <= 40
    # 3 classes x 100 slices x (5,100 and 100 pixels) x 1,000 cases
    assert "1.6 GB at most" in events.notes[0]
    assert "--no-keep-probabilities" in events.notes[0]


def test_little_is_not_worth_a_word(tmp_path: Path) -> None:
    events = Recorder()
    tell_needed(session(tmp_path, slices=1, looked_at=[]), [target(5)], events)
    tell_size([], models=3, events=events)
    assert not events.notes
    assert not events.warnings


def test_a_disk_that_is_too_small_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: SimpleNamespace(free=1e8))
    events = Recorder()
    tell_needed(session(tmp_path, slices=100, looked_at=[]), [target(1_000)], events)
    assert "0.1 GB free" in events.warnings[0]


def test_what_there_is_to_read_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "_WORTH_SAYING_BYTES", 1)
    path = tmp_path / "a.npz"
    path.write_bytes(b"x" * 3_000)
    case: Any = SimpleNamespace(sha256={path: "", tmp_path / "gone.npz": ""})
    events = Recorder()
    tell_size([case], models=2, events=events)
    assert events.notes == ["the probabilities of 1 held-out cases by 2 models take 0.0 GB"]
