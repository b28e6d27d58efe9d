"""What the sections of a plan have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Upper limits of single values are chosen: beyond what anybody uses, and low enough that nothing made of them fills a
# memory or exceeds what a float can hold. What values amount to together is limited by the plan as a whole.
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Range = tuple[Positive, Positive]


class Section(BaseModel):
    """A part of a plan: its keys are all known, its numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
