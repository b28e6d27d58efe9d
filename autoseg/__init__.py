"""Self-configuring segmentation of medical images in 2D.

What the commands do is here as functions, for notebooks and programs:

    import autoseg

    planned = autoseg.plan("IBSR18")
    autoseg.train("unet", fold=0, minutes=30)
    autoseg.predict("new_scans", "results")
    model = autoseg.load_model()
    prediction = model.predict(volume, spacing_mm=(1.5, 0.94, 0.94))

They take the same choices as the commands, return what the commands print, and raise the same errors
(`autoseg.errors.AutosegError`). Nothing heavy is loaded before it is needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autoseg import catalogue
from autoseg.events import Events, Silent

if TYPE_CHECKING:
    from autoseg.commands.check import CheckResult
    from autoseg.commands.evaluate import EvaluateResult
    from autoseg.commands.export import ExportResult
    from autoseg.commands.plan import PlanResult
    from autoseg.commands.predict import PredictResult
    from autoseg.commands.report import ReportResult
    from autoseg.commands.select import SelectResult
    from autoseg.commands.train import TrainResult
    from autoseg.exporting.card import InfoResult
    from autoseg.inference.loaded import LoadedModel

__all__ = ["check", "evaluate", "export", "info", "load_model", "plan", "predict", "report", "select", "train"]

PathLike = str | Path


def check(
    dataset: PathLike, *, not_finite: catalogue.NotFinite = "refuse", jobs: int = 1, events: Events | None = None
) -> "CheckResult":
    """Examine every file of a data set: `autoseg check`.

    Args:
        dataset: folder of the data set; its layout is recognised.
        not_finite: what to do with voxels that are NaN or infinite: `refuse` the scan, or take them for `zero`.
        jobs: processes that read scans.
        events: where progress and remarks go; None: nowhere.

    Returns:
        what there is.

    Raises:
        AutosegError: everything that is wrong, with what to do next.
    """
    from autoseg.commands import check as stage

    return stage.run(stage.CheckConfig(dataset=Path(dataset), not_finite=not_finite, jobs=jobs), events or Silent())


def plan(
    dataset: PathLike,
    *,
    workspace: PathLike | None = None,
    name: str | None = None,
    recipe: catalogue.Recipe = "auto",
    plane: catalogue.Plane | Literal["auto"] = "auto",
    folds: int | None = None,
    not_finite: catalogue.NotFinite = "refuse",
    device: catalogue.DeviceChoice = "auto",
    memory_gb: float | None = None,
    jobs: int = 1,
    force: bool = False,
    events: Events | None = None,
) -> "PlanResult":
    """Look at a data set, decide everything, and write the workspace: `autoseg plan`.

    Args:
        dataset: folder of the data set; its layout is recognised.
        workspace: where to put everything; None: `runs/<name>`.
        name: name of the data set; None: its own or its folder's.
        recipe: `auto`: what measured best; `paper`: the published method.
        plane: slice plane; `auto`: by rule.
        folds: folds of the cross-validation; None: by rule.
        not_finite: what to do with voxels that are NaN or infinite: `refuse` the scan, or take them for `zero`.
        device: kind of machine to plan for; `auto`: this one.
        memory_gb: memory one training step may take; None: by kind of machine.
        jobs: processes that read scans.
        force: replace a plan that was edited by hand, or that of another data set.
        events: where progress and remarks go; None: nowhere.

    Returns:
        the workspace and the plan, whose `decisions` say why.

    Raises:
        AutosegError: what is wrong, where, and what to do next.
    """
    from autoseg.commands import plan as stage

    config = stage.PlanConfig(
        dataset=Path(dataset),
        workspace=_path(workspace),
        name=name,
        recipe=recipe,
        plane=plane,
        folds=folds,
        not_finite=not_finite,
        device=device,
        memory_gb=memory_gb,
        jobs=jobs,
        force=force,
    )
    return stage.run(config, events or Silent())


def train(
    architecture: str = "unet",
    *,
    fold: int | str = 0,
    workspace: PathLike | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    seed: int = 0,
    device: catalogue.DeviceChoice = "auto",
    precision: catalogue.PrecisionChoice = "auto",
    workers: int | None = None,
    jobs: int = 1,
    readers: int = 1,
    restart: bool = False,
    track: catalogue.Tracker | None = None,
    events: Events | None = None,
) -> "TrainResult":
    """Train what the plan says, then predict and score the held-out cases: `autoseg train`.

    An interrupted run goes on where it stopped when called again with the same choices.

    Args:
        architecture: a network, or `all`.
        fold: a number, `all`, `official` or `full`; several runs go fold by fold.
        workspace: folder of the plan; None: the only one under `runs/`.
        minutes: wall-clock budget of each run; None: the plan's.
        epochs: length of each run in epochs; None: the plan's.
        seed: of all randomness.
        device: where to train.
        precision: number format of the convolutions; `auto`: what is fast on the device.
        workers: processes that prepare batches; None: by number of cores.
        jobs: runs at a time where there are several. More than one: each in a process of its own with its share of the
            cores, for which a script must be guarded by `if __name__ == "__main__":`.
        readers: processes that preprocess scans; the same holds for more than one.
        restart: discard what an earlier run left.
        track: also send every epoch to TensorBoard or Weights & Biases.
        events: where progress and remarks go; None: nowhere.

    Returns:
        every model with its scores.

    Raises:
        AutosegError: what is wrong, where, and what to do next.
    """
    from autoseg.commands import train as stage

    command = stage.TrainCommand(
        architecture=architecture,
        fold=str(fold),
        workspace=_path(workspace),
        epochs=epochs,
        minutes=minutes,
        seed=seed,
        device=device,
        precision=precision,
        workers=workers,
        jobs=jobs,
        readers=readers,
        restart=restart,
        track=track,
    )
    return stage.run(command, events or Silent())


def predict(
    source: PathLike,
    target: PathLike,
    *,
    workspace: PathLike | None = None,
    model: PathLike | None = None,
    probabilities: bool = False,
    uncertainty: bool = False,
    pictures: bool = False,
    mirror: bool = True,
    not_finite: catalogue.NotFinite | None = None,
    device: catalogue.DeviceChoice = "auto",
    precision: catalogue.PrecisionChoice = "auto",
    force: bool = False,
    events: Events | None = None,
) -> "PredictResult":
    """Segment files with what was selected, else with everything trained: `autoseg predict`. For arrays, see `load_model`.

    Args:
        source: a scan, or a folder searched with everything below it.
        target: folder of the label maps and `predictions.csv`.
        workspace: folder of the models; None: the only one under `runs/`.
        model: an exported model to use instead of a workspace.
        probabilities: also write the probability of every class.
        uncertainty: also write how undecided the networks are, and predict the Dice.
        pictures: also draw every label map over its scan.
        mirror: average over the flips that the plan names.
        not_finite: what to do with voxels that are NaN or infinite; None: as planned.
        device: where to predict.
        precision: number format of the convolutions.
        force: predict again what is already there.
        events: where progress and remarks go; None: nowhere.

    Returns:
        every scan with its volumes.

    Raises:
        AutosegError: what is wrong, where, and what to do next.
    """
    from autoseg.commands import predict as stage

    config = stage.PredictConfig(
        source=Path(source),
        target=Path(target),
        workspace=_path(workspace),
        model=_path(model),
        probabilities=probabilities,
        uncertainty=uncertainty,
        pictures=pictures,
        mirror=mirror,
        not_finite=not_finite,
        device=device,
        precision=precision,
        force=force,
    )
    return stage.run(config, events or Silent())


def load_model(
    workspace: PathLike | None = None,
    *,
    model: PathLike | None = None,
    folders: Sequence[PathLike] | None = None,
    mirror: bool = True,
    device: catalogue.DeviceChoice = "auto",
    precision: catalogue.PrecisionChoice = "auto",
    events: Events | None = None,
) -> "LoadedModel":
    """Load what `predict` would use, to segment arrays in memory.

    Args:
        workspace: folder of the models; None: the only one under `runs/`.
        model: an exported model to use instead of a workspace.
        folders: the models to average, `<workspace>/models/<network>/fold_<f>`; None: what was selected, else all that are
            finished.
        mirror: average over the flips that the plan names.
        device: where to predict.
        precision: number format of the convolutions.
        events: where remarks go; None: nowhere.

    Returns:
        a model with a method `predict`.

    Raises:
        AutosegError: what is wrong, where, and what to do next.
    """
    from autoseg.commands import load_model as stage

    config = stage.LoadConfig(
        workspace=_path(workspace),
        model=_path(model),
        folders=None if folders is None else tuple(Path(folder) for folder in folders),
        mirror=mirror,
        device=device,
        precision=precision,
    )
    return stage.load_model(config, events or Silent())


def evaluate(
    predictions: PathLike,
    references: PathLike,
    *,
    output: PathLike | None = None,
    workspace: PathLike | None = None,
    jobs: int = 1,
    events: Events | None = None,
) -> "EvaluateResult":
    """Compare label maps with references: `autoseg evaluate`.

    Args:
        predictions: label maps to judge, a file or a folder.
        references: label maps to compare with, called `<id>` or `<id>_seg`.
        output: folder of tables and plots; None: `evaluation/` beside the predictions.
        workspace: takes class names from this workspace; None: from the only one under `runs/`, if there is one.
        jobs: processes that compare.
        events: where progress and remarks go; None: nowhere.

    Returns:
        scores per case and class, and their summary.

    Raises:
        AutosegError: what is wrong, where, and what to do next.
    """
    from autoseg.commands import evaluate as stage

    config = stage.EvaluateConfig(
        predictions=Path(predictions),
        references=Path(references),
        output=_path(output),
        workspace=_path(workspace),
        jobs=jobs,
    )
    return stage.run(config, events or Silent())


def select(workspace: PathLike | None = None, *, jobs: int = 1, events: Events | None = None) -> "SelectResult":
    """Choose, from the cross-validation, the networks and the clean-up that `predict` then uses: `autoseg select`.

    Args:
        workspace: folder of the models; None: the only one under `runs/`.
        jobs: processes that score cases.
        events: where progress and remarks go; None: nowhere.

    Returns:
        the selection, as written to `selection.json`.

    Raises:
        AutosegError: what is wrong, where, and what to do next.
    """
    from autoseg.commands import select as stage

    return stage.run(stage.SelectConfig(workspace=_path(workspace), jobs=jobs), events or Silent())


def report(
    workspace: PathLike | None = None, *, output: PathLike | None = None, events: Events | None = None
) -> "ReportResult":
    """Write tables and figures of everything trained so far: `autoseg report`.

    Args:
        workspace: folder of the plan and the models; None: the only one under `runs/`.
        output: folder of tables and figures; None: `report/` in the workspace.
        events: where progress and remarks go; None: nowhere.

    Returns:
        the files written.

    Raises:
        AutosegError: what is wrong, where, and what to do next.
    """
    from autoseg.commands import report as stage

    return stage.run(stage.ReportConfig(workspace=_path(workspace), output=_path(output)), events or Silent())


def export(
    file: PathLike,
    *,
    workspace: PathLike | None = None,
    onnx: PathLike | None = None,
    force: bool = False,
    events: Events | None = None,
) -> "ExportResult":
    """Write what `predict` would use as one file to pass on: `autoseg export`.

    Args:
        file: the file to write, ending in `.autoseg`.
        workspace: folder of the models; None: the only one under `runs/`.
        onnx: folder that also gets an ONNX model per network; None: none is written.
        force: replace files that are there.
        events: where progress and remarks go; None: nowhere.

    Returns:
        what went into it.

    Raises:
        AutosegError: what is wrong, where, and what to do next.
    """
    from autoseg.commands import export as stage

    config = stage.ExportConfig(file=Path(file), workspace=_path(workspace), onnx=_path(onnx), force=force)
    return stage.run(config, events or Silent())


def info(file: PathLike) -> "InfoResult":
    """Say what an exported model is: `autoseg info`.

    Args:
        file: an exported model.

    Returns:
        its documents: plan, scores, selection, training data in numbers.

    Raises:
        AutosegError: what is wrong, where, and what to do next.
    """
    from autoseg.commands import info as stage

    return stage.run(Path(file))


def _path(place: PathLike | None) -> Path | None:
    return None if place is None else Path(place)
