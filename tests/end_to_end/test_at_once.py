"""Any number of runs started at once on a workspace that holds no more than a plan."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import autoseg
from autoseg.catalogue import NETWORKS
from autoseg.training.run_state import read_state

pytestmark = pytest.mark.gate

COUNTING = """
import sys
from pathlib import Path
from autoseg.preprocessing import store
made, make = Path(sys.argv.pop(1)), store._make

def counted(case, *arguments):
    with made.open("a") as stream:
        stream.write(case.id + "\\n")
    return make(case, *arguments)

store._make = counted
from autoseg.__main__ import main
main()
"""


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_six_runs_at_once_all_succeed_and_preprocess_each_case_once(cohort: Path, tmp_path: Path) -> None:
    root, made = tmp_path / "run", tmp_path / "made.txt"
    plan = autoseg.plan(cohort, workspace=root, folds=2, overrides=["training.steps_per_epoch=2"]).plan
    document = json.loads((root / "plan.json").read_text(encoding="utf-8"))
    document["network"]["features"] = [4, 8, 8, 8][: len(plan.network.features)]
    (root / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    runs = [(network, fold) for network in NETWORKS for fold in (0, 1)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTING, made, "train", "-a", network, "-f", str(fold), "-w", root, "--epochs", "1",
             "--jobs", "1", "--precision", "float32", "--data", cohort, "--threads", "1"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for network, fold in runs
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=540)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(runs), "\n".join(outputs)
    for network, fold in runs:
        state = read_state(root / "models" / network / f"fold_{fold}")
        assert state is not None
        assert state.finished
    counts = Counter(made.read_text().split())
    assert set(counts.values()) == {1}
    assert len(counts) == 6
    left = [path.name for path in root.rglob(".*") if path.name.startswith((".lock", ".autoseg-"))]
    assert left == []
