"""What a run writes for each epoch: as much for the last as for the first, and whole wherever it is interrupted."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from autoseg.events import Silent
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.storage import files
from autoseg.training import epoch_files
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.history import EpochLog, read_history, read_steps
from autoseg.training.loop import train
from autoseg.training.run_state import RunState

MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)


def run(plan: Plan, fold: FoldData, folder: Path, *, epochs: int) -> RunState:
    config = TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32", "epochs": epochs})
    return train(plan, config, fold, context=RunContext(folder, CPU, 0, Silent()))


class StoppedError(Exception):
    """Stands for the end of the process."""


def test_an_epoch_writes_as_much_whatever_was_before_it(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    append, write = files.append_bytes, files.write_bytes

    def counted(work: Callable[..., None]) -> Callable[..., None]:
        def count(path: Path, content: bytes, **choices: bool) -> None:
            if written and path.name != "bundle.json":  # which only the best epochs write
                written[-1] += len(content)
            work(path, content, **choices)

        return count

    begin = EpochLog.append

    def next_epoch(log: EpochLog, *record: object) -> None:
        written.append(0)
        begin(log, *record)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "append_bytes", counted(append))
    monkeypatch.setattr(files, "write_bytes", counted(write))
    monkeypatch.setattr(EpochLog, "append", next_epoch)
    run(make_plan(), fold, tmp_path, epochs=30)
    written.pop()  # the end of the run is with it
    assert len(written) == 29
    assert max(written) < 1.05 * min(written)


@pytest.mark.parametrize("unfinished", ["append_steps", "save_checkpoint"])
def test_histories_are_those_of_a_run_without_interruption(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unfinished: str
) -> None:
    """StoppedError between two of the files that an epoch leaves, before its checkpoint says that it counts."""
    work, calls = getattr(epoch_files, unfinished), 0

    def stop(*arguments: object, **choices: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StoppedError
        work(*arguments, **choices)

    with monkeypatch.context() as patch:
        patch.setattr(epoch_files, unfinished, stop)
        with pytest.raises(StoppedError):
            run(make_plan(), fold, tmp_path / "parts", epochs=4)
    assert [row["epoch"] for row in read_history(tmp_path / "parts" / "history.csv")] == [1, 2]  # the second does not count
    found = run(make_plan(), fold, tmp_path / "parts", epochs=4)
    expected = run(make_plan(), fold, tmp_path / "whole", epochs=4)
    timed = {"seconds", "slices_per_s"}
    assert [epoch.model_dump(exclude=timed) for epoch in found.epochs] == [
        epoch.model_dump(exclude=timed) for epoch in expected.epochs
    ]
    one, other = (read_history(tmp_path / name / "history.csv") for name in ("parts", "whole"))
    assert [{**row, **dict.fromkeys(timed, 0.0)} for row in one] == [{**row, **dict.fromkeys(timed, 0.0)} for row in other]
    assert [step.loss for step in read_steps(tmp_path / "parts" / "steps.csv")] == [
        step.loss for step in read_steps(tmp_path / "whole" / "steps.csv")
    ]
    one_model, other_model = (load_bundle(tmp_path / name).network.state_dict() for name in ("parts", "whole"))
    assert all(torch.equal(one_model[name], other_model[name]) for name in one_model)


def test_a_run_begun_again_keeps_no_epoch_of_one_that_had_no_checkpoint(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path
) -> None:
    (tmp_path / "history.csv").write_text("epoch\n1\n2\n")
    (tmp_path / "epochs.jsonl").write_text("{}\n")
    run(make_plan(), fold, tmp_path, epochs=1)
    assert [row["epoch"] for row in read_history(tmp_path / "history.csv")] == [1]
    assert len((tmp_path / "epochs.jsonl").read_bytes().splitlines()) == 1
