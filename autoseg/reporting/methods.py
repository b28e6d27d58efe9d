"""A methods paragraph ready for a paper: what was done, in sentences with numbers, versions and references."""

from collections.abc import Mapping, Sequence
from typing import Final

from autoseg.catalogue import NETWORKS
from autoseg.evaluation.statistics import INTERVAL_METHOD
from autoseg.metrics.table import METRICS
from autoseg.planning.plan import Plan
from autoseg.reporting import plan_clauses
from autoseg.reporting.citations import hardware, references, software
from autoseg.reporting.study import Choice, Study, Training, architectures
from autoseg.wording import counted, from_to, in_words, listing

_PEOPLE: Final = ("Dice", "Hausdorff")
"""After whom metrics are called: their names keep their capitals within a sentence."""


_EDITED: Final = "The selection was edited by hand afterwards; scores are of what it was before."


def methods_paragraph(plan: Plan, study: Study) -> tuple[str, list[str]]:
    """The paragraph and its references, each of which it cites, in the order of their first mention."""
    sentences = [_data(plan, study), _adopted(plan, study.trainings), _recipe(plan)]
    if study.trainings:
        judged_on = "held-out" if any(training.held_out for training in study.trainings) else "training"
        planes = len(study.choice.views) if study.choice and study.choice.views else len(plan.views)
        sentences += [
            *plan_clauses.preprocessing(plan),
            _networks(plan, study.trainings),
            *plan_clauses.showing(plan),
            _splits(plan, study),
            _seeds(study.trainings),
            _origins(study.trainings),
            _training(plan, study.trainings, judged_on=judged_on),
            _stretches(study.trainings),
            *plan_clauses.learning_details(plan, judged_on=judged_on),
            _numbers(study.trainings),
            *plan_clauses.augmentation(plan),
            plan_clauses.prediction(plan, planes=planes),
        ]
    sentences += [*_selection(study.choice, plan), *_scores(plan, study), software(plan, study), hardware(study.trainings)]
    text = " ".join(sentence for sentence in sentences if sentence)
    return text, references(text, plan, study)


def _data(plan: Plan, study: Study) -> str:
    classes = listing([label.name for label in plan.data.classes[1:]])
    channels = listing(plan.data.channels)
    nested = "" if plan.data.encoding.exclusive else " These are regions: a voxel may lie in several, one inside the other."
    return (
        f"The data set {plan.inputs.name} has {counted(study.cases, _case(plan))} ({channels}) with reference segmentations "
        f"of {classes}.{nested}" + _labelled(study)
    )


def _labelled(study: Study) -> str:
    """How much of the data was labelled, where not all of it was."""
    if not study.labelled:
        return ""
    amount = study.labelled.replace(" are labelled", " were labelled")
    return f" Only {amount}; voxels without a label counted in neither the loss nor the scores."


def _adopted(plan: Plan, trainings: Sequence[Training]) -> str:
    """Label maps that were predicted first, and corrected or confirmed by a person."""
    new = {digest for training in trainings for digest in training.adopted}
    corrected = {digest for training in trainings for digest in training.corrected}
    if not (new or corrected):
        return ""
    earlier = [training for training in trainings if training.revision < max(each.revision for each in trainings)]
    of_new = [f"{counted(len(new), f'further {_case(plan)}')}"] if new else []
    replaced = [f"{in_words(len(corrected))} in place of an earlier reference"] if corrected else []
    text = (
        f"Of the segmentations that were learnt from, {in_words(len(new | corrected))} had been predicted by an earlier "
        f"model and were corrected or confirmed by a person ({listing([*of_new, *replaced])})."
    )
    return text + (f" {in_words(len(earlier)).capitalize()} of the trainings preceded the last of these." if earlier else "")


def _recipe(plan: Plan) -> str:
    follows = "follows the method" if plan.inputs.recipe == "paper" else "extends the method"
    text = (
        f"autoseg (recipe `{plan.inputs.recipe}`), which {follows} of Islam and Tabassum (2025), derived settings from the "
        "data by fixed rules, as Isensee et al. (2021) proposed."
    )
    if by_hand := [f"`{path}`" for path in plan.inputs.overrides]:
        text += f" {listing(by_hand)} {'was' if len(by_hand) == 1 else 'were'} set by hand."
    return text + (" The plan was edited by hand." if plan.edited else "")


def _networks(plan: Plan, trainings: Sequence[Training]) -> str:
    names = architectures(trainings)
    phrases = listing([NETWORKS[name].phrase for name in names])
    features = plan.network.inside.features
    normalised = " and batch normalisation" if all(name in NETWORKS.built_in for name in names) else ""
    levels = f"{counted(len(features), 'level')} of {from_to(features[0], features[-1], 'd')}"
    networks = "The network was" if len(names) == 1 else "The networks were"
    return f"{networks} {phrases}, with {levels} features{normalised}."


def _splits(plan: Plan, study: Study) -> str:
    """On which cases which networks were trained."""
    groups: dict[str, list[str]] = {}
    for name in architectures(study.trainings):
        folds = {training.fold: training for training in study.trainings if training.architecture == name}
        groups.setdefault(_split(plan, folds, of=study.folds), []).append(NETWORKS[name].title)
    if len(groups) == 1:
        [(split, titles)] = groups.items()
        return f"The {'network was' if len(titles) == 1 else 'networks were'} trained {split}."
    return " ".join(
        f"The {listing(titles, last='and the')} {'was' if len(titles) == 1 else 'were'} trained {split}."
        for split, titles in groups.items()
    )


def _split(plan: Plan, folds: Mapping[str, Training], *, of: int) -> str:
    """On which cases a network was trained, which has been on these folds of so many."""
    numbered = sorted((fold for fold in folds if fold.isdigit()), key=int)
    places = []
    if len(numbered) == of > 1:
        each = _sizes([folds[fold] for fold in numbered], plan)
        places.append(f"in {in_words(of)}-fold cross-validation ({each} in each fold)")
    elif numbered:
        each = _sizes([folds[fold] for fold in numbered], plan)
        which = f"fold{_s(len(numbered))} {listing(numbered)}"
        places.append(f"on {in_words(len(numbered))} of {in_words(of)} folds ({which}: {each})")
    if "official" in folds:
        places.append(f"on the data set's own split ({_sizes([folds['official']], plan)})")
    if "full" in folds:
        places.append(f"on all {counted(len(folds['full'].training), f'labelled {_case(plan)}')}, none of them held out")
    return listing(places)


def _sizes(trainings: Sequence[Training], plan: Plan) -> str:
    trained = _range([len(training.training) for training in trainings])
    held_out = [len(training.held_out) for training in trainings]
    return f"{trained} training and {_range(held_out)} held-out {_case(plan)}{_s(max(held_out))}"


def _seeds(trainings: Sequence[Training]) -> str:
    seeds: dict[tuple[str, str], set[int]] = {}
    for training in trainings:
        seeds.setdefault((training.architecture, training.fold), set()).add(training.seed)
    most = max(seeds.values(), key=len)
    if len(most) == 1:
        return ""
    if all(found == most for found in seeds.values()):
        numbers = listing([str(seed) for seed in sorted(most)])
        return f"Each was trained with {in_words(len(most))} random seeds ({numbers})."
    return f"Some were trained with several random seeds, up to {in_words(len(most))}."


def _origins(trainings: Sequence[Training]) -> str:
    """The models that weights come from where trainings did not start from nothing, and what is known of these."""
    origins = [training.origin for training in trainings if training.origin is not None]
    if not origins:
        return ""
    which = "Training" if len(trainings) == 1 else "Each training"
    if len(origins) < len(trainings):
        which = f"{in_words(len(origins)).capitalize()} of {in_words(len(trainings))} trainings"
    text = f"{which} started from trained weights ({'; '.join(dict.fromkeys(origin.in_words for origin in origins))})."
    factors = sorted({training.rate_factor for training in trainings if training.origin is not None} - {1.0})
    text += f" Learning rates were multiplied by {listing([f'{each:g}' for each in factors])} there." if factors else ""
    judged = [training.origin for training in trainings if training.origin is not None and training.held_out]
    if any(origin.learnt_from is None for origin in judged):
        return f"{text} It was not recorded whether these had been learnt from scans that were held out."
    return f"{text} None of these had been learnt from the scans that were held out." if judged else text


def _training(plan: Plan, trainings: Sequence[Training], *, judged_on: str) -> str:
    epochs, minutes = [training.epochs for training in trainings], [training.minutes for training in trainings]
    long = f"{_range(minutes, digits=0 if min(minutes) >= 10 else 1)} minutes"
    took = f"{_range(epochs)} epoch{_s(max(epochs))} ({long if max(minutes) >= 1 else 'less than a minute'})"
    each = "Each training" if len(trainings) > 1 else "Training"
    return f"{each} took {took}, {plan_clauses.learning(plan, judged_on=judged_on)}."


def _stretches(trainings: Sequence[Training]) -> str:
    """Trainings that went on after their end."""
    further = [training.stretches for training in trainings if training.stretches]
    if not further:
        return ""
    which = "It was" if len(trainings) == 1 else "All were"
    if len(further) < len(trainings):
        which = (
            f"{in_words(len(further)).capitalize()} of {in_words(len(trainings))} {'was' if len(further) == 1 else 'were'}"
        )
    parts = dict.fromkeys(" + ".join(str(stretch.epochs) for stretch in stretches) for stretches in further)
    how = "from the last weights, with a schedule that started again from a lower learning rate"
    revised = any(len({stretch.revision for stretch in stretches}) > 1 for stretches in further)
    data = "; cases were added or label maps corrected in between" if revised else ""
    return f"{which} trained further after the end ({listing(list(parts))} epochs), {how}{data}."


def _numbers(trainings: Sequence[Training]) -> str:
    """The number format of convolutions where it is not the usual one, and batches that were smaller than planned."""
    precisions = sorted({training.precision for training in trainings})
    sentences = [f"Convolutions were computed in {listing(precisions, last='or')}."] if precisions != ["float32"] else []
    halved = sum(training.batches_halved for training in trainings)
    if halved:
        which = "" if halved == len(trainings) else f" in {in_words(halved)} of {in_words(len(trainings))} trainings"
        sentences.append(f"Batches were halved{which} to fit into the GPU's memory.")
    return " ".join(sentences)


def _selection(choice: Choice | None, plan: Plan) -> list[str]:
    if choice is None:
        return []
    sentences = [_chosen(choice, plan)] if choice.candidates > 1 else []
    if choice.shift:
        what = "Logarithms" if plan.data.encoding.exclusive else "Log-odds"
        sentences.append(
            f"{what} of averaged probabilities were shifted by what held-out {_case(plan)}s taught ({choice.shift})."
        )
    if choice.steps:
        sentences.append(f"Label maps were postprocessed with cc3d (Silversmith 2021): {'; '.join(choice.steps)}.")
    elif choice.steps_tried:
        sentences.append(f"No step of postprocessing was kept ({in_words(choice.steps_tried)} tried).")
    return [*sentences, *([_EDITED] if choice.edited else [])]


def _chosen(choice: Choice, plan: Plan) -> str:
    what = "networks and planes" if len(plan.views) > 1 else "networks"
    networks = listing([NETWORKS[name].title for name in choice.networks])
    selected = f"{networks} was" if len(choice.networks) == 1 else f"the average of {networks} was"
    through = f", seeing {listing(choice.views)} slices" if choice.views else ""
    tests = "; differences from it were tested by paired permutation tests, corrected after Holm (1979)"
    return (
        f"Out of {in_words(choice.candidates)} combinations of {what}, {selected} selected by mean Dice on "
        f"{counted(choice.cases, f'held-out {_case(plan)}')}{through}{tests if choice.tested else ''}."
    )


def _scores(plan: Plan, study: Study) -> list[str]:
    if not study.scored:
        return []
    metrics = [METRICS[name] for name in study.metrics]
    names = listing([_in_a_sentence(metric.title) for metric in metrics])
    in_mm = " (distances in mm)" if any(metric.unit == "mm" for metric in metrics) else ""
    scored = counted(study.scored, f"held-out {_case(plan)}")
    by = "class" if plan.data.encoding.exclusive else "region"
    sentences = [f"Predictions of {scored}{_by_whom(study)} were scored by {by}: {names}{in_mm}."]
    if "nsd" in study.metrics:
        sentences.append(_tolerance(plan))
    if study.has_interval:
        sentences.append(f"Means are given with 95 % {INTERVAL_METHOD} intervals over {_case(plan)}s (Hall 1992).")
    choice = study.choice
    if choice is not None and (choice.candidates > 1 or choice.steps or choice.shift):
        nested = ", and by nested selection, without the fold that is scored" if choice.nested else ""
        sentences.append(f"The selection was scored on the {_case(plan)}s that decided it{nested}.")
    return sentences


def _by_whom(study: Study) -> str:
    """What made the predictions that were scored; nothing where a single network did, and nothing was done to them."""
    choice = study.choice
    if choice is None:
        return f" by {study.scored_network} (nothing was selected)" if study.scored_network else ""
    done = [*(["shifted"] if choice.shift else []), *(["postprocessed"] if choice.steps else [])]
    if choice.candidates == 1 and not done:
        return ""
    who = "the selected average" if len(choice.networks) > 1 else "the selected network"
    return f" by {who}{', ' + listing(done) + ',' if done else ''}"


def _tolerance(plan: Plan) -> str:
    """Of the normalised surface Dice, for each class where it is not the same for all."""
    names = {label.value: label.name for label in plan.data.classes}
    by_class = {names[value]: f"{tolerance_mm:g} mm" for value, tolerance_mm in plan.tolerances_mm.items()}
    same = set(by_class.values())
    told = same.pop() if len(same) == 1 else listing([f"{tolerance} for {name}" for name, tolerance in by_class.items()])
    return f"The tolerance of the normalised surface Dice (Nikolov et al. 2018) was {told}."


def _in_a_sentence(title: str) -> str:
    return title if title.startswith(_PEOPLE) else title[:1].lower() + title[1:]


def _case(plan: Plan) -> str:
    return "image" if plan.views[0].plane is None else "scan"


def _s(number: int) -> str:
    """The ending of a noun of which there are so many."""
    return "" if number == 1 else "s"


def _range(values: Sequence[float], *, digits: int = 0) -> str:
    return from_to(min(values), max(values), f",.{digits}f")
