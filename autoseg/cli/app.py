"""The commands: each parses its arguments into one configuration, makes one pipeline call and prints what was written.

Stages are imported inside the commands, so that `--help` and `plan` start without torch.
"""

import time
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from autoseg import catalogue
from autoseg.cli.command import Output, command
from autoseg.cli.console import Console
from autoseg.jobs.machine import usable_cores

app = typer.Typer(
    name="autoseg",
    help="Segment medical images in 2D: plan from your data, train, predict, evaluate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_STARTED: Final = time.monotonic()
"""When the command began: a budget in minutes counts from here, loading torch included."""

Workspace = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="Folder of plan, arrays and models; default: the only one under runs/."),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where networks run.")]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    typer.Option(help="Number format of convolutions; auto: bfloat16 where the hardware is made for it."),
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes that read scans; default: one per core, at most 8.")]
NotFinite = Annotated[
    Literal["refuse", "zero"],
    typer.Option(help="A scan with NaN or infinite voxels is refused, or these are taken for 0, with a remark."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all randomness.")]
_NETWORKS: Final = "|".join(catalogue.NETWORKS.built_in)
Architecture = Annotated[
    str, typer.Option("--arch", "-a", metavar=f"[{_NETWORKS}|all|...]", help="Network, or all of them.")
]


@command(app, example="autoseg plan IBSR18/ --plane coronal")
def plan(
    console: Console,
    dataset: Annotated[Path, typer.Argument(help="Folder of the data set; its layout is recognised.")],
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Where to put everything; default: runs/<name>.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; default: its own or its folder's.")] = None,
    recipe: Annotated[
        Literal["auto", "paper"], typer.Option(help="auto: what measured best; paper: the published method.")
    ] = "auto",
    plane: Annotated[Literal["auto", "axial", "coronal", "sagittal"], typer.Option(help="Plane of the slices.")] = "auto",
    folds: Annotated[int | None, typer.Option(min=2, help="Folds of the cross-validation; default: 5 or fewer.")] = None,
    memory: Annotated[
        float | None,
        typer.Option(min=0.1, max=10_000, help="GB one training step may take; default: 4 on a CPU, 8 on a GPU."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an edited plan, or another data set's.")] = False,
    not_finite: NotFinite = "refuse",
    device: Device = "auto",
    jobs: Jobs = None,
) -> Output:
    """Look at a data set, decide everything, say why, and write the workspace."""
    from autoseg.cli import output
    from autoseg.commands import plan as stage

    config = stage.PlanConfig(
        dataset=dataset,
        workspace=workspace,
        name=name,
        recipe=recipe,
        plane=plane,
        folds=folds,
        device=device,
        memory_gb=memory,
        not_finite=not_finite,
        jobs=_jobs(jobs),
        force=force,
    )
    return output.plan(stage.run(config, console), console=console)


@command(app, example="autoseg check IBSR18/")
def check(
    console: Console,
    dataset: Annotated[Path, typer.Argument(help="Folder of the data set; its layout is recognised.")],
    not_finite: NotFinite = "refuse",
    jobs: Jobs = None,
) -> Output:
    """Say whether a data set can train at all, and everything that is wrong with its files, in one go."""
    from autoseg.cli import output
    from autoseg.commands import check as stage

    config = stage.CheckConfig(dataset=dataset, not_finite=not_finite, jobs=_jobs(jobs))
    return output.check(stage.run(config, console), console=console)


@command(app, example="autoseg preprocess --workspace runs/IBSR18")
def preprocess(
    console: Console,
    workspace: Workspace = None,
    jobs: Jobs = None,
) -> Output:
    """Make the arrays that training reads; `train` does this by itself where needed."""
    from autoseg.cli import output
    from autoseg.commands import preprocess as stage

    config = stage.PreprocessConfig(workspace=workspace, jobs=_jobs(jobs))
    return output.preprocess(stage.run(config, console))


@command(app, example="autoseg train --arch sepres --fold 0 --minutes 30")
def train(
    console: Console,
    arch: Architecture = "unet",
    fold: Annotated[str, typer.Option("--fold", "-f", help="A number, all, official or full.")] = "0",
    workspace: Workspace = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, max=1_000_000, help="Wall-clock budget of each run; its schedule anneals to it."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Length of each run in epochs.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Discard an earlier run in the same place.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that prepare batches; default: by number of cores.")
    ] = None,
    track: Annotated[
        catalogue.Tracker | None,
        typer.Option(help="Also send every epoch to TensorBoard or Weights & Biases, offline unless WANDB_MODE is set."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Runs at a time where there are several, each with its share of the cores.")
    ] = 1,
) -> Output:
    """Train what the plan says, then predict and score the held-out cases. Interrupted? The same command goes on."""
    from autoseg.cli import output
    from autoseg.commands import train as stage
    from autoseg.training.clock import Stopwatch

    command = stage.TrainCommand(
        architecture=arch,
        fold=fold,
        workspace=workspace,
        epochs=epochs,
        minutes=minutes,
        seed=seed,
        device=device,
        precision=precision,
        workers=workers,
        jobs=jobs,
        readers=_jobs(None),
        restart=restart,
        track=track,
    )
    return output.train(stage.run(command, console, stopwatch=Stopwatch(started=_STARTED)))


@command(app, example="autoseg predict new_scans/ results/ --probabilities")
def predict(
    console: Console,
    scans: Annotated[Path, typer.Argument(metavar="IN", help="A scan, or a folder searched with all below it.")],
    results: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of label maps and predictions.csv.")],
    workspace: Workspace = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="An exported model to use instead of a workspace.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write the probability of every class.")
    ] = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Also write how undecided the networks are, and predict the Dice.")
    ] = False,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Also draw every label map over its scan, in three planes.")
    ] = False,
    mirror: Annotated[bool, typer.Option(help="Average over the flips that the plan names.")] = True,
    not_finite: Annotated[
        Literal["refuse", "zero"] | None,
        typer.Option(help="What to do with a scan with NaN or infinite voxels; default: as planned."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Predict again what is already there, even if it was corrected by hand.")
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
) -> Output:
    """Segment scans with what was selected, else with everything trained: a label map per scan, and a table of volumes."""
    from autoseg.cli import output
    from autoseg.commands import predict as stage

    config = stage.PredictConfig(
        source=scans,
        target=results,
        workspace=workspace,
        model=model,
        probabilities=probabilities,
        uncertainty=uncertainty,
        pictures=pictures,
        mirror=mirror,
        not_finite=not_finite,
        device=device,
        precision=precision,
        force=force,
    )
    return output.predict(stage.run(config, console))


@command(app, example="autoseg evaluate results/ references/")
def evaluate(
    console: Console,
    predictions: Annotated[Path, typer.Argument(help="Label maps to judge: a file or a folder.")],
    references: Annotated[Path, typer.Argument(help="Label maps to compare with, called <id> or <id>_seg.")],
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of tables and plots; default: PREDICTIONS/evaluation.")
    ] = None,
    workspace: Workspace = None,
    jobs: Jobs = None,
) -> Output:
    """Compare label maps with references: Dice, Hausdorff distances and volumes per case and class."""
    from autoseg.cli import output
    from autoseg.commands import evaluate as stage

    config = stage.EvaluateConfig(
        predictions=predictions, references=references, output=out, workspace=workspace, jobs=_jobs(jobs)
    )
    return output.evaluate(stage.run(config, console))


@command(app, example="autoseg select --workspace runs/IBSR18")
def select(
    console: Console,
    workspace: Workspace = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that score cases; default: one per core, at most 8.")
    ] = None,
) -> Output:
    """Choose, from the cross-validation, the networks that predict together and the clean-up that helps."""
    from autoseg.cli import output
    from autoseg.commands import select as stage

    config = stage.SelectConfig(workspace=workspace, jobs=_jobs(jobs))
    return output.select(stage.run(config, console), console=console)


@command(app, example="autoseg report --workspace runs/IBSR18")
def report(
    console: Console,
    workspace: Workspace = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of tables and figures; default: report/ in the workspace.")
    ] = None,
) -> Output:
    """Compare everything trained so far: tables (CSV, Markdown, LaTeX) and figures (PNG, SVG) for a paper."""
    from autoseg.cli import output
    from autoseg.commands import report as stage

    return output.report(stage.run(stage.ReportConfig(workspace=workspace, output=out), console))


@command(app, example="autoseg export brain.autoseg --workspace runs/IBSR18")
def export(
    console: Console,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, ending in .autoseg.")],
    workspace: Workspace = None,
    onnx: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write an ONNX model per network into this folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> Output:
    """Write what predict would use as one file, which works elsewhere: autoseg predict IN OUT --model FILE."""
    from autoseg.cli import output
    from autoseg.commands import export as stage

    config = stage.ExportConfig(file=file, workspace=workspace, onnx=onnx, force=force)
    return output.export(stage.run(config, console))


@command(app, example="autoseg info brain.autoseg")
def info(
    console: Console,  # noqa: ARG001 - every command is given one
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported model.")],
) -> Output:
    """Say what an exported model is: trained on what, how good, and which scans it expects."""
    from autoseg.cli import output
    from autoseg.commands import info as stage

    return output.info(stage.run(file))


@command(app, example="autoseg demo --minutes 1")
def demo(
    console: Console,
    arch: Annotated[str, typer.Option("--arch", "-a", metavar=f"[{_NETWORKS}|...]", help="Network.")] = "unet",
    folder: Annotated[Path, typer.Option(help="Where everything goes; made anew by every call.")] = Path("autoseg-demo"),
    minutes: Annotated[float, typer.Option(min=0.01, max=1_000_000, help="Time for training.")] = 1.5,
    seed: Seed = 0,
    device: Device = "auto",
    jobs: Jobs = None,
) -> Output:
    """Run the whole story on a synthetic cohort, from plan to report and export; minutes on a laptop."""
    from autoseg.cli import output
    from autoseg.commands import demo as stage

    config = stage.DemoConfig(folder=folder, architecture=arch, minutes=minutes, seed=seed, device=device, jobs=_jobs(jobs))
    return output.demo(stage.run(config, console))


def _jobs(chosen: int | None) -> int:
    return chosen or min(usable_cores(), 8)
