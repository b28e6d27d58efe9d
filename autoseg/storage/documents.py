"""From a stored document to a model that says what the document says, and nothing else.

Validation alone is kind: it takes `true` or "1" for 1, the key "01" for 1, and a whole number beyond 2 ** 53 for the
nearest float. Whoever wrote such a thing may have meant another; so a model that would not be written as it was read is
refused.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

_Model = TypeVar("_Model", bound=BaseModel)
_Place = tuple[int | str, ...]

_MOST_NAMED: Final = 20
"""Differences that one error names."""


def understand(document: Any, kind: type[_Model], *, context: Mapping[str, Any] | None = None) -> _Model:
    """Make a model of a JSON document, exactly.

    Args:
        document: as `files.read_json` gives it.
        kind: the model.
        context: told to its validators.

    Returns:
        a model that is written as the document is, but for keys left out because they are optional, and 1 for 1.0.

    Raises:
        ValidationError: a key is unknown or missing, a value is not allowed or would be read as another one.
    """
    model = kind.model_validate_json(json.dumps(document), context=context)
    written = json.loads(model.model_dump_json())
    if differences := list(islice(_differences(document, written), _MOST_NAMED)):
        raise ValidationError.from_exception_data(kind.__name__, differences)
    return model


def _differences(document: Any, written: Any, place: _Place = ()) -> Iterator[InitErrorDetails]:
    """Where a document and what its model would be written as differ, apart from keys that the document leaves out."""
    if isinstance(document, dict) and isinstance(written, dict) and document.keys() <= written.keys():
        for key, value in document.items():
            yield from _differences(value, written[key], (*place, key))
    elif isinstance(document, list) and isinstance(written, list) and len(document) == len(written):
        for index, (value, other) in enumerate(zip(document, written, strict=True)):
            yield from _differences(value, other, (*place, index))
    elif document != written or isinstance(document, bool) != isinstance(written, bool):
        kind = PydanticCustomError("inexact", "Would be read as {written}", {"written": f"{json.dumps(written):.80}"})
        yield InitErrorDetails(type=kind, loc=place, input=document)
