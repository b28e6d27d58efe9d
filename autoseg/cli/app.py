"""The commands: each parses its arguments into one configuration, makes one pipeline call and prints what was written.

Stages are imported inside the commands, so that `--help` and `plan` start without torch.
"""

import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, Literal, NoReturn

import typer

from autoseg import catalogue, files
from autoseg.cli.console import Console, show_error
from autoseg.errors import AutosegError, InterruptedRunError
from autoseg.machine import usable_cores

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
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, everything else on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say when things happened.")]
Traceback = Annotated[bool, typer.Option("--traceback", help="Show where in the code an error arose.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all randomness.")]
Architecture = Annotated[
    Literal["unet", "sepres", "attention", "all"], typer.Option("--arch", "-a", help="Network, or all in turn.")
]


@dataclass(frozen=True)
class _Talk:
    """How a command speaks to its user."""

    json: bool
    quiet: bool
    verbose: bool
    traceback: bool

    def run(self, work: Callable[[Console], tuple[str, dict[str, Any]]]) -> None:
        """Do the work, print its result, and turn every failure into its exit code."""
        console = Console(quiet=self.quiet, verbose=self.verbose)
        with self._failures(console):
            text, document = work(console)
            if self.json:
                typer.echo(files.json_text(document), nl=False)
            elif not self.quiet:
                typer.echo(text)

    @contextmanager
    def _failures(self, console: Console) -> Iterator[None]:
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            yield
        except AutosegError as error:
            self._fail(error, console)
        except KeyboardInterrupt:
            remedy = "Finished parts are kept; the same command goes on from there."
            self._fail(InterruptedRunError("interrupted", remedy=remedy), console)

    def _fail(self, error: AutosegError, console: Console) -> NoReturn:
        if self.traceback:
            traceback.print_exception(error)
        show_error(error, console=console)
        if self.json:
            typer.echo(files.json_text(error.as_dict()), nl=False)
        raise typer.Exit(error.exit_code) from None


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@app.command(epilog="Example: autoseg plan IBSR18/ --plane coronal", no_args_is_help=True)
def plan(
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
        float | None, typer.Option(min=0.1, help="GB one training step may take; default: 4 on a CPU, 8 on a GPU.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an edited plan, or another data set's.")] = False,
    device: Device = "auto",
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    show_traceback: Traceback = False,
) -> None:
    """Look at a data set, decide everything, say why, and write the workspace."""

    def work(console: Console) -> tuple[str, dict[str, Any]]:
        from autoseg.cli import output
        from autoseg.pipeline import plan as stage

        config = stage.PlanConfig(
            dataset=dataset,
            workspace=workspace,
            name=name,
            recipe=recipe,
            plane=plane,
            folds=folds,
            device=device,
            memory_gb=memory,
            jobs=_jobs(jobs),
            force=force,
        )
        return output.plan(stage.run(config, console), console=console, table=not (json or quiet))

    _Talk(json, quiet, verbose, show_traceback).run(work)


@app.command(epilog="Example: autoseg preprocess --workspace runs/IBSR18")
def preprocess(
    workspace: Workspace = None,
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    show_traceback: Traceback = False,
) -> None:
    """Make the arrays that training reads; `train` does this by itself where needed."""

    def work(console: Console) -> tuple[str, dict[str, Any]]:
        from autoseg.cli import output
        from autoseg.pipeline import preprocess as stage

        config = stage.PreprocessConfig(workspace=workspace, jobs=_jobs(jobs))
        return output.preprocess(stage.run(config, console))

    _Talk(json, quiet, verbose, show_traceback).run(work)


@app.command(epilog="Example: autoseg train --arch sepres --fold 0 --minutes 30")
def train(
    arch: Architecture = "unet",
    fold: Annotated[str, typer.Option("--fold", "-f", help="A number, all, official or full.")] = "0",
    workspace: Workspace = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Wall-clock budget of each run; its schedule anneals to it.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Length of each run in epochs.")] = None,
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
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    show_traceback: Traceback = False,
) -> None:
    """Train what the plan says, then predict and score the held-out cases. Interrupted? The same command goes on."""

    def work(console: Console) -> tuple[str, dict[str, Any]]:
        from autoseg.cli import output
        from autoseg.pipeline import train as stage
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
            jobs=_jobs(jobs),
            restart=restart,
            track=track,
        )
        return output.train(stage.run(command, console, stopwatch=Stopwatch(started=_STARTED)))

    _Talk(json, quiet, verbose, show_traceback).run(work)


@app.command(epilog="Example: autoseg predict new_scans/ results/ --probabilities", no_args_is_help=True)
def predict(
    scans: Annotated[Path, typer.Argument(metavar="IN", help="A scan, or a folder searched with all below it.")],
    results: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of label maps and predictions.csv.")],
    workspace: Workspace = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write the probability of every class.")
    ] = False,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Also draw every label map over its scan, in three planes.")
    ] = False,
    mirror: Annotated[bool, typer.Option(help="Average over the flips that the plan names.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Predict again what is already there.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    show_traceback: Traceback = False,
) -> None:
    """Segment scans with everything trained so far: one label map per scan, and a table of volumes."""

    def work(console: Console) -> tuple[str, dict[str, Any]]:
        from autoseg.cli import output
        from autoseg.pipeline import predict as stage

        config = stage.PredictConfig(
            source=scans,
            target=results,
            workspace=workspace,
            probabilities=probabilities,
            pictures=pictures,
            mirror=mirror,
            device=device,
            precision=precision,
            force=force,
        )
        return output.predict(stage.run(config, console))

    _Talk(json, quiet, verbose, show_traceback).run(work)


@app.command(epilog="Example: autoseg evaluate results/ references/", no_args_is_help=True)
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Label maps to judge: a file or a folder.")],
    references: Annotated[Path, typer.Argument(help="Label maps to compare with, called <id> or <id>_seg.")],
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of tables and plots; default: PREDICTIONS/evaluation.")
    ] = None,
    workspace: Workspace = None,
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    show_traceback: Traceback = False,
) -> None:
    """Compare label maps with references: Dice, Hausdorff distances and volumes per case and class."""

    def work(console: Console) -> tuple[str, dict[str, Any]]:
        from autoseg.cli import output
        from autoseg.pipeline import evaluate as stage

        config = stage.EvaluateConfig(
            predictions=predictions, references=references, output=out, workspace=workspace, jobs=_jobs(jobs)
        )
        return output.evaluate(stage.run(config, console))

    _Talk(json, quiet, verbose, show_traceback).run(work)


@app.command(epilog="Example: autoseg report --workspace runs/IBSR18")
def report(
    workspace: Workspace = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of tables and figures; default: report/ in the workspace.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    show_traceback: Traceback = False,
) -> None:
    """Compare everything trained so far: tables (CSV, Markdown, LaTeX) and figures (PNG, SVG) for a paper."""

    def work(console: Console) -> tuple[str, dict[str, Any]]:
        from autoseg.cli import output
        from autoseg.pipeline import report as stage

        return output.report(stage.run(stage.ReportConfig(workspace=workspace, output=out), console))

    _Talk(json, quiet, verbose, show_traceback).run(work)


@app.command(epilog="Example: autoseg demo --minutes 1")
def demo(
    arch: Annotated[Literal["unet", "sepres", "attention"], typer.Option("--arch", "-a", help="Network.")] = "unet",
    folder: Annotated[Path, typer.Option(help="Where everything goes; made anew by every call.")] = Path("autoseg-demo"),
    minutes: Annotated[float, typer.Option(min=0.01, help="Time for training.")] = 1.5,
    seed: Seed = 0,
    device: Device = "auto",
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    show_traceback: Traceback = False,
) -> None:
    """Run the whole story on a synthetic cohort: plan, train, predict, evaluate, report; minutes on a laptop."""

    def work(console: Console) -> tuple[str, dict[str, Any]]:
        from autoseg.cli import output
        from autoseg.pipeline import demo as stage

        config = stage.DemoConfig(
            folder=folder, architecture=arch, minutes=minutes, seed=seed, device=device, jobs=_jobs(jobs)
        )
        return output.demo(stage.run(config, console))

    _Talk(json, quiet, verbose, show_traceback).run(work)


def _jobs(chosen: int | None) -> int:
    return chosen or min(usable_cores(), 8)
