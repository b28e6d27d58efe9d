"""Which slices are learnt from: a part of the plan's section on training."""

from pydantic import Field, model_validator

from autoseg import catalogue
from autoseg.planning.section_types import Fraction, Section


class SliceSelection(Section):
    """Which slices of the training scans a network learns from; validation and prediction always take all."""

    rule: catalogue.SliceRule = Field(
        description="`all`: every slice once per pass; `with_class`: only slices that show `label`; `foreground_fraction`: "
        "that `fraction` of an epoch comes from slices with any foreground, the rest from all; `foreground_weighted`: that "
        "`fraction` is drawn in proportion to the foreground pixels of slices, the rest from all"
    )
    label: int | None = Field(default=None, description="`with_class`: label value that a slice must show")
    fraction: Fraction | None = Field(
        default=None,
        description="`foreground_fraction`, `foreground_weighted`: fraction of slices drawn by foreground",
    )

    @model_validator(mode="after")
    def _rule_is_complete(self) -> "SliceSelection":
        needed = {"all": None, "with_class": "label"}.get(self.rule, "fraction")
        given = {name for name in ("label", "fraction") if getattr(self, name) is not None}
        if given != ({needed} if needed else set()):
            msg = f"the rule `{self.rule}` needs " + (
                f"`{needed}` and nothing else" if needed else "neither label nor fraction"
            )
            raise ValueError(msg)
        return self
