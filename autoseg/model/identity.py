"""What a trained model is called: its network, its fold and its seed, in titles and as a folder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, get_args

from pydantic import Field

from autoseg import catalogue

_FOLD: Final = "fold_"
_SEED: Final = "seed_"

Seed = Annotated[int, Field(ge=0, lt=2**64)]
"""Of all randomness of a training."""


@dataclass(frozen=True)
class ModelId:
    """One network on one fold; one of its views and of its seeds where there are several models of it.

    Attributes:
        architecture: the network.
        fold: a number, `official` or `full`.
        view: plane of the only view that it sees, where each has a network of its own; None: it sees all.
        seed: its seed, where that is part of its place; None: it lies in the fold's own folder, as the model of the default
            seed does, and as every model of version 0.1, whatever its seed.
    """

    architecture: catalogue.Architecture
    fold: str
    seed: int | None = None
    view: catalogue.Plane | None = None

    @property
    def folder(self) -> str:
        """Where the model lies below the folder of all models, as `unet/fold_0`, `unet/fold_0/axial`, or `.../seed_1`."""
        return "/".join((self.architecture, *self._place))

    @property
    def file_stem(self) -> str:
        """A file name without its ending, such as `unet_fold_0`."""
        return self.folder.replace("/", "_")

    @property
    def title(self) -> str:
        """What users read, such as `unet, fold 0` or `unet, fold 0, seed 1`."""
        return f"{self.architecture}, {self.place_title}"

    @property
    def place_title(self) -> str:
        """The same without the network."""
        return ", ".join(part.replace("_", " ") for part in self._place)

    @property
    def place_stem(self) -> str:
        """A part of a file name that leaves the network out, such as `fold_0_seed_1`."""
        return "_".join(self._place)

    @property
    def place_among_seeds(self) -> int:
        """Where it stands among the seeds of one network on one fold: what lies in the fold's own folder comes first."""
        return -1 if self.seed is None else self.seed

    @property
    def is_numbered(self) -> bool:
        """Whether the model belongs to the cross-validation."""
        return self.fold.isdigit()

    @property
    def _place(self) -> tuple[str, ...]:
        view = () if self.view is None else (self.view,)
        seed = () if self.seed is None else (f"{_SEED}{self.seed}",)
        return (f"{_FOLD}{self.fold}", *view, *seed)


def of_several_networks(models: Iterable[ModelId]) -> bool:
    """Whether models are of more than one network, so that their average is no network's own; folds of one are not.

    Seeds count as networks where a fold has several of them.

    Example:
        >>> of_several_networks([ModelId("unet", "0"), ModelId("unet", "1", seed=3)])
        False
        >>> of_several_networks([ModelId("unet", "0"), ModelId("sepres", "1")])
        True
        >>> of_several_networks([ModelId("unet", "0"), ModelId("unet", "0", seed=3)])
        True
    """
    places = [(model.architecture, model.view, model.fold) for model in models]
    return len(set(places)) < len(places) or len({(name, view) for name, view, _ in places}) > 1


def fold_order(fold: str) -> tuple[bool, int, str]:
    """What folds are sorted by: numbers by their size, then names.

    Example:
        >>> sorted(["full", "10", "2"], key=fold_order)
        ['2', '10', 'full']
    """
    numbered = fold.isdigit()
    return not numbered, int(fold) if numbered else 0, fold


def model_folders(models: Path) -> Iterator[Path]:
    """All folders of models below the folder that holds them."""
    for fold in models.glob(f"*/{_FOLD}*"):
        yield fold
        for inside in folders_inside(fold):
            yield inside
            yield from folders_inside(inside)


def folders_inside(model: Path) -> Iterator[Path]:
    """Folders of other models right inside a model's own."""
    yield from model.glob(f"{_SEED}*")
    yield from (model / plane for plane in get_args(catalogue.Plane) if (model / plane).exists())
