"""From the cross-validation to one model: which networks predict together, which postprocessing helps, how good it is."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from autoseg.catalogue import NETWORKS
from autoseg.data.dataset import LabelClass
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.formatting import interval, number
from autoseg.evaluation.statistics import INTERVAL_METHOD
from autoseg.evaluation.tables import METRICS_FILE, read_cases, write_scores
from autoseg.events import Events
from autoseg.images.image import write_labels
from autoseg.inference.quality import Quality, calibrate, seeds_that_judge
from autoseg.inference.steps import Step, describe
from autoseg.jobs.pool import workers
from autoseg.jobs.work import Apply, Jobs
from autoseg.model.description import read_document
from autoseg.postprocessing.choice import Choice, Networks
from autoseg.postprocessing.combinations import candidates, choice_of, comparable, rank, told_differences, why_first
from autoseg.postprocessing.held_out import (
    HeldOutCase,
    expectations,
    postprocessed,
    score_choices,
    shown_files,
    verify,
    write_shown,
)
from autoseg.postprocessing.inputs import SelectionInputs
from autoseg.postprocessing.label_maps import needed_bytes
from autoseg.postprocessing.nested import nested_score, require_folds
from autoseg.postprocessing.prior import FoundShift, find_shift
from autoseg.postprocessing.scoring import score_of
from autoseg.postprocessing.search import Postprocessing, find_postprocessing
from autoseg.postprocessing.selection import Candidate, SelectedModel, Selection, decision_digest, write_selection
from autoseg.storage import files
from autoseg.wording import counted, listing


def make_selection(inputs: SelectionInputs, folder: Path, *, jobs: Jobs, events: Events, nested: bool = False) -> Selection:
    """Score every candidate of networks and views, choose, and find the prior and the postprocessing that help.

    Args:
        inputs: what there is to select from.
        folder: gets the held-out cases' label maps as the selection makes them, and their scores, which count once
            `store_selection` was called; holds temporary ones meanwhile.
        jobs: processes that score cases, or an executor.
        events: notified of everything.
        nested: also score each fold by what the others choose.

    Raises:
        SystemFailureError: the disk has too little space, or the folder may not be written.
        UsageError: there are too few folds for that.
        WorkspaceError: stored probabilities are damaged.
    """
    networks, common = _comparable(inputs, events)
    if nested:
        require_folds(common)
    files.require_space(folder, needed_bytes(inputs.cases))
    # The folder is the outer context: it goes when no process is left that might write into it.
    with files.temporary_folder(folder / "label_maps") as place, workers(jobs, most=len(inputs.cases)) as apply:
        list(apply(verify, inputs.cases))
        scores = _scores(common, candidates(networks, views=len(inputs.plan.views)), apply, events)
        planes = inputs.plan.planes
        ranked = rank(scores, planes=planes)
        best = choice_of(ranked[0], scores, planes)
        cases, before = inputs.held_out_by(best.networks), scores[best]
        if len(cases) > len(common):  # it may have held out more than all have in common
            before = _scores(cases, [best], apply, events)[best]
        prior = find_shift(cases, choice=best, before=before, apply=apply, events=events)
        found = find_postprocessing(
            cases, choice=prior.choice, before=prior.scores, folder=place, apply=apply, events=events
        )
        selected = {of_case.id: of_case for of_case in found.scores}
        unbiased = (
            nested_score(common, scores, selected, planes=planes, folder=place, apply=apply, events=events)
            if nested
            else None
        )
        quality = _calibrate(cases, prior.choice, found.scores, apply)
        _write_results(folder, cases, prior.choice, found, apply)
    selection = _described(inputs, common, ranked=ranked, prior=prior, found=found, quality=quality)
    selection = selection.model_copy(update={"nested": unbiased})
    reasons = (*selection.reasons, *_optimism(selection), _whose_doubt(cases, quality))
    return selection.model_copy(update={"reasons": reasons})


def _described(
    inputs: SelectionInputs,
    common: Sequence[HeldOutCase],
    *,
    ranked: tuple[Candidate, ...],
    prior: FoundShift,
    found: Postprocessing,
    quality: Quality,
) -> Selection:
    """What was decided, as a document."""
    models, views = _models_of(inputs, prior.choice), prior.choice.planes(inputs.plan.planes)
    compared = tuple(case.id for case in common)
    return Selection(
        plan_digest=inputs.plan.digest,
        data_key=inputs.data_key,
        models=models,
        views=views,
        log_shift=prior.choice.log_shift,
        postprocessing=found.steps,
        decided_sha256=decision_digest(models, found.steps, log_shift=prior.choice.log_shift, views=views),
        reasons=_reasons(ranked, compared, prior, found, inputs.plan.data.classes),
        missing=inputs.missing,
        compared_cases=compared,
        candidates=ranked,
        shift=prior.tried,
        tried=found.tried,
        score=score_of(found.scores),
        quality=quality,
        intervals=INTERVAL_METHOD,
    )


def _comparable(inputs: SelectionInputs, events: Events) -> tuple[Networks, tuple[HeldOutCase, ...]]:
    """The networks that can be compared, and the cases that all of them held out."""
    held_out_ids = {
        name: {case.id for case in inputs.cases if name in case.probabilities}
        for name in NETWORKS
        if any(name in case.probabilities for case in inputs.cases)
    }
    networks, common = comparable(held_out_ids)
    for name in held_out_ids.keys() - set(networks):
        events.warn(f"{name} is not compared: it held out none of the cases that the other networks did")
    compared = set(common)
    return networks, tuple(case for case in inputs.cases if case.id in compared)


def _scores(
    cases: Sequence[HeldOutCase], choices: Sequence[Choice], apply: Apply, events: Events
) -> dict[Choice, tuple[CaseMetrics, ...]]:
    by_case = []
    with events.track("scoring networks and combinations", total=len(cases), unit="cases") as progress:
        for scores in apply(partial(score_choices, choices=choices), cases):
            by_case.append(scores)
            progress.advance()
    return dict(zip(choices, zip(*by_case, strict=True), strict=True))


def _calibrate(cases: Sequence[HeldOutCase], choice: Choice, scores: Sequence[CaseMetrics], apply: Apply) -> Quality:
    expected: dict[str, dict[str, float]] = {}
    reached: dict[str, dict[str, float]] = {}
    trained = {(name, case.fold): len(case.probabilities[name]) for name in choice.networks for case in cases}
    seeds = seeds_that_judge(trained)
    expectation_of = apply(partial(expectations, choice=choice), [case.of_seeds(seeds) for case in cases])
    for case, of_case, expectation in zip(cases, scores, expectation_of, strict=True):
        for label in of_case.classes:
            expected.setdefault(label.name, {})[case.id] = expectation[label.name]
            reached.setdefault(label.name, {})[case.id] = label.dice
    return calibrate(expected, reached).model_copy(update={"seeds": seeds})


def _write_results(folder: Path, cases: Sequence[HeldOutCase], choice: Choice, found: Postprocessing, apply: Apply) -> None:
    """The held-out cases' label maps as the selection makes them, and their scores; other label maps of an earlier one go.

    What an earlier selection wrote down of its files stays until `store_selection`, and differs from them until then.
    """
    wanted = {_label_map(folder, case.id) for case in cases}
    files.remove(path for path in shown_files(folder) if path.suffix == ".gz" and path not in wanted)
    write = partial(_write_label_map, folder=folder, choice=choice, steps=found.steps)
    list(apply(write, cases))
    write_scores(folder, found.scores)


def store_selection(selection: Selection, file: Path, folder: Path) -> None:
    """Make a selection count, and then what `make_selection` wrote of it.

    In this order, scores are never shown beside the decision of another selection, whenever the process is killed.

    Args:
        selection: what was decided.
        file: where it goes.
        folder: of its label maps and scores.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    write_selection(selection, file)
    table = folder / METRICS_FILE
    write_shown([*(_label_map(folder, case.id) for case in read_cases(table)), table], folder)


def _label_map(folder: Path, case: str) -> Path:
    return folder / f"{case}.nii.gz"


def _write_label_map(case: HeldOutCase, *, folder: Path, choice: Choice, steps: Sequence[Step]) -> None:
    geometry = case.read_reference().geometry
    labels = postprocessed(case, choice=choice, steps=steps, spacing_mm=geometry.spacing_mm)
    write_labels(_label_map(folder, case.id), labels, geometry)


def _models_of(inputs: SelectionInputs, choice: Choice) -> tuple[SelectedModel, ...]:
    views = choice.planes(inputs.plan.planes)
    return tuple(
        SelectedModel(
            architecture=model.architecture,
            fold=model.fold,
            seed=model.id.seed,
            view=model.id.view,
            weights_sha256=read_document(model.folder).weights_sha256,
        )
        for model in inputs.models
        if model.architecture in choice.networks and (not views or model.id.view is None or model.id.view in views)
    )


def _reasons(
    candidates: Sequence[Candidate],
    compared: Sequence[str],
    prior: FoundShift,
    found: Postprocessing,
    classes: Sequence[LabelClass],
) -> tuple[str, ...]:
    first = f"{candidates[0].title}: {why_first(candidates, cases=len(compared))}"
    reasons = [first, *told_differences(candidates, cases=len(compared))]
    if prior.choice.log_shift and prior.tried is not None:
        reasons.append(f"prior shifted: {prior.tried.phrase}; {prior.tried.reason}")
    return (*reasons, *(f"postprocessing kept: {describe(step, classes)}" for step in found.steps))


def _optimism(selection: Selection) -> Iterator[str]:
    """How much better the selection's score looks than new cases will have it."""
    if not selection.optimistic:
        return
    chosen = [f"the best of {len(selection.candidates)} combinations"] if len(selection.candidates) > 1 else []
    chosen += ["the shift"] if selection.log_shift else []
    chosen += ["the postprocessing"] if selection.postprocessing else []
    because = f"{listing(chosen)} {'was' if len(chosen) == 1 else 'were'} chosen on the cases that it is of"
    if selection.nested is None:
        yield f"its score is optimistic: {because}; `autoseg select --nested` scores each fold by what the others choose"
        return
    unbiased, optimism = selection.nested.score, selection.nested.optimism
    alone = unbiased.dice.cases - optimism.cases  # cases without any class have a Dice where something is found
    besides = f", and it finds something in {counted(alone, 'more case')} without any class" if alone else ""
    yield (
        f"its score is optimistic, by {number(optimism.mean, 4)} in Dice: {because}; each fold scored by what the others "
        f"chose: Dice {interval(unbiased.dice, 4)}, HD {interval(unbiased.hausdorff_mm, 2, unit='mm')}{besides}"
    )


def _whose_doubt(cases: Sequence[HeldOutCase], quality: Quality) -> str:
    """Which models say how good results probably are."""
    most = {name: max(len(case.probabilities[name]) for case in cases) for name in quality.seeds}
    unequal = [name for name, count in quality.seeds.items() if most[name] > count]
    besides = f" (not every fold has all seeds of {', '.join(unequal)})" if unequal else ""
    return f"Dice is predicted from what {quality.basis} expect{besides}"
