"""What a methods paragraph cites: software with its versions, works, and beside them the hardware."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from autoseg.catalogue import AUGMENTATIONS, LOSSES, NETWORKS, NORMALISATIONS, OPTIMISERS
from autoseg.planning.plan import Plan
from autoseg.reporting.study import Study, Training, architectures
from autoseg.wording import listing

_REFERENCES: Final[Mapping[str, str]] = {
    "Islam and Tabassum 2025": "Islam, Tabassum (2025). Deep Learning based Brain Tissue Segmentation from MRI: A 2D CNN "
    "Approach. University of Girona.",
    "Isensee et al. 2021": "Isensee F, et al. (2021). nnU-Net: a self-configuring method for deep learning-based biomedical "
    "image segmentation. Nature Methods 18.",
    "Lee et al. 2015": "Lee CY, Xie S, Gallagher P, Zhang Z, Tu Z (2015). Deeply-Supervised Nets. AISTATS.",
    "Holm 1979": "Holm S (1979). A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of "
    "Statistics 6.",
    "Hall 1992": "Hall P (1992). On the Removal of Skewness by Transformation. Journal of the Royal Statistical Society "
    "B 54.",
    "Nikolov et al. 2018": "Nikolov S, et al. (2018). Deep learning to achieve clinically applicable segmentation of head "
    "and neck anatomy for radiotherapy. arXiv:1809.04430.",
    "Paszke et al. 2019": "Paszke A, et al. (2019). PyTorch: An Imperative Style, High-Performance Deep Learning Library. "
    "NeurIPS.",
    "Lowekamp et al. 2013": "Lowekamp BC, et al. (2013). The Design of SimpleITK. Frontiers in Neuroinformatics 7.",
    "Harris et al. 2020": "Harris CR, et al. (2020). Array programming with NumPy. Nature 585.",
    "Virtanen et al. 2020": "Virtanen P, et al. (2020). SciPy 1.0: Fundamental Algorithms for Scientific Computing in "
    "Python. Nature Methods 17.",
    "Isensee et al. 2020": "Isensee F, et al. (2020). batchgenerators: a python framework for data augmentation. Zenodo.",
    "Silversmith 2021": "Silversmith W (2021). cc3d: Connected components on multilabel 3D & 2D images. Zenodo.",
}
"""What autoseg itself cites, by how it is cited."""

_PACKAGES: Final[Mapping[str, str]] = {
    "torch": "PyTorch {} (Paszke et al. 2019)",
    "SimpleITK": "SimpleITK {} (Lowekamp et al. 2013)",
    "numpy": "NumPy {} (Harris et al. 2020)",
    "scipy": "SciPy {} (Virtanen et al. 2020)",
    "batchgenerators": "batchgenerators {} (Isensee et al. 2020)",
}
"""How packages are named and cited with their versions, by their names in lists of versions."""


def references(text: str, plan: Plan, study: Study) -> list[str]:
    """What a paragraph cites: autoseg itself, then works in the order of their first mention."""
    mentioned = text.replace("(", "")
    found = {reference: mentioned.find(cited) for cited, reference in _REFERENCES.items() if cited in mentioned}
    for reference in _references_of_entries(plan, study):
        found.setdefault(reference, mentioned.find(reference.split(maxsplit=1)[0].rstrip(",")))
    versions = versions_of(study)["autoseg"]
    autoseg = f"The autoseg team. autoseg: self-configuring segmentation of medical images in 2D. Version {versions}."
    return [autoseg, *sorted(found, key=lambda reference: found[reference])]


def _references_of_entries(plan: Plan, study: Study) -> Iterable[str]:
    """What the entries that the paragraph names cite."""
    if not study.trainings:
        return
    for step in plan.preprocessing.normalisation:
        yield from NORMALISATIONS[step.method].references
    for name in architectures(study.trainings):
        yield from NETWORKS[name].references
    yield from LOSSES[plan.training.loss].references
    yield from OPTIMISERS[plan.training.optimiser].references
    for name in plan.augmentation.additional:
        yield from AUGMENTATIONS[name].references


def software(plan: Plan, study: Study) -> str:
    """What was used, with versions."""
    versions = versions_of(study)
    used = {"autoseg", "python", *_used(plan, study)}
    named = {"autoseg": "autoseg {}", **_PACKAGES, "python": "Python {}"}
    packages = [form.format(versions[name]) for name, form in named.items() if name in versions and name in used]
    differ = any(" and " in versions[name] for name in used if name in versions)
    return f"Software: {listing(packages)}{'; versions differ between trainings' if differ else ''}."


def _used(plan: Plan, study: Study) -> Iterable[str]:
    """Packages beside autoseg that had a part in what was done."""
    yield from ("SimpleITK", "numpy")
    if study.trainings:
        yield from ("torch", "scipy")
    changes = plan.augmentation.intensity_probability > 0 or any(view.mirror_axes for view in plan.views)
    if changes and any(training.augmented_on_host for training in study.trainings):
        yield "batchgenerators"


def versions_of(study: Study) -> dict[str, str]:
    """By package, the versions that networks were trained with; before there are any, those that are installed."""
    recorded = [training.versions for training in study.trainings] or [study.versions]
    names = dict.fromkeys(["autoseg", *(name for versions in recorded for name in versions)])
    found = {name: sorted({versions[name] for versions in recorded if name in versions}) for name in names}
    return {name: listing(versions) or "unknown" for name, versions in found.items()}


def hardware(trainings: Sequence[Training]) -> str:
    """What networks were trained on, as far as that was recorded; empty: it was not."""
    recorded = [training.hardware for training in trainings if training.hardware is not None]
    if not recorded:
        return ""
    named = listing(list(dict.fromkeys(each.in_words for each in recorded)))
    where = "Networks" if len(recorded) == len(trainings) else "Networks of which this is recorded"
    return f"{where} were trained on {named}."
