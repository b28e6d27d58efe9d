"""What the user chose for one run; everything else is the plan's."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg import catalogue
from autoseg.model.identity import ModelId, Seed
from autoseg.planning.sections import Epochs, Minutes


class TrainConfig(BaseModel):
    """Choices that decide a run's result. A run continues only under the configuration it was begun with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: catalogue.Architecture
    fold: str = Field(pattern=r"^(\d+|official|full)$", description="a number, `official` or `full`")
    seed: Seed = 0
    epochs: Epochs | None = Field(default=None, description="length in epochs; null: the plan's")
    minutes: Minutes | None = Field(
        default=None, description="wall-clock budget from the start of the command to the last epoch's validation"
    )
    threads: int | None = Field(default=None, ge=1, le=1024, description="processor threads; null: by rule")
    memory_format: catalogue.MemoryFormat | None = Field(
        default=None, description="order of a batch's values in memory; null: by rule"
    )
    precision: Literal["float32", "bfloat16"] = Field(description="number format of the convolutions")
    view: catalogue.Plane | None = Field(default=None, description="plane of the only view it sees; null: it sees all")
    started_from: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="SHA-256 of the weights it was started from; null: from nothing"
    )
    named_by_seed: bool = Field(default=False, description="whether the seed is part of the model's place")

    @property
    def model(self) -> ModelId:
        """What the run trains."""
        return ModelId(self.architecture, self.fold, self.seed if self.named_by_seed else None, self.view)
