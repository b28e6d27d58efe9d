"""The commands of the page on regions, on the phantom whose tumour has nested regions."""

import json
import re
import shlex
from pathlib import Path

import pytest
from oracles.commands import autoseg as command
from oracles.phantom_tumour import TumourSettings, write_tumours

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "regions.md").read_text(encoding="utf-8")
SMALL = (40, 24, 40)


def test_the_phantom_is_declared_as_shown(tmp_path: Path) -> None:
    write_tumours(tmp_path, TumourSettings(training=0, test=0))
    found = json.loads((tmp_path / "dataset.json").read_text(encoding="utf-8"))
    shown = json.loads(re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)[0])
    assert {key: value for key, value in found.items() if key != "numTraining"} == shown


@pytest.mark.slow
def test_the_commands_run_as_shown(tmp_path: Path) -> None:
    write_tumours(tmp_path / "Dataset001_Tumour", TumourSettings(training=6, test=1, shape=SMALL))
    lines = re.findall(r"^autoseg (.*)$", PAGE, flags=re.MULTILINE)
    told = {}
    for line in lines:
        name, *_ = arguments = shlex.split(line)
        told[name] = command(*arguments, cwd=tmp_path, environment={"OMP_NUM_THREADS": "1"}).told
        if name == "plan":  # runs of an epoch
            path = tmp_path / "runs" / "Tumour" / "plan.json"
            plan = json.loads(path.read_text(encoding="utf-8"))
            plan["training"] |= {"steps_per_epoch": 20, "epochs": 2, "minutes": None}
            path.write_text(json.dumps(plan), encoding="utf-8")
    assert list(told) == ["plan", "train", "select", "predict", "evaluate", "report", "export"]
    assert "3 regions that nest" in told["plan"]
    header = (tmp_path / "results" / "predictions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "whole tumour_ml,tumour core_ml,enhancing_ml" in header
    assert "whole tumour" in (tmp_path / "scores" / "metrics.csv").read_text(encoding="utf-8")
