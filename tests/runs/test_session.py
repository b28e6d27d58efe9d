from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from oracles.watched_runs import Recorder

from autoseg.catalogue import NETWORKS, NetworkEntry, Package
from autoseg.planning.decided import Decision
from autoseg.planning.plan import Plan
from autoseg.runs import session as session_module
from autoseg.runs.session import Session, open_session, warn_of_memory

MakeSession = Callable[..., Session]


@pytest.mark.parametrize(("device", "cores", "expected"), [("cuda", 16, 8), ("cuda", 4, 3), ("cuda", 1, 0), ("cpu", 16, 0)])
def test_loading_processes_stay_within_the_share(
    session: MakeSession, device: Literal["cpu", "cuda"], cores: int, expected: int
) -> None:
    assert session(device=device, cores=cores).loading_processes == expected
    assert session(device=device, cores=cores, workers=5).loading_processes == 5


@pytest.mark.parametrize(
    ("devices", "runs", "expected"),
    [
        ("cuda:0", 3, ["cuda:0"] * 3),
        ("cuda:0,cuda:2", 2, ["cuda:0", "cuda:2"]),
        ("cuda:0,cuda:1", 5, ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]),
        ("cpu,cpu", 2, ["cpu", "cpu"]),
    ],
)
def test_runs_at_a_time_take_the_devices_in_turn(session: MakeSession, devices: str, runs: int, expected: list[str]) -> None:
    whole = session(device=devices)
    parts = [whole.on(slot) for slot in range(runs)]
    assert [part.devices for part in parts] == [(name,) for name in expected]
    assert [str(part.compute.device) for part in parts] == expected
    assert ",".join(whole.devices) == devices


def memory_warnings(entry: NetworkEntry, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said of a network that a package registers as `mine`, beside one of autoseg's own."""
    monkeypatch.setattr(NETWORKS, "_registered", {"mine": ()})
    monkeypatch.setitem(NETWORKS._loaded, "mine", entry)
    monkeypatch.setattr(NETWORKS, "package", lambda name: Package("my-nets", "1.2") if name == "mine" else None)
    events = Recorder()
    warn_of_memory(("unet", "mine"), plan, events=events)
    return events.warnings


def test_a_network_of_a_package_that_needs_too_much_memory_is_named(
    make_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, usual = make_plan(), NETWORKS["unet"]
    # 4 slices of 16 x 12 pixels: 768 pixels of 2 MB are 1.5 GB, of 1 MB 0.8 GB; the plan was made for 1 GB.
    hungry = replace(usual, bytes_per_pixel=lambda *_, **__: 2e6)
    (said,) = memory_warnings(hungry, plan, monkeypatch)
    assert said.startswith("the network `mine` of the package `my-nets` 1.2 needs about 1.5 GB for a training step")
    assert "sized for 1.0 GB" in said
    assert memory_warnings(replace(usual, bytes_per_pixel=lambda *_, **__: 1e6), plan, monkeypatch) == []
    (said,) = memory_warnings(replace(usual, bytes_of_weights=lambda *_, **__: 3e9), plan, monkeypatch)
    assert "about 3.0 GB" in said
    assert memory_warnings(usual, make_plan(inputs={"memory_gb": 1e-6}), monkeypatch) == []  # no more than autoseg's own


def test_edits_of_a_plan_from_which_nothing_is_made_are_warned_of(
    session: MakeSession, tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided = {"folds": Decision(rule="folds", value=tiny_plan.folds, reason="Asked for.")}
    plan = tiny_plan.model_copy(update={"folds": 7, "decisions": decided})
    for name in ("find_arrays", "warn_of_additions"):
        monkeypatch.setattr(session_module, name, lambda *_, **__: None)
    workspace: Any = SimpleNamespace(stored_splits=lambda: SimpleNamespace(edited=False))
    dataset: Any = SimpleNamespace(labelled=(), revision=0)
    events = Recorder()
    open_session(workspace, plan, dataset, choices=session().choices, computes=(), sharing=1, events=events)
    (told,) = events.warnings
    assert "`folds` in plan.json was changed to 7, which changes no fold" in told
