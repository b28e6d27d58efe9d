"""`autoseg compare`: two or more sets of predictions of the same cases, side by side, with paired differences and tests."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoseg.errors import CasesFailedError, UsageError
from autoseg.events import Events
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import Jobs, OptionalPath, Options, argument, option
from autoseg.options.shared import IGNORE, JOBS
from autoseg.results import Records
from autoseg.wording import counted, counted_of

if TYPE_CHECKING:
    from autoseg.evaluation.paired import PairedComparison

_MOST_CLASSES: Final = 8
"""With more classes, a terminal shows their means alone; the tables on disk have all. Source: chosen; 40 lines."""


class CompareOptions(Options):
    """Compare networks, workspaces or tools on the same cases, each with the first: paired differences, intervals, tests."""

    places: Sequence[str | Path] = argument(
        "What to compare, two or more: workspaces (what they selected), folders of a network or a model in their models/, "
        "tables of scores (metrics.csv) or folders that have one, or, with --references, label maps of any tool.",
        metavar="A B [C ...]",
    )
    _: KW_ONLY
    references: OptionalPath = option(
        "Label maps, called <id> or <id>_seg, that folders of label maps are judged against now, whether they have a table "
        "of scores or not.",
        default=None,
        metavar="DIR",
    )
    output: OptionalPath = option(
        "Folder of tables and plots; default: comparison, where you are.", "--output", "-o", default=None, metavar="DIR"
    )
    tolerance: float | None = option(
        "Tolerance of the normalised surface Dice in mm, for label maps that are judged now. Default: as the scores that "
        "are there say, else 1.",
        default=None,
        metavar="MM",
        above=0,
        most=1000,
    )
    ignore: int | None = option(IGNORE, default=None)
    jobs: Jobs = option(JOBS, default=1)


@dataclass(frozen=True, repr=False)
class CompareResult(Records):
    """What comparing made.

    Attributes:
        comparison: the cases that all sides have.
        written: files.
    """

    comparison: "PairedComparison"
    written: tuple[Path, ...]

    @property
    def tables(self) -> list[Table]:
        """Every side against the first, with means, differences and tests."""
        from autoseg.evaluation.paired_tables import comparison_columns, comparison_rows

        comparison = self.comparison
        return [
            Table(
                f"{compared} against {comparison.baseline} on {self._counted}",
                comparison_columns(comparison, compared),
                comparison_rows(comparison, compared, most_classes=_MOST_CLASSES),
            )
            for compared in comparison.compared
        ]

    def _in_short(self) -> str:
        from autoseg.evaluation.paired_tables import in_words

        return "; ".join(in_words(self.comparison)) or f"{self._counted} compared"

    @property
    def _counted(self) -> str:
        return counted_of(len(self.comparison.cases), self.comparison.total, "case")

    def _tables(self) -> Sequence[Table]:
        return self.tables

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per case, class, metric and compared side."""
        from autoseg.evaluation.paired_tables import differences

        return list(differences(self.comparison))


def run(options: CompareOptions, events: Events) -> CompareResult:
    """Compare every other side with the first.

    Raises:
        BundleError: a model was not trained and scored to its end.
        CasesFailedError: some cases are not on all sides, or could not be scored; the others are compared and written, and
            its `result` holds them.
        UsageError: fewer than two sides, no case in common, or classes or references differ.
    """
    from autoseg.data.dataset import refuse_ignored_background
    from autoseg.evaluation.judged import problems_of
    from autoseg.evaluation.paired import compare_sides
    from autoseg.evaluation.paired_tables import write_comparison
    from autoseg.jobs.machine import processes
    from autoseg.postprocessing.sides import Judging, find_sides
    from autoseg.reporting.difference_figure import draw_differences
    from autoseg.storage.files import require_writable

    refuse_ignored_background(options.ignore)
    places = [Path(place) for place in options.places]
    if len(places) < 2:
        raise UsageError("nothing to compare with", found=counted(len(places), "place"), remedy="Name two or more.")
    output = options.output or Path("comparison")
    require_writable(output)
    judging = Judging(options.references, options.tolerance, processes(options.jobs), options.ignore)
    found = find_sides(_named(places), judging, events)
    comparison = compare_sides(found.sides)
    for warning in comparison.warnings:
        events.warn(warning)
    figures = tuple(output / f"differences.{suffix}" for suffix in ("svg", "png"))
    written = (*write_comparison(output, comparison), *figures)
    for figure in figures:
        draw_differences(comparison, figure)
    problems = problems_of(found.failures, comparison)
    result = CompareResult(comparison, written)
    if problems:
        raise CasesFailedError(
            problems,
            done=len(comparison.cases),
            result=result,
            remedy="The numbers are of the others alone. Fix the listed cases and run the same command again.",
        )
    return result


def _named(places: Sequence[Path]) -> dict[str, Path]:
    """The places by as much of the end of their paths as tells them apart.

    Raises:
        UsageError: one is named twice.
    """
    paths = [place.resolve() for place in places]
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return dict(zip(names, places, strict=True))
    twice = next(place for index, place in enumerate(places) if paths[index] in paths[:index])
    raise UsageError("is named twice", where=twice, remedy="Name every place once.")


def describe(result: CompareResult) -> Output:
    """Every number with its difference; a sentence for each side on mean Dice; the files that hold it all."""
    from autoseg.evaluation.paired_tables import comparison_document, in_words

    lines = [*in_words(result.comparison), *(f"Wrote {path}" for path in result.written)]
    document = {**comparison_document(result.comparison), "written": [str(path) for path in result.written]}
    return Output("\n".join(lines), document, result.tables)


compare = function(CompareOptions, run)
COMMAND = Command(CompareOptions, run, describe, example="autoseg compare runs/IBSR18 runs/IBSR18_paper")
