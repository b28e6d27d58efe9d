"""Scores as the command shows them, where some cases could not be scored, too."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import autoseg
from autoseg.cli.app import app
from autoseg.errors import CasesFailedError
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.reporting import figures


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Label maps of three cases that are right, and their references."""
    labels = np.zeros((3, 12, 12), np.uint8)
    labels[1, 2:6, 2:10] = 2
    for folder in ("ours", "references"):
        (tmp_path / folder).mkdir()
        for case in "abc":
            write_labels(tmp_path / folder / f"{case}.nii.gz", labels, Geometry((3, 12, 12), (2.0, 1.0, 1.0)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluated(*options: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", "ours", "references", *options])


def test_all_cases_are_scored(home: Path) -> None:
    said = evaluated()
    assert said.exit_code == 0, said.output
    assert "over 3 cases" in said.stdout
    summary = json.loads((home / "ours" / "evaluation" / "summary.json").read_text())
    assert (summary["cases"], summary["references"]) == (3, 3)


def test_what_pairs_is_shown_where_a_prediction_is_missing_and_never_looks_like_the_whole(home: Path) -> None:
    (home / "ours" / "b.nii.gz").unlink()
    said = evaluated()
    assert said.exit_code == 7
    assert "Mean +- standard deviation over 2 of 3 cases" in said.stdout
    assert "class 2  1.000 +- 0.000" in said.stdout
    assert "Wrote ours/evaluation/metrics.csv" in said.stdout
    assert "b.nii.gz: references/b.nii.gz: has no partner to compare with" in said.stderr
    assert "skipped" not in said.stderr  # all are scored again
    summary = json.loads((home / "ours" / "evaluation" / "summary.json").read_text())
    assert (summary["cases"], summary["references"]) == (2, 3)


def test_a_file_without_a_reference_takes_nothing_off_the_whole(home: Path) -> None:
    (home / "references" / "b.nii.gz").unlink()
    said = evaluated()
    assert said.exit_code == 7
    assert "over 2 cases" in said.stdout


def test_a_damaged_file_counts_as_missing(home: Path) -> None:
    (home / "ours" / "b.nii.gz").write_bytes(b"no image")
    said = evaluated()
    assert said.exit_code == 7
    assert "over 2 of 3 cases" in said.stdout


def test_as_data_there_is_one_document_with_both(home: Path) -> None:
    (home / "ours" / "b.nii.gz").unlink()
    said = evaluated("--json")
    document = json.loads(said.stdout)
    assert document["exit_code"] == said.exit_code == 7
    assert list(document["failures"]) == ["b.nii.gz"]
    assert (document["result"]["summary"]["cases"], document["result"]["summary"]["references"]) == (2, 3)


def test_quiet_says_what_is_wrong_alone(home: Path) -> None:
    (home / "ours" / "b.nii.gz").unlink()
    said = evaluated("--quiet")
    assert (said.exit_code, said.stdout) == (7, "")
    assert "has no partner" in said.stderr


def test_where_nothing_could_be_scored_there_is_no_table(home: Path) -> None:
    for case in "abc":
        (home / "ours" / f"{case}.nii.gz").write_bytes(b"no image")
    said = evaluated()
    assert (said.exit_code, said.stdout) == (7, "")
    assert "3 cases failed, none succeeded:" in said.stderr
    assert said.stderr.rstrip().endswith("\nFix the listed cases and run the same command again.")


def test_where_nothing_could_be_scored_no_plots_of_earlier_scores_stay(home: Path) -> None:
    evaluated()
    folder = home / "ours" / "evaluation"
    assert {path.name for path in folder.glob("*.png")} >= {"dice.png", "nsd.png", "hausdorff_mm.png"}
    (folder / "mine.png").touch()
    for case in "abc":
        (home / "ours" / f"{case}.nii.gz").write_bytes(b"no image")
    evaluated()
    assert [path.name for path in folder.glob("*.png")] == ["mine.png"]


def test_the_function_gives_the_scores_with_the_error(home: Path) -> None:
    (home / "ours" / "b.nii.gz").unlink()
    with pytest.raises(CasesFailedError) as failed:
        autoseg.evaluate("ours", "references", events=autoseg.silent)
    assert repr(failed.value.result) == "<EvaluateResult: 2 of 3 cases, mean Dice 1.0000>"
    assert {row["case"] for row in failed.value.result._records()} == {"a", "c"}


def test_plots_say_of_how_many_references_they_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = list[str]()
    monkeypatch.setattr(figures, "draw_bars", lambda *_, label: labels.append(label))
    autoseg.evaluate("ours", "references", events=autoseg.silent)
    assert not [label for label in labels if "cases" in label]
    (home / "ours" / "b.nii.gz").unlink()
    labels.clear()
    with pytest.raises(CasesFailedError):
        autoseg.evaluate("ours", "references", events=autoseg.silent)
    assert labels
    assert all(label.endswith("\n2 of 3 cases") for label in labels)
