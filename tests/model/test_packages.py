"""What a model needs from packages beside autoseg."""

from pathlib import Path
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg import catalogue
from autoseg.errors import BundleError
from autoseg.model.packages import Registered, check_packages, registered_by_packages, warn_of_other_versions
from autoseg.planning.plan import Plan

MINE = {"kind": "network", "name": "mine", "package": "my-nets", "version": "1.2"}


def stand_in(monkeypatch: pytest.MonkeyPatch, table: catalogue.Table[Any], package: catalogue.Package) -> None:
    """Has a package register the name `mine` in a table."""
    monkeypatch.setattr(table, "package", lambda name: package if name == "mine" else None)
    monkeypatch.setattr(table, "_registered", {"mine": ()})


def test_a_model_of_autosegs_own_needs_no_package(tiny_plan: Plan) -> None:
    assert registered_by_packages("unet", tiny_plan) == ()


def test_what_stems_from_a_package_is_recorded_with_its_version(tiny_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, catalogue.NETWORKS, catalogue.Package("my-nets", "1.2"))
    assert registered_by_packages("mine", tiny_plan) == (Registered.model_validate(MINE),)


@pytest.mark.parametrize("table", [catalogue.NETWORKS, catalogue.NORMALISATIONS], ids=["network", "normalisation"])
def test_another_version_than_that_of_training_is_said_once(
    table: catalogue.Table[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = [Registered.model_validate({**MINE, "kind": table.kind})] * 2
    stand_in(monkeypatch, table, catalogue.Package("my-nets", "1.2"))
    events = Recorder()
    warn_of_other_versions(recorded, events)
    assert events.warnings == []
    stand_in(monkeypatch, table, catalogue.Package("my-nets", "1.3"))
    warn_of_other_versions(recorded, events)
    (warning,) = events.warnings
    assert f"the {table.kind} `mine` was that of `my-nets` 1.2 in training, and now is that of `my-nets` 1.3" in warning


def test_what_predicting_does_not_need_may_have_any_version(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, catalogue.LOSSES, catalogue.Package("my-nets", "1.3"))
    events = Recorder()
    warn_of_other_versions([Registered.model_validate({**MINE, "kind": "loss"})], events)
    assert events.warnings == []


def test_a_missing_package_is_asked_for_by_name() -> None:
    with pytest.raises(BundleError) as refused:
        check_packages({"registered": [MINE]}, where="model")
    assert refused.value.what == "the network `mine` comes from the package `my-nets` 1.2, which is not installed"
    assert refused.value.remedy == "Install `my-nets` and try again."
    assert refused.value.exit_code == 6


def test_another_package_that_registers_the_name_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, catalogue.NETWORKS, catalogue.Package("other-nets", "3"))
    with pytest.raises(BundleError) as refused:
        check_packages({"registered": [MINE]}, where="model")
    assert refused.value.found == "another network of this name, of the package `other-nets` 3"
    stand_in(monkeypatch, catalogue.NETWORKS, catalogue.Package("my-nets", "1.3"))
    check_packages({"registered": [MINE]}, where="model")


def test_a_name_that_has_become_autosegs_own_is_not_taken_for_it() -> None:
    with pytest.raises(BundleError) as refused:
        check_packages({"registered": [{**MINE, "name": "unet"}]}, where="model")
    assert refused.value.found == "another network of this name, of autoseg itself"


def test_the_package_of_a_loss_is_not_needed_to_predict() -> None:
    check_packages({"registered": [{**MINE, "kind": "loss"}]}, where="model")


@pytest.mark.parametrize("document", [[], {}, {"registered": 3}, {"registered": ["mine", {**MINE, "version": 1}]}])
def test_what_is_no_record_is_left_to_the_validation_of_the_whole(document: Any) -> None:
    check_packages(document, where=Path("model"))
