"""The Brain Imaging Data Structure: `sub-*/[ses-*/]anat/*_T1w.nii.gz`, with label maps derived from it.

Label maps lie under `derivatives/`, in folders of any depth, or beside the scans. They bear the subject and the session of
their scan, and whatever else tells it from the others of its session. Scans without one can only be predicted.

Source: https://bids-specification.readthedocs.io.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from autoseg.data.bids import BidsScan, group_scans, parse_name
from autoseg.data.dataset import Case, Dataset
from autoseg.data.folders import files_below
from autoseg.data.naming import dataset_name, image_stem, is_label_stem
from autoseg.errors import DatasetError
from autoseg.layouts.common import Choice, Layout, Mismatch, images_in, in_natural_order, refuse_lacking, several_label_maps

_FIRST: Final = ("T1w", "T2w", "FLAIR")
"""What becomes a channel by itself, in this order."""

_NATIVE: Final = frozenset({"T1w", "T2w", "FLAIR", "orig", "individual", "scanner"})
"""Spaces of label maps that are a scan's own. Source: the specification, appendix on coordinate systems."""


class Bids(Layout):
    """Subjects, sessions, and what is derived from them."""

    subjects = "bids"

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        """Read a folder."""
        folders = list(_anatomy(root))
        if not folders:
            msg = "no folder sub-<label>/anat or sub-<label>/ses-<label>/anat"
            raise Mismatch(msg)
        images = [path for folder in folders for _, path in images_in(folder)]
        labels = _label_maps(root, images, choice)
        channels = choice.channels or _channels([path for path in images if path not in labels], labels.values())
        scans = group_scans([path for path in images if path not in labels], channels=channels)
        matched = _matched(scans, labels, root=root)
        refuse_lacking(
            ((scan.id, scan.images) for scan in scans if scan.id in matched),
            channels,
            root=root,
            what="labelled scans lack channels, or have several images of one",
            remedy="Add or remove images, or choose, as with --channel T1w or --channel acq-mprage_T1w --channel FLAIR.",
        )
        return Dataset(
            name=dataset_name(root, {}),
            root=root,
            layout="bids",
            channels=channels,
            classes=None,
            cases=in_natural_order(
                _case(scan, channels, matched.get(scan.id)) for scan in scans if len(scan.images) == len(channels)
            ),
        )


def _anatomy(root: Path) -> Iterator[Path]:
    """The folders of anatomical scans."""
    for subject in sorted(root.glob("sub-*")):
        for parent in (subject, *sorted(subject.glob("ses-*"))):
            if (folder := parent / "anat").is_dir():
                yield folder


def _label_maps(root: Path, images: Sequence[Path], choice: Choice) -> dict[Path, Mapping[str, str]]:
    """The entities of the label maps: by what is chosen, else discrete segmentations, else all by their names."""
    if choice.labels is not None:
        found = choice.label_maps(root)
    else:
        derived = root / "derivatives"
        below = list(files_below(derived, visited=set(), skipped=[])) if derived.is_dir() else []
        found = [path for path in (*below, *images) if is_label_stem(image_stem(path) or "")]
        discrete = [path for path in found if (image_stem(path) or "").endswith("_dseg")]
        found = discrete or found
    entities = {path: _entities(image_stem(path) or "") for path in found}
    return {path: labels for path, labels in entities.items() if "sub" in labels}


def _entities(stem: str) -> dict[str, str]:
    """The entities of a derived file, whose name may hold other words as well: `sub-1_T1w_label-tumour_seg`."""
    parts = (part.partition("-") for part in stem.split("_"))
    return {key: label for key, sign, label in parts if sign}


def _channels(images: Iterable[Path], labels: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """The kinds of images that every labelled session has; T1w, T2w and FLAIR where there are any of these."""
    sessions: dict[tuple[str | None, str | None], set[str]] = defaultdict(set)
    for path in images:
        if (name := parse_name(image_stem(path) or "")) is not None:
            sessions[name.entities["sub"], name.entities.get("ses")].add(name.suffix)
    labelled = [sessions[key] for key in {(one["sub"], one.get("ses")) for one in labels} if key in sessions]
    common = set.intersection(*(labelled or sessions.values() or [set()]))
    return tuple(suffix for suffix in _FIRST if suffix in common) or tuple(sorted(common)) or ("T1w",)


def _matched(scans: Sequence[BidsScan], labels: Mapping[Path, Mapping[str, str]], *, root: Path) -> dict[str, Path]:
    """The label map of each scan that has one."""
    by_subject: dict[str | None, list[BidsScan]] = defaultdict(list)
    for scan in scans:
        by_subject[scan.name.entities["sub"]].append(scan)
    candidates: dict[str, list[Path]] = defaultdict(list)
    for path, entities in labels.items():
        of_subject = by_subject[entities["sub"]]
        owners = [scan for scan in of_subject if _belongs(entities, scan, of_subject)]
        if len(owners) > 1:
            raise DatasetError(
                "a label map that may belong to several scans",
                where=path,
                expected=f"what tells them apart in its name, as in {owners[0].id}",
                found=", ".join(scan.id for scan in owners),
                remedy="Rename it, or choose one of the images, as with --channel run-1_T1w.",
            )
        for scan in owners:
            candidates[scan.id].append(path)
    own = {scan.id: _in_own_space(candidates[scan.id], labels, scan) for scan in scans if scan.id in candidates}
    if several := {name: paths for name, paths in own.items() if len(paths) > 1}:
        raise several_label_maps(several, root=root)
    return {name: paths[0] for name, paths in own.items()}


def _belongs(label: Mapping[str, str], scan: BidsScan, scans: Sequence[BidsScan]) -> bool:
    """Whether a label map is of one of a subject's scans: it says nothing else, and its session where there are several."""
    entities = scan.name.entities
    if "ses" not in label and "ses" in entities and len({other.name.session for other in scans}) > 1:
        return False
    return all(label.get(key, value) == value for key, value in entities.items() if key != "space")


def _in_own_space(paths: Sequence[Path], labels: Mapping[Path, Mapping[str, str]], scan: BidsScan) -> list[Path]:
    """The label maps in a scan's own space, where there are any: others lie on another grid."""
    space = scan.name.entities.get("space")
    own = {space} if space is not None else {None, *_NATIVE}
    return [path for path in paths if labels[path].get("space") in own] or list(paths)


def _case(scan: BidsScan, channels: Sequence[str], label: Path | None) -> Case:
    return Case(
        id=scan.id,
        images=tuple(scan.images[channel] for channel in channels),
        label=label,
        subject=f"sub-{scan.name.entities['sub']}",
        subset="test" if label is None else "training",
    )
