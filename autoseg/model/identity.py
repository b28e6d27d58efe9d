"""What a trained model is called: its network, its fold and its seed, in titles and as a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from autoseg import catalogue

_FOLD: Final = "fold_"
_SEED: Final = "seed_"

Seed = Annotated[int, Field(ge=0, lt=2**64)]
"""Of all randomness of a training."""


@dataclass(frozen=True)
class ModelId:
    """One network on one fold, and one of its seeds where there are several.

    Attributes:
        architecture: the network.
        fold: a number, `official` or `full`.
        seed: its seed, where that is part of its place; None: it lies in the fold's own folder, as the model of the default
            seed does, and as every model of version 0.1, whatever its seed.
    """

    architecture: catalogue.Architecture
    fold: str
    seed: int | None = None

    @property
    def folder(self) -> str:
        """Where the model lies below the folder of all models, such as `unet/fold_0` or `unet/fold_0/seed_1`."""
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
    def is_numbered(self) -> bool:
        """Whether the model belongs to the cross-validation."""
        return self.fold.isdigit()

    @property
    def _place(self) -> tuple[str, ...]:
        seed = () if self.seed is None else (f"{_SEED}{self.seed}",)
        return (f"{_FOLD}{self.fold}", *seed)


def model_folders(models: Path) -> Iterator[Path]:
    """All folders of models below the folder that holds them."""
    for fold in models.glob(f"*/{_FOLD}*"):
        yield fold
        yield from folders_inside(fold)


def folders_inside(model: Path) -> Iterator[Path]:
    """Folders of other models inside a model's own."""
    return model.glob(f"{_SEED}*")
