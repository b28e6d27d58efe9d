"""What a trained model is called: its network and its fold, in titles and as a folder."""

from dataclasses import dataclass
from typing import Final

from autoseg import catalogue

_FOLD: Final = "fold_"
FOLDERS: Final = f"*/{_FOLD}*"
"""Pattern of the folders of all models, below the folder that holds them."""


@dataclass(frozen=True)
class ModelId:
    """One network on one fold.

    Attributes:
        architecture: the network.
        fold: a number, `official` or `full`.
    """

    architecture: catalogue.Architecture
    fold: str

    @property
    def folder(self) -> str:
        """Where the model lies below the folder of all models, such as `unet/fold_0`."""
        return f"{self.architecture}/{self.fold_folder}"

    @property
    def fold_folder(self) -> str:
        """The last part of its folder, such as `fold_0`."""
        return f"{_FOLD}{self.fold}"

    @property
    def file_stem(self) -> str:
        """A file name without its ending, such as `unet_fold_0`."""
        return self.folder.replace("/", "_")

    @property
    def title(self) -> str:
        """What users read, such as `unet, fold 0`."""
        return f"{self.architecture}, fold {self.fold}"

    @property
    def is_numbered(self) -> bool:
        """Whether the model belongs to the cross-validation."""
        return self.fold.isdigit()
