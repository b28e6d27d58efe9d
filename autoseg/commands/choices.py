"""What the user chose, checked alike for whoever calls: the command line, a notebook, a program."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoseg.errors import UsageError

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
            raise _refused(invalid) from None


def _refused(invalid: ValidationError) -> UsageError:
    problem = invalid.errors()[0]
    choice = ".".join(map(str, problem["loc"]))
    return UsageError(
        f"{choice}: {problem['msg'][:1].lower()}{problem['msg'][1:]}",
        found=repr(problem["input"]),
        remedy="Choose another value, or leave it out.",
    )
