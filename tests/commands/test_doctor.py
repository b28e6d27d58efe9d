"""`autoseg doctor`: what is found here is told; what cannot work ends with exit code 5."""

from dataclasses import replace

import pytest
from oracles.commands import autoseg as command

import autoseg
from autoseg.commands import doctor
from autoseg.diagnosis import gathering
from autoseg.diagnosis.facts import Memory


def test_the_machine_of_the_tests_is_told_in_words_and_as_data() -> None:
    answer = command("doctor")
    for word in ("autoseg", "packages", "torch", "processor", "graphics", "memory", "disk", "browser"):
        assert word in answer.told
    document = command("doctor", "--json").document
    assert document["facts"]["torch"]["version"] == document["facts"]["versions"]["torch"]
    assert document["facts"]["usable_cores"] >= 1
    assert all(finding["remedy"] for finding in document["findings"])


def test_it_is_a_function_too() -> None:
    result = autoseg.doctor()
    assert result.facts.versions["autoseg"] == autoseg.__version__
    assert not any(finding.fatal for finding in result.findings)


def test_what_cannot_work_is_exit_code_5_with_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = replace(autoseg.doctor().facts, torch=None, broken={"torch": "ImportError: libcudart.so.12"})
    monkeypatch.setattr(gathering, "gather", lambda folder: facts)
    answer = command("doctor", "--json", expect=5)
    assert "torch cannot be loaded (ImportError: libcudart.so.12)" in answer.document["what"]
    assert "pytorch.org" in answer.document["remedy"]
    assert "processor: " in answer.said


def test_warnings_are_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = replace(autoseg.doctor().facts, memory=Memory(total=32.0, free=2.0))
    monkeypatch.setattr(gathering, "gather", lambda folder: facts)
    told = command("doctor").told
    assert "What is slow here:" in told
    assert "plan with --memory 1.0" in told
    assert "shm" not in told  # batches come through pipes


def test_every_fact_is_in_words_whatever_is_known() -> None:
    facts = autoseg.doctor().facts
    bare = replace(facts, torch=None, broken={"torch": "x"}, missing={"onnx": ("onnx",)}, quota_cores=2.0)
    words = dict(doctor.told(bare))
    assert words["graphics"] == "not known without torch"
    assert words["extras"] == "onnx (without onnx)"
    assert "a quota of 2" in words["processor"]
