"""What probabilities will take is said before they are made, by the sizes of a few cases."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.postprocessing.held_out import space
from autoseg.postprocessing.held_out.space import most_bytes, tell_size


def session(folder: Path, *, slices: int, looked_at: list[str], keep: bool = True, missing: bool = False) -> Any:
    """Two views of three classes: slices of 100 x 50 and of 10 x 10 pixels."""

    def footprints(case: str) -> tuple[Any, Any]:
        looked_at.append(case)
        return (
            SimpleNamespace(kept=(slices, 1, 1), size_px=(100, 50)),
            SimpleNamespace(kept=(slices, 1, 1), size_px=(10, 10)),
        )

    views = (SimpleNamespace(plane="axial"), SimpleNamespace(plane="coronal"))
    return SimpleNamespace(
        plan=SimpleNamespace(views=views, data=SimpleNamespace(classes=(0, 1, 2))),
        store=SimpleNamespace(footprints=footprints, holds=lambda _: not missing),
        workspace=SimpleNamespace(root=folder, fingerprint=lambda: SimpleNamespace(cases=[SimpleNamespace(id="c0")])),
        choices=SimpleNamespace(keep_probabilities=keep),
    )


def target(cases: int, *, view: str | None = None) -> Any:
    ids = tuple(f"c{number}" for number in range(cases))
    return SimpleNamespace(members=SimpleNamespace(validation=ids), model=SimpleNamespace(view=view))


def test_the_size_follows_from_a_few_cases_and_the_views_of_the_model(tmp_path: Path) -> None:
    looked_at: list[str] = []
    both = session(tmp_path, slices=100, looked_at=looked_at)
    # 3 classes x 100 slices x 5,100 pixels, or the 100 of one view, x 1,000 cases
    assert most_bytes(target(1_000), both) == 3 * 100 * 5_100 * 1_000
    assert most_bytes(target(1_000, view="coronal"), both) == 3 * 100 * 100 * 1_000
    assert most_bytes(target(0), both) == 0
    assert len(looked_at) <= 40


def test_nothing_is_taken_where_they_are_not_kept(tmp_path: Path) -> None:
    assert most_bytes(target(10), session(tmp_path, slices=100, looked_at=[], keep=False)) == 0


def test_cases_that_are_not_preprocessed_yet_are_told_by_their_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "voxels_of", lambda case, _plan, view: 7 if view.plane == "axial" and case.id == "c0" else 5)
    assert most_bytes(target(1), session(tmp_path, slices=1, looked_at=[], missing=True)) == 3 * (7 + 5)


def test_little_to_read_is_not_worth_a_word() -> None:
    events = Recorder()
    tell_size([], models=3, events=events)
    assert not events.notes


def test_what_there_is_to_read_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "WORTH_SAYING_BYTES", 1)
    path = tmp_path / "a.npz"
    path.write_bytes(b"x" * 3_000)
    case: Any = SimpleNamespace(sha256={path: "", tmp_path / "gone.npz": ""})
    events = Recorder()
    tell_size([case], models=2, events=events)
    assert events.notes == ["the probabilities of 1 held-out cases by 2 models take 0.0 GB"]
