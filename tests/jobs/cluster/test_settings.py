"""Settings of SLURM: read, checked, and refused by name."""

from pathlib import Path

import pytest

from autoseg.errors import UsageError
from autoseg.jobs.cluster import settings
from autoseg.jobs.cluster.settings import SlurmSettings, read_settings


def written(folder: Path, text: str) -> Path:
    path = folder / "slurm.toml"
    path.write_text(text, encoding="utf-8")
    return path


ENOUGH = 'time = "12:00:00"\nmemory = "16G"\n'


def test_two_lines_are_enough(tmp_path: Path) -> None:
    assert read_settings(written(tmp_path, ENOUGH)) == SlurmSettings("12:00:00", "16G")


def test_everything_can_be_said(tmp_path: Path) -> None:
    more = 'partition = "gpu"\ngpus = 2\ncores = 8\njobs = 3\ndirectives = ["--qos=long"]\nbefore = ["module load cuda"]\n'
    found = read_settings(written(tmp_path, ENOUGH + more))
    assert (found.partition, found.gpus, found.cores, found.jobs) == ("gpu", 2, 8, 3)
    assert (found.directives, found.before) == (("--qos=long",), ("module load cuda",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ENOUGH + "core = 2", "has an unknown key core: did you mean `cores`?"),
        ('time = "1"', "lacks memory"),
        (ENOUGH + "cores = 0", "cores has an impossible value; expected a whole number from 1; found 0"),
        (ENOUGH + "gpus = true", "gpus has an impossible value"),
        (ENOUGH + 'before = "module load"', "before has an impossible value; expected a list of texts"),
        (ENOUGH + "directives = [1]", "directives has an impossible value"),
        (ENOUGH + 'partition = ""', "partition has an impossible value; expected a text"),
        (ENOUGH + 'account = "a\\nb"', "account has an impossible value"),
        ("time", "is no file of settings"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings(written(tmp_path, text))
    assert words in str(caught.value)
    assert str(tmp_path / "slurm.toml") in str(caught.value)


def test_the_file_is_found_in_its_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = tmp_path / "own" / "slurm.toml", tmp_path / "of_all" / "slurm.toml"
    monkeypatch.setattr(settings, "PLACES", places)
    with pytest.raises(UsageError, match="no settings"):
        read_settings(None)
    for place, jobs in reversed(list(zip(places, (1, 2), strict=True))):
        place.parent.mkdir()
        place.write_text(f"{ENOUGH}jobs = {jobs}")
        assert read_settings(None).jobs == jobs
    with pytest.raises(UsageError, match="no file of settings"):
        read_settings(tmp_path / "missing.toml")
