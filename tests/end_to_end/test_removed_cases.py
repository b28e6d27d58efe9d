"""Cases that folds lose or gain after training: the commands that are printed then lead on, and agree with one another."""

import json
import shlex
from pathlib import Path

import pytest
from oracles.commands import autoseg
from oracles.tiny_cases import write_tiny_cases

TRAIN = ("train", "-w", "run", "--epochs", "1", "--precision", "float32")
RESTART = (
    "Begin it again with `autoseg train --restart`, without --continue: it had cases that the data set holds no more ({})"
)


def status(home: Path) -> str:
    return autoseg("status", "-w", "run", cwd=home).told


def named_by(told: str) -> list[str]:
    """The command below `Next:`."""
    name, *words = shlex.split(told[told.index("Next: ") :].splitlines()[1])
    assert name == "autoseg"
    return words


def remove(home: Path, case: str) -> None:
    (home / "data" / "imagesTr" / f"{case}_0000.nii").unlink()
    (home / "data" / "labelsTr" / f"{case}.nii").unlink()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data set of six cases, planned for two folds, both trained."""
    write_tiny_cases(tmp_path / "data", 6)
    autoseg("plan", "data", "-w", "run", "--folds", "2", cwd=tmp_path)
    autoseg(*TRAIN, "--fold", "all", cwd=tmp_path)
    return tmp_path


def test_after_a_case_is_removed_the_printed_commands_lead_to_a_selection(home: Path) -> None:
    (removed,) = json.loads((home / "run" / "splits.json").read_text())["folds"][0]["validation"][-1:]
    remove(home, removed)
    said = status(home)
    again = said[said.index("`autoseg plan") + 1 : said.index("`. Other cases")]
    autoseg(*shlex.split(again)[1:], cwd=home)
    told = status(home)
    assert "1 scored (its fold has other cases now), 1 scored" in told
    assert RESTART.format(removed) in told
    refused = [("select", "-w", "run"), (*TRAIN, "--fold", "0"), *((*TRAIN, "--fold", fold, "--continue") for fold in "01")]
    for command, code in zip(refused, (6, 5, 5, 5), strict=True):
        said = autoseg(*command, cwd=home, expect=code).said
        assert RESTART.format(removed) in said
        assert "splits.json back" not in said
    words = named_by(told)
    assert words[:6] == ["train", "--arch", "unet", "--fold", "0", "--restart"]
    autoseg(*words, cwd=home)
    told = status(home)
    assert named_by(told)[0] == "select"
    autoseg(*named_by(told), cwd=home)


def test_folds_that_have_more_cases_are_trained_further_and_selected(home: Path) -> None:
    """A case that the folds left out, as after an edit by hand, is held out again."""
    path = home / "run" / "splits.json"
    whole = json.loads(path.read_text())
    left_out = whole["folds"][0]["validation"][-1]
    folds = [{side: [case for case in cases if case != left_out] for side, cases in fold.items()} for fold in whole["folds"]]
    path.write_text(json.dumps(whole | {"folds": folds}))
    autoseg(*TRAIN, "--fold", "all", "--restart", cwd=home)
    path.write_text(json.dumps(whole))
    assert "Train it further with `autoseg train --continue`" in autoseg("select", "-w", "run", cwd=home, expect=6).said
    told = status(home)
    assert "2 scored" not in told
    words = named_by(told)
    assert words[:6] == ["train", "--arch", "unet", "--fold", "0", "--continue"]
    autoseg(*words, cwd=home)
    words = named_by(status(home))
    assert words[0] == "select"
    autoseg(*words, cwd=home)
