"""Stored documents that age: what any version wrote, every later one reads, and nobody reads as something else.

A document has a type, and its type a format version: that of its model's field `version`. Version 0.1 left the key out of
some documents; without it, a document is of format 1. An older one is migrated in memory, format by format, and rewritten
only by the command that owns it; a newer one is refused. Keys may be added to a model without a new format as long as they
have a default: documents without them are read, and their digests stay (see `decided`).

Validation alone is lenient: it takes `true` or "1" for 1, the key "01" for 1, and a whole number beyond 2 ** 53 for the
nearest float. Whoever wrote such a thing may have meant another; so a model that would not be written as it was read is
refused.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from autoseg.errors import AutosegError, WorkspaceError
from autoseg.storage import files
from autoseg.storage.problems import INEXACT, MOST_NAMED, Place, problems_in

_Model = TypeVar("_Model", bound=BaseModel)
Migration = Callable[[dict[str, Any]], dict[str, Any]]
"""From a document of one format to the same of the next; what it does not know it leaves as it is, for validation to refuse.
It gets a copy, whose key `version` it need not care about."""

_VERSION: Final = "version"


@dataclass(frozen=True)
class DocumentType(Generic[_Model]):
    """A type of stored document.

    Attributes:
        name: as errors call it.
        model: what it holds; its field `version` has the present format as its only value and default.
        error: what reading raises.
        missing: what the user can do where there is none.
        unusable: what the user can do about one that cannot be used.
        migrations: from each older format to the next, by the older one.
        parts: documents of other types inside, by their key; each has a format of its own.
        compact: whether it is written on a single line, for programs alone.
        context: told to the model's validators when one is read.
    """

    name: str
    model: type[_Model]
    missing: str
    unusable: str
    error: type[AutosegError] = WorkspaceError
    migrations: Mapping[int, Migration] = field(default_factory=dict)
    parts: Mapping[str, "DocumentType[Any]"] = field(default_factory=dict)
    compact: bool = False
    context: Mapping[str, Any] | None = None

    @property
    def version(self) -> int:
        """The present format."""
        version: int = self.model.model_fields[_VERSION].default
        return version

    def read(self, path: Path) -> _Model:
        """Read a document.

        Raises:
            AutosegError: of the type's kind: missing, not JSON, unusable (names all keys that are unknown, missing or have
                a value that is not allowed), or made by a newer autoseg.
        """
        document = files.read_json(path, error=self.error, remedy=self.missing, unusable=self.unusable)
        return self.parse(document, where=path)

    def parse(self, document: Any, *, where: Path | str) -> _Model:
        """Make a model of a JSON document of any format up to the present one; see `read`."""
        try:
            return parse(self.migrated(document, where=where), self.model, context=self.context)
        except ValidationError as invalid:
            raise self._unusable(problems_in(invalid, self.model), where=where) from None

    def migrated(self, document: Any, *, where: Path | str) -> Any:
        """A JSON document in the present format; one that is no object comes back as it is.

        Raises:
            AutosegError: of the type's kind: it was made by a newer autoseg, or its format is no whole number from 1.
        """
        if not isinstance(document, dict):
            return document
        version = document.get(_VERSION, 1)
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise self._unusable(f"{_VERSION}: must be a whole number from 1 (found {version!r:.80})", where=where)
        if version > self.version:
            raise self._too_new(document, version, where=where)
        for older in range(version, self.version):
            document = {**self.migrations[older](_copy(document)), _VERSION: older + 1}
        parts = {key: replace(part, error=self.error) for key, part in self.parts.items() if key in document}
        inner = {key: part.migrated(document[key], where=where) for key, part in parts.items()}
        return {**document, **inner}

    def text(self, model: _Model) -> str:
        """A document as it is stored, in the present format."""
        written = model.model_dump_json()  # not model_dump, which leaves numbers that JSON has not as they are
        return f"{written}\n" if self.compact else files.json_text(json.loads(written))

    def write(self, path: Path, model: _Model) -> None:
        """Store a document in one step.

        Raises:
            SystemFailureError: the disk is full, or the place may not be written.
        """
        files.write_text(path, self.text(model))

    def _unusable(self, problems: str, *, where: Path | str) -> AutosegError:
        return self.error(f"not a usable {self.name}: {problems}", where=where, remedy=self.unusable)

    def _too_new(self, document: Mapping[str, Any], version: int, *, where: Path | str) -> AutosegError:
        writer = document.get("written_by")
        return self.error(
            f"the {self.name} was made by a newer autoseg",
            where=where,
            expected=f"format {self.version} or older",
            found=f"format {str(version)[:20]}" + (f", written by autoseg {writer[:20]}" if isinstance(writer, str) else ""),
            remedy="Update autoseg and try again.",
        )


def unchanged(document: dict[str, Any]) -> dict[str, Any]:
    """The migration of a format whose number only says that documents inside have another one."""
    return document


def parse(document: Any, model: type[_Model], *, context: Mapping[str, Any] | None = None) -> _Model:
    """Make a model of a JSON document in the present format, exactly.

    Args:
        document: as `files.read_json` gives it.
        model: its type.
        context: told to its validators.

    Returns:
        a model that is written as the document is, but for keys left out because they are optional, and 1 for 1.0.

    Raises:
        ValidationError: a key is unknown or missing, a value is not allowed or would be read as another one.
    """
    made = model.model_validate_json(json.dumps(document), context=context)
    written = json.loads(made.model_dump_json())
    if differences := list(islice(_differences(document, written), MOST_NAMED)):
        raise ValidationError.from_exception_data(model.__name__, differences)
    return made


def decided(model: BaseModel, *, but: AbstractSet[str] = frozenset()) -> Any:
    """What a model decides, for a digest: its values without those that equal their defaults, and without some keys.

    A key that is added later with a neutral default therefore leaves digests as they are. A key without a default must not
    be given one.
    """
    return model.model_dump(mode="json", exclude_defaults=True, exclude=set(but))


def _copy(value: Any) -> Any:
    """A copy of a JSON document, down to its last container, that a migration may change."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _differences(document: Any, written: Any, place: Place = ()) -> Iterator[InitErrorDetails]:
    """Where a document and what its model would be written as differ, apart from keys that the document leaves out."""
    if isinstance(document, dict) and isinstance(written, dict) and document.keys() <= written.keys():
        for key, value in document.items():
            yield from _differences(value, written[key], (*place, key))
    elif isinstance(document, list) and isinstance(written, list) and len(document) == len(written):
        for index, (value, other) in enumerate(zip(document, written, strict=True)):
            yield from _differences(value, other, (*place, index))
    elif document != written or isinstance(document, bool) != isinstance(written, bool):
        error = PydanticCustomError(INEXACT, "Would be read as {written}", {"written": f"{json.dumps(written):.80}"})
        yield InitErrorDetails(type=error, loc=place, input=document)
