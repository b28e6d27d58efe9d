"""What a report is about above all, in words: whose scores stand at the top, and whose stand beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autoseg.catalogue import NETWORKS, Architecture
from autoseg.evaluation.cases import CaseMetrics
from autoseg.inference.steps import Step
from autoseg.model.identity import fold_order
from autoseg.postprocessing.selection import Selection, Views, done_in_words
from autoseg.reporting.data import SELECTED, ReportData, ScoredModels
from autoseg.runs.inventory import by_network
from autoseg.wording import counted, listing

_ALONE = "not postprocessed"
"""What is said of single networks: their held-out label maps are as the network made them."""


@dataclass(frozen=True)
class Subject:
    """What the first scores of a report are of: what predicts, as far as held-out cases tell.

    Attributes:
        name: as a heading, such as `Selection` or `U-Net`; empty where nothing was scored.
        short: within a sentence below one with the title: `the selection`, or as the name.
        title: in full, with its folds and what is done to its label maps; part of a sentence.
        cases: its scores, by case.
    """

    name: str
    short: str
    title: str
    cases: Sequence[CaseMetrics]


@dataclass(frozen=True)
class Decided:
    """What the scores of a selection are of: what had been decided, whatever somebody wrote into it since.

    Attributes:
        networks: whose probabilities are averaged, in the order of their table.
        views: planes of the views that are averaged; empty: all.
        log_shift: added to the logarithms of averaged probabilities, one number per class; empty: nothing.
        steps: of postprocessing.
    """

    networks: tuple[Architecture, ...]
    views: Views
    log_shift: tuple[float, ...]
    steps: tuple[Step, ...]


def decided(selection: Selection) -> Decided:
    """What a selection decided; from its evidence where it was edited by hand."""
    if not selection.edited or not selection.candidates:
        predicting = {model.architecture for model in selection.models}
        networks = tuple(name for name in NETWORKS if name in predicting)
        return Decided(networks, selection.views, selection.log_shift, selection.postprocessing)
    best, shift = selection.candidates[0], selection.shift
    log_shift = shift.log_shift if shift is not None and shift.kept else ()
    return Decided(best.networks, best.views, log_shift, tuple(trial.step for trial in selection.tried if trial.kept))


def subject_of(data: ReportData) -> Subject:
    """What a report is about: the selection, else the best network."""
    if data.selection is not None:
        short = short_of(data, SELECTED)
        return Subject(SELECTED, short, f"{short} ({_selected_in_words(data.selection)})", data.selected)
    if not data.groups:
        return Subject("", "", "", ())
    network = data.main.best_network
    name = network.title
    return Subject(name, name, f"{name} ({_alone_in_words(data.main, name)})", data.main.scores[network])


def described(data: ReportData, group: ScoredModels) -> dict[str, str]:
    """Of all whose scores stand side by side: folds, number of cases, and whether label maps are postprocessed.

    Of a selection that was edited since: that it is what it was before.
    """
    words = {title: _alone_in_words(group, title) for title in group.titled}
    if data.selection is not None:
        when = f"as it was{_when(data.selection)}, " if data.selection.edited else ""
        words[SELECTED] = when + _selected_in_words(data.selection)
    return {title: f"{words[title]}, {counted(len(cases), 'case')}" for title, cases in data.compared(group).items()}


def heading_of(data: ReportData, title: str) -> str:
    """What predicted, above its label maps: a network's title, or `Selection`, and whether that was edited since."""
    return f"{title}{_when(data.selection)}" if title == SELECTED and data.selection is not None else title


def short_of(data: ReportData, title: str) -> str:
    """What predicted, within a sentence that stands below one with its folds: as `heading_of`, or `the selection`."""
    heading = heading_of(data, title)
    return f"the {heading[:1].lower()}{heading[1:]}" if title == SELECTED else heading


def in_one(descriptions: Mapping[str, str]) -> str:
    """Descriptions as part of a caption, what is alike together.

    Example:
        >>> in_one({"Selection": "U-Net, fold 0, 5 cases", "U-Net": "fold 0, 5 cases", "Sep-Res U-Net": "fold 0, 5 cases"})
        'Selection: U-Net, fold 0, 5 cases; U-Net and Sep-Res U-Net: fold 0, 5 cases'
    """
    titles: dict[str, list[str]] = {}
    for title, text in descriptions.items():
        titles.setdefault(text, []).append(title)
    return "; ".join(f"{listing(alike)}: {text}" for text, alike in titles.items())


def not_what_predicts(data: ReportData) -> str:
    """How the scores at the top are of something else than what `autoseg predict` uses; empty: they are not.

    A selection that is used and was edited says so itself.
    """
    if data.unusable:
        return f"{data.unusable[:1].upper()}{data.unusable[1:]}: `autoseg predict` refuses it. Run `autoseg select` again."
    subject = subject_of(data)
    if data.selection is not None or not subject.cases:
        return ""
    models = [run.model for run in data.runs]
    numbered = [model for model in models if model.id.is_numbered]
    full, official = ([model for model in models if model.fold == fold] for fold in ("full", "official"))
    predicting = by_network(numbered or full or official)
    if full and not numbered:
        return (
            f"Nothing is selected: `autoseg predict` uses what was trained on all cases, which held none out. The scores "
            f"are of {subject.title}."
        )
    if len(predicting) > 1:
        return (
            f"Nothing is selected: `autoseg predict` averages {listing([network.title for network in predicting])}, and "
            f"that average was not scored. The scores at the top are of {subject.title}."
            + (" Run `autoseg select`." if numbered else "")
        )
    return ""


def _when(selection: Selection) -> str:
    """Which state of a selection its scores are of; empty: the only one there was."""
    return " before it was edited" if selection.edited else ""


def _selected_in_words(selection: Selection) -> str:
    """What a selection averages, of which folds, and what it does to label maps."""
    made = decided(selection)
    titles = [NETWORKS[name].title for name in made.networks]
    parts = [f"the average of {listing(titles)}" if len(titles) > 1 else titles[0]]
    if not selection.edited:  # after an edit nobody knows the models that were
        parts.append(folds_in_words(model.fold for model in selection.models))
        seeds = {model.seed for model in selection.models}
        parts += [counted(len(seeds), "seed")] if len(seeds) > 1 else []
    parts += [f"{listing(made.views)} slices"] if made.views else []
    return ", ".join([*parts, done_in_words(made.log_shift, made.steps)])


def _alone_in_words(group: ScoredModels, title: str) -> str:
    [models] = [models for network, models in group.models.items() if network.title == title]
    return f"{folds_in_words(model.fold for model in models)}, {_ALONE}"


def folds_in_words(folds: Iterable[str]) -> str:
    """Folds as part of a sentence.

    Example:
        >>> folds_in_words(["0"]), folds_in_words(["2", "0", "1"]), folds_in_words(["0", "2"]), folds_in_words(["official"])
        ('fold 0', 'folds 0 to 2', 'folds 0 and 2', 'official split')
    """
    found = sorted(set(folds), key=fold_order)
    numbers = [int(fold) for fold in found if fold.isdigit()]
    others = [f"{fold} split" if fold == "official" else "all cases" for fold in found if not fold.isdigit()]
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        words = [f"folds {numbers[0]} to {numbers[-1]}"]
    else:
        words = [f"fold{'s' if len(numbers) > 1 else ''} {listing([str(number) for number in numbers])}"] if numbers else []
    return listing([*words, *others])
