"""What `autoseg info` says of an exported model."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from autoseg.evaluation.formatting import interval
from autoseg.exporting.contents import SELECTED
from autoseg.exporting.document import ExportDescription, describe_exported
from autoseg.inference.shift import describe as describe_shift
from autoseg.inference.steps import describe as in_words
from autoseg.model.identity import of_several_networks
from autoseg.planning.sections import NormalisationStep
from autoseg.postprocessing.selection import EDITED, Score, done_in_words
from autoseg.results import Result
from autoseg.storage import files
from autoseg.wording import counted, from_to, listing


@dataclass(frozen=True, repr=False)
class InfoResult(Result):
    """An exported model's description.

    Attributes:
        description: what its documents say.
        sha256: of the whole file.
        bytes: its size.
    """

    description: ExportDescription
    sha256: str
    bytes: int

    def _in_short(self) -> str:
        name, networks = self.description.document.name, len(self.description.bundles)
        return f"{self.description.path}, {counted(networks, 'network')} for scans like those of {name}"

    def _repr_html_(self) -> str:
        """What a notebook shows: the model's card."""
        return f"<pre>{escape(describe(self)[0])}</pre>"


def read_info(path: Path) -> InfoResult:
    """Read and verify an exported model's documents.

    Raises:
        BundleError: not an exported model, damaged, or written by a newer autoseg.
    """
    return InfoResult(describe_exported(path), files.sha256_file(path), path.stat().st_size)


def describe(result: InfoResult) -> tuple[str, dict[str, Any]]:
    """A model's card: for people in groups of lines, for programs all its documents."""
    description = result.description
    lines = [f"{description.path}: a model for scans like those of {description.document.name}"]
    for title, facts in (
        ("Expects", _expects(description)),
        ("Gives", _gives(description)),
        ("Learnt from", _learnt_from(description)),
        ("Scores on cases it had not seen", _scores(description)),
        ("File", _file(result)),
    ):
        lines += ["", title, *(f"  {fact}" for fact in facts)]
    return "\n".join(lines), {
        "file": str(description.path),
        "bytes": result.bytes,
        "sha256": result.sha256,
        "written_by": description.written_by,
        "model": description.document.model_dump(mode="json"),
        "plan": description.plan.model_dump(mode="json"),
        "selection": None if description.selection is None else description.selection.model_dump(mode="json"),
        "fingerprint": description.fingerprint.model_dump(mode="json"),
        "networks": {
            folder: bundle.model_dump(mode="json", exclude={"plan"}) for folder, bundle in description.bundles.items()
        },
    }


def _expects(description: ExportDescription) -> Iterator[str]:
    plan, cases = description.plan, description.fingerprint.cases
    planes = [view.plane for view in plan.views if view.plane is not None]
    kind = f"3D scans, cut into {listing(planes)} slices" if planes else "2D images"
    channels = plan.data.channels
    yield f"{kind}, {counted(len(channels), 'channel')}: {', '.join(channels)}"
    for axis in cases[0].axes if planes else cases[0].axes[1:]:
        spacings = [case.spacing_mm[case.axes.index(axis)] for case in cases]
        yield f"spacing {axis}: {from_to(min(spacings), max(spacings))} mm"
    patches = dict.fromkeys(f"{view.patch_px[0]} x {view.patch_px[1]} px" for view in plan.views)
    yield f"slices of any size; learnt from patches of {listing(list(patches))}"
    yield f"intensities, normalised by: {', '.join(map(_in_words, plan.preprocessing.normalisation))}"


def _in_words(step: NormalisationStep) -> str:
    return step.method if step.background is None else f"{step.method}, voxels of 0 become {step.background:g}"


def _gives(description: ExportDescription) -> Iterator[str]:
    classes = description.plan.data.classes
    left = () if description.selection is None else description.selection.views
    planes = left or description.plan.planes
    if left:
        yield f"what slices of these planes alone show: {', '.join(left)}"
    if len(planes) > 1:
        yield f"the mean over {len(planes)} planes, on the scan's own voxels"
    if power := description.plan.prediction.prior_power:
        what, by = "probabilities", "the class weights"
        if not description.plan.data.encoding.exclusive:
            what, by = "odds of regions", "the class weights over those of what surrounds them,"
        yield f"{what} of each network, divided by {by} to the power {power:g}, averaged"
    if not description.plan.data.encoding.exclusive:
        yield "regions that nest, each with a probability of its own; a voxel has the value of the innermost"
    yield "label values " + ", ".join(f"{label.value} {label.name}" for label in classes)
    if description.selection is not None and description.selection.log_shift:
        shift = describe_shift(description.selection.log_shift, [label.name for label in classes])
        what = "logarithms" if description.plan.data.encoding.exclusive else "log-odds"
        yield f"{what} of the averaged probabilities shifted by: {shift}"
    if description.selection is not None and description.selection.quality.classes:
        yield f"the probable Dice, from what {description.selection.quality.basis} expect"
    steps = () if description.selection is None else description.selection.postprocessing
    yield "postprocessing: " + ("; ".join(in_words(step, classes) for step in steps) or "none")


def _learnt_from(description: ExportDescription) -> Iterator[str]:
    bundles = description.bundles.values()
    cases = {case for bundle in bundles for case in bundle.provenance.training_cases}
    yield f"{counted(len(cases), 'case')} of {description.document.name}, recipe {description.plan.inputs.recipe}"
    yield from _corrected(description)
    for bundle in description.bundles.values():
        made = bundle.provenance
        yield (
            f"{bundle.id.folder}: {counted(made.epochs, 'epoch')}, {made.minutes:.1f} min, seed {made.seed}, "
            f"{made.precision}, torch {made.versions.get('torch', 'unknown')}"
            + (f", on {made.hardware.in_words}" if made.hardware is not None else "")
            + (f", started from {made.origin.in_words}" if made.origin is not None else "")
            + (f", trained further: {made.stretches_in_words}" if made.stretches else "")
        )
    unknown = {
        origin.name
        for bundle in bundles
        if (origin := bundle.provenance.origin) is not None
        and origin.learnt_from is None
        and bundle.provenance.validation_cases
    }
    for name in sorted(unknown):
        yield f"not recorded is which scans {name} had learnt from: if held-out cases were among them, scores are too good"


def _corrected(description: ExportDescription) -> Iterator[str]:
    """How many label maps were predicted first, and corrected by a person."""
    made = [bundle.provenance for bundle in description.bundles.values()]
    new = {digest for one in made for digest in one.adopted_sha256}
    corrected = {digest for one in made for digest in one.corrected_sha256}
    if not (new or corrected):
        return
    revisions = listing([str(number) for number in sorted({one.revision for one in made})])
    yield (
        f"{counted(len(new | corrected), 'label map')} predicted by a model, and corrected or confirmed by a person: "
        f"{len(new)} of further cases, {len(corrected)} in place of others (revision {revisions} of the data)"
    )


def _scores(description: ExportDescription) -> Iterator[str]:
    document = description.document
    if not document.scores:
        yield "none: nothing was held out"
    for name, score in document.scores.items():
        what = f"{name}{_done(description)}" if name == SELECTED else name
        yield f"{what}, {counted(document.scored_cases[name], 'case')}: mean Dice {interval(score.dice, 3)}"
        for label in score.classes:
            yield f"  {label.name}: Dice {interval(label.dice, 3)}, HD {interval(label.hausdorff_mm, 1, unit='mm')}"
    if any(map(_has_interval, document.scores.values())):
        yield f"(in brackets: 95 % {document.intervals} interval over cases)"
    if (
        document.scores
        and description.selection is None
        and of_several_networks(bundle.id for bundle in description.bundles.values())
    ):
        yield "(of each network by itself, not postprocessed: their average, which predicts, was not scored)"
    if document.scores and description.selection is not None and description.selection.edited:
        yield f"(the selection was {EDITED})"
    if document.scores and description.selection is not None and description.selection.optimistic:
        nested = description.selection.nested
        unbiased = "" if nested is None else f"; chosen without each of them: mean Dice {interval(nested.score.dice, 3)}"
        yield f"(optimistic: what predicts was chosen on the same cases{unbiased})"


def _has_interval(score: Score) -> bool:
    """Whether any of the numbers that are shown of a score has one."""
    shown = [score.dice, *(estimate for label in score.classes for estimate in (label.dice, label.hausdorff_mm))]
    return any(estimate.low is not None for estimate in shown)


def _done(description: ExportDescription) -> str:
    """What was done to the label maps that a selection's scores are of; nothing where it was edited: that is not in it."""
    selection = description.selection
    if selection is None or selection.edited:
        return ""
    return f", {done_in_words(selection.log_shift, selection.postprocessing)}"


def _file(result: InfoResult) -> Iterator[str]:
    yield f"{result.bytes / 1e6:.1f} MB, written by autoseg {result.description.written_by}"
    yield f"sha256 {result.sha256}"
