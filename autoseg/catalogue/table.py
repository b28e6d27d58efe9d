"""A table of names: entries of autoseg itself, and entries that other installed packages register.

Other packages register an entry under a standard entry point group (`autoseg.networks`, `autoseg.losses`, ...). Their names
are read from the packages' metadata, which runs none of their code; an entry is loaded when somebody asks for it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from autoseg.errors import ExtensionError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""What a package may register: names become folders and words of a command line."""

_RESERVED: Final = frozenset({"all"})
_REGISTERED: Final = re.compile(r"(?P<module>[\w.]+)\s*:\s*(?P<attribute>\w+)")


@dataclass(frozen=True)
class Entry:
    """What every entry of a table says.

    Attributes:
        implementation: where it is, "module:name"; loaded when it is built, not before.
    """

    implementation: str


@dataclass(frozen=True)
class Package:
    """An installed package that registers entries, as its metadata names it.

    Attributes:
        name: of the distribution.
        version: of the distribution.
    """

    name: str
    version: str

    def __str__(self) -> str:
        return f"`{self.name}` {self.version}"


class UnknownNameError(UsageError, KeyError):
    """A table has no entry of this name."""


_Entry = TypeVar("_Entry", bound=Entry)


class Table(Mapping[str, _Entry], Generic[_Entry]):
    """Names and their entries, in order: autoseg's own, then those of other packages by name.

    Whether a name of autoseg's own is known needs no look at other packages; its entry does, since one of them may register
    the same name.

    Args:
        kind: what it lists, as in "the network `unet`".
        entry: the type of its entries.
        built_in: autoseg's own entries.
        group: the entry point group under which other packages register theirs; None: they may not.
        predicts: whether a trained model needs the entry to predict.
    """

    def __init__(
        self,
        kind: str,
        entry: type[_Entry],
        built_in: Mapping[str, _Entry],
        *,
        group: str | None = None,
        predicts: bool = True,
    ) -> None:
        self.kind = kind
        self.built_in = built_in
        self.group = group
        self.predicts = predicts
        self._entry = entry
        self._loaded: dict[str, _Entry] = {}

    def __iter__(self) -> Iterator[str]:
        yield from self.built_in
        yield from sorted(self._registered.keys() - self.built_in.keys())

    def __len__(self) -> int:
        return len(self.built_in.keys() | self._registered.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or name in self._registered

    def __eq__(self, other: object) -> bool:
        return self is other  # comparing entries would load those of all packages

    __hash__ = object.__hash__

    def __getitem__(self, name: str) -> _Entry:
        """The entry of a name.

        Raises:
            UnknownNameError: there is none.
            ExtensionError: two packages register the name, or the one that does cannot be loaded.
        """
        if name not in self:
            remedy = f"Choose one of {', '.join(self)}." if len(self) else "Install the package that registers it."
            raise UnknownNameError(self.unknown(name), remedy=remedy)
        self._check_registered_once(name)
        if name in self.built_in:
            return self.built_in[name]
        if name not in self._loaded:
            self._loaded[name] = self._load_entry(name)
        return self._loaded[name]

    def build(self, name: str, **arguments: Any) -> Any:
        """Load the implementation of an entry and call it.

        Raises:
            UnknownNameError: there is no such entry.
            ExtensionError: the package that registers it cannot be used.
        """
        return self.implementation(name)(**arguments)

    def implementation(self, name: str) -> Any:
        """The class or function that an entry stands for.

        Raises:
            UnknownNameError: there is no such entry.
            ExtensionError: the package that registers it cannot be used.
        """
        reference = self[name].implementation
        package = self.package(name)
        return _load(reference) if package is None else self._load_from(package, name, reference)

    def package(self, name: str) -> Package | None:
        """The package beside autoseg that a name comes from; None for autoseg's own."""
        if name in self.built_in or name not in self._registered:
            return None
        return _package(self._registered[name][0])

    def unknown(self, name: str, *, besides: Sequence[str] = ()) -> str:
        """What to say where a name is neither in the table nor one of some others."""
        return f"there is no {self.kind} `{name[:100]}`{suggestion(name, (*self, *besides))}"

    @cached_property
    def _registered(self) -> Mapping[str, Sequence["EntryPoint"]]:
        """Entry points of other packages by name, from their metadata alone."""
        if self.group is None:
            return {}
        from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms that most commands need not pay

        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            if _NAME.fullmatch(point.name) and point.name not in _RESERVED:
                found.setdefault(point.name, []).append(point)
        return found

    def _check_registered_once(self, name: str) -> None:
        owners = [str(_package(point)) for point in self._registered.get(name, ())]
        if name in self.built_in and owners:
            owners.insert(0, "autoseg itself")
        if len(owners) > 1:
            raise ExtensionError(
                f"the {self.kind} `{name}` is registered by {' and by '.join(owners)}",
                remedy="Uninstall one of these packages, or have its author choose another name.",
            )

    def _load_entry(self, name: str) -> _Entry:
        point = self._registered[name][0]
        package = _package(point)
        entry = self._load_from(package, name, point.value)
        if not isinstance(entry, self._entry):
            raise ExtensionError(
                f"what the package {package} registers as the {self.kind} `{name}` is no entry",
                where=f"{self.group}: {name} = {point.value}",
                expected=f"an autoseg.catalogue.{self._entry.__name__}",
                found=type(entry).__name__,
                remedy="Register an entry, or uninstall the package.",
            )
        return entry

    def _load_from(self, package: Package, name: str, reference: str) -> Any:
        try:
            return _load(reference)
        except Exception as cause:  # noqa: BLE001 - the code of others may raise whatever it likes
            raise ExtensionError(
                f"the {self.kind} `{name}` of the package {package} cannot be loaded "
                f"({type(cause).__name__}: {str(cause)[:200]})",
                where=reference,
                remedy="Repair or update the package, or uninstall it.",
            ) from None


def suggestion(name: str, names: Sequence[str]) -> str:
    """The end of a message about an unknown name: the known one that was probably meant, else all of them."""
    from autoseg.catalogue.meant import meant  # noqa: PLC0415 - only mistakes need it

    if not names:
        return "; none is known, as no installed package registers one"
    similar = meant(name, names)
    return f": did you mean `{similar}`?" if similar else f"; known: {', '.join(names)}"


def _load(reference: str) -> Any:
    """The object that "module:name" stands for. The only place of the package that imports by a name."""
    place = _REGISTERED.fullmatch(reference)
    if place is None:
        msg = f"an implementation is named as module:name, not {reference!r}"
        raise ValueError(msg)
    return getattr(import_module(place["module"]), place["attribute"])


def _package(point: "EntryPoint") -> Package:
    return Package("?", "?") if point.dist is None else Package(point.dist.name, point.dist.version)


@dataclass(frozen=True)
class NameIn:
    """Annotation of a stored text that names an entry: pydantic looks it up in the table when a document is read.

    Where a document is read to predict (`context={"predicts": True}`), names that only training needs are not looked up.

    Attributes:
        table: where to look.
        besides: names that are allowed too.
    """

    table: Table[Any]
    besides: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names that are allowed without another package."""
        return (*self.table.built_in, *self.besides)

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import PydanticCustomError, core_schema  # noqa: PLC0415 - names are listed without pydantic

        def check(name: str, info: core_schema.ValidationInfo) -> str:
            unneeded = not self.table.predicts and (info.context or {}).get("predicts")
            if unneeded or name in self.besides or name in self.table:
                return name
            problem = self.table.unknown(name, besides=self.besides)
            raise PydanticCustomError("unknown_name", "{problem}", {"problem": problem[:1].upper() + problem[1:]})

        return core_schema.with_info_after_validator_function(check, handler(source))
