"""How label maps are judged: a section of the plan that no model depends on."""

from typing import Annotated

from pydantic import Field

from autoseg.metrics.tolerance import DEFAULT_TOLERANCE_MM
from autoseg.planning.section_types import Section

Tolerance = Annotated[float, Field(gt=0, le=1000)]


class EvaluationSection(Section):
    """How label maps are judged. It is no part of the plan's digest: another value here leaves every model usable."""

    tolerances_mm: tuple[Tolerance, ...] = Field(
        default=(DEFAULT_TOLERANCE_MM,),
        min_length=1,
        description="how far apart surfaces may be to count as equal in the normalised surface Dice (NSD): one for each "
        "class except background, by rising value, or a single one for all",
    )
