"""What options allow is what is stored: a value that passes as an option never fails later as a part of a document."""

from typing import Any

import pytest
from pydantic import BaseModel

from autoseg.commands.plan import PlanOptions
from autoseg.commands.train import TrainOptions
from autoseg.options.declaration import Declared, options_of
from autoseg.planning.plan import Inputs
from autoseg.training.config import TrainConfig


def limits_of(schema: dict[str, Any], name: str) -> dict[str, float]:
    members = schema["properties"][name].get("anyOf", [schema["properties"][name]])
    (number,) = [member for member in members if member["type"] in {"integer", "number"}]
    found = {}
    for key, limit in (("minimum", "least"), ("exclusiveMinimum", "above"), ("maximum", "most")):
        if key in number:
            found[limit] = number[key]
    if "exclusiveMaximum" in number:
        found["most"] = number["exclusiveMaximum"] - 1
    return found


@pytest.mark.parametrize(
    ("options", "document", "name"),
    [
        (PlanOptions, Inputs, "folds"),
        (PlanOptions, Inputs, "memory_gb"),
        (TrainOptions, TrainConfig, "minutes"),
        (TrainOptions, TrainConfig, "epochs"),
        (TrainOptions, TrainConfig, "seed"),
    ],
)
def test_limits_agree(options: type[Declared], document: type[BaseModel], name: str) -> None:
    (option,) = [each for each in options_of(options) if each.name == name]
    declared = {limit: getattr(option.declared, limit) for limit in ("least", "above", "most")}
    assert {limit: value for limit, value in declared.items() if value is not None} == limits_of(
        document.model_json_schema(), name
    )
