"""What a type checker, and so an editor, knows of the public functions. Checked by mypy in the gate, never run.

A line that is wrong on purpose carries the error it has to give; mypy complains where it gives none.
"""

from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray
from torch import nn

import autoseg
from autoseg.commands.adopt import AdoptResult
from autoseg.commands.check import CheckResult
from autoseg.commands.compare import CompareResult
from autoseg.commands.evaluate import EvaluateResult
from autoseg.commands.plan import PlanOptions, PlanResult
from autoseg.commands.predict import PredictResult
from autoseg.commands.queue import QueueResult
from autoseg.commands.select import SelectResult
from autoseg.commands.train import TrainResult
from autoseg.events import Silent
from autoseg.exporting.card import InfoResult
from autoseg.exporting.export import ExportResult
from autoseg.inference.loaded import LoadedModel
from autoseg.inference.prediction import Prediction
from autoseg.reporting.report import ReportResult

# Results, and paths as text or as objects, by position where that is natural.
assert_type(autoseg.check("IBSR18"), CheckResult)
assert_type(autoseg.plan(Path("IBSR18"), plane="coronal", folds=5, jobs="auto"), PlanResult)
assert_type(autoseg.plan("IBSR18", planes=["coronal", "axial"], minutes=60, speed=256), PlanResult)
assert_type(autoseg.plan("IBSR18", planes="all"), PlanResult)
assert_type(autoseg.plan("IBSR18", overrides=["training.loss=dice"]), PlanResult)
assert_type(autoseg.train("unet", fold=0, workspace="runs/IBSR18", minutes=30), TrainResult)
assert_type(autoseg.train(fold="all", seed=[1, 2, 3]), TrainResult)
assert_type(autoseg.train(fold="official", track="wandb", events=Silent()), TrainResult)
assert_type(autoseg.predict("scans", Path("results"), model="brain.autoseg", mirror=False), PredictResult)
assert_type(autoseg.queue("results", top=5), QueueResult)
assert_type(autoseg.adopt(Path("results"), cases=["IBSR_07"], by="Anna", dry_run=True), AdoptResult)
assert_type(autoseg.evaluate("results", "references", output=Path("scores")), EvaluateResult)
assert_type(autoseg.compare(["runs/A", Path("runs/B")], references="references"), CompareResult)
assert_type(autoseg.select("runs/IBSR18", jobs=2), SelectResult)
assert_type(autoseg.report(output="report"), ReportResult)
assert_type(autoseg.export("brain.autoseg", onnx="onnx", force=True), ExportResult)
assert_type(autoseg.info("brain.autoseg"), InfoResult)
assert_type(autoseg.predict("scans", "results", device="cuda:0,1"), PredictResult)
assert_type(autoseg.train(fold="all", device=["cuda:0", "cuda:2"], jobs="auto"), TrainResult)
assert_type(autoseg.load_model(folders=["runs/IBSR18/models/unet/fold_0"]), LoadedModel)
assert_type(autoseg.load_model("brain.autoseg"), LoadedModel)
assert_type(autoseg.load_model(["a.autoseg", Path("b.autoseg")], device="cpu"), LoadedModel)
assert_type(autoseg.load_model("brain.autoseg").predict("scan.nii.gz"), Prediction)
assert_type(autoseg.load_model().predict(np.zeros((4, 5, 6)), spacing_mm=(1, 1, 1)).save("labels.nii.gz"), Path)
assert_type(autoseg.load_model().networks, tuple[nn.Module, ...])
assert_type(autoseg.load_model().slices(["t1.nii.gz", "t2.nii.gz"]), NDArray[np.float32])
assert_type(autoseg.check("IBSR18", events=autoseg.silent), CheckResult)
assert_type(autoseg.__version__, str)

# Names and types that are wrong.
autoseg.plan()  # type: ignore[call-arg]
autoseg.plan("IBSR18", "coronal")  # type: ignore[call-arg, arg-type]
autoseg.plan("IBSR18", plane="oblique")  # type: ignore[arg-type]
autoseg.plan("IBSR18", folds="five")  # type: ignore[arg-type]
autoseg.plan(18)  # type: ignore[arg-type]
autoseg.train("unet", minute=30)  # type: ignore[call-arg]
autoseg.train("unet", epochs=1.5)  # type: ignore[arg-type]
autoseg.predict("scans")  # type: ignore[call-arg]
autoseg.predict("scans", "results", workspace=3)  # type: ignore[arg-type]
autoseg.predict("scans", "results", device=1)  # type: ignore[arg-type]
autoseg.load_model(3)  # type: ignore[arg-type]
autoseg.select(device="cpu")  # type: ignore[call-arg]

# A command reads what was chosen as the type that it works with, and cannot change it.
options = PlanOptions("IBSR18")
assert_type(options.dataset, Path)
assert_type(options.workspace, Path | None)
assert_type(options.folds, int | None)
options.folds = 3  # type: ignore[misc]
