"""What the user chose, checked alike for whoever calls: the command line, a notebook, a program."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoseg.errors import UsageError
from autoseg.storage.documents import problems_in

Processes = Annotated[int, Field(ge=1, le=1024)]


class Choices(BaseModel):
    """The choices of one command. They cannot be changed afterwards.

    Raises:
        UsageError: a choice is unknown, of a wrong type or out of its range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **choices: Any) -> None:
        try:
            super().__init__(**choices)
        except ValidationError as invalid:
            raise UsageError(problems_in(invalid), remedy="Choose another value, or leave it out.") from None
