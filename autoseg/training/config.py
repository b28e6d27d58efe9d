"""What the user chose for one run; everything else is the plan's."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg import catalogue


class TrainConfig(BaseModel):
    """Choices that decide a run's result. A run continues only under the configuration it was begun with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: catalogue.Architecture
    fold: str = Field(pattern=r"^(\d+|official|full)$", description="a number, `official` or `full`")
    seed: int = Field(default=0, ge=0)
    epochs: Annotated[int, Field(ge=1)] | None = Field(default=None, description="length in epochs; null: the plan's")
    minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="wall-clock budget from the start of the command to the last epoch's validation"
    )
    precision: Literal["float32", "bfloat16"] = Field(description="number format of the convolutions")
