"""That results cannot be written is told before the work, not after it: here, before anything else that is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from autoseg.commands import compare, evaluate, export, predict, report
from autoseg.errors import AutosegError, SystemFailureError
from autoseg.events import Silent

HELD_UP: dict[str, Callable[[Path], object]] = {
    "predict": lambda output: predict.run(predict.PredictOptions(Path("none"), output, workspace=Path("run")), Silent()),
    "evaluate": lambda output: evaluate.run(evaluate.EvaluateOptions(Path("none"), Path("none"), output=output), Silent()),
    "compare": lambda output: compare.run(compare.CompareOptions(["none", "nothing"], output=output), Silent()),
    "report": lambda output: report.run(report.ReportOptions(Path("run"), output=output), Silent()),
    "export": lambda output: export.run(export.ExportOptions(output / "model.autoseg", workspace=Path("run")), Silent()),
    "export, networks": lambda output: export.run(
        export.ExportOptions(Path("model.autoseg"), workspace=Path("run"), onnx=output), Silent()
    ),
}
"""Each command with data that it cannot work with."""


@pytest.mark.parametrize("command", HELD_UP)
def test_a_place_that_takes_no_files_is_told_first(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_text("{}")
    (tmp_path / "file").touch()
    with pytest.raises(SystemFailureError, match="cannot be written") as told:
        HELD_UP[command](Path("file") / "results")
    assert told.value.where == str(Path("file") / "results")
    with pytest.raises(AutosegError, match=r"^(?!cannot be written)"):
        HELD_UP[command](Path("results"))
    assert not (tmp_path / "results").exists()
