"""Options of commands, each declared once: its name, type, default, limits and help.

A command's class of options is what its command line (`autoseg.cli`), its function (`autoseg.train` and the others) and the
reference page are made from. Editors and type checkers take names, types and defaults from the class itself, as from any
dataclass. Nothing here loads another package, so that `--help` costs little more than reading the classes.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from types import NoneType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    Self,
    dataclass_transform,
    overload,
)

from autoseg.catalogue import DeviceChoice
from autoseg.catalogue.meant import meant, meant_device
from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.options.kinds import converted, kinds_in, offered, whole_numbers, words_for
from autoseg.wording import listing

Jobs = int | Literal["auto"]
"""How many processes work side by side; `auto`: as many as suit the machine."""

_DECLARATION: Final = "option"

if TYPE_CHECKING:

    class PathOption:
        """A path: given as text or `Path`, read as a `Path`."""

        @overload
        def __get__(self, options: None, owner: type) -> Self: ...
        @overload
        def __get__(self, options: object, owner: type) -> Path: ...
        def __get__(self, options: object, owner: type) -> Any: ...
        def __set__(self, options: object, value: str | Path) -> None: ...

    class OptionalPath:
        """A path that may be left out: given as text or `Path`, read as a `Path` or None."""

        @overload
        def __get__(self, options: None, owner: type) -> Self: ...
        @overload
        def __get__(self, options: object, owner: type) -> Path | None: ...
        def __get__(self, options: object, owner: type) -> Any: ...
        def __set__(self, options: object, value: str | Path | None) -> None: ...

    class DeviceOption:
        """Devices: given as text, such as `cuda:0,1`, or as a list of names, read as a `DeviceChoice`."""

        @overload
        def __get__(self, options: None, owner: type) -> Self: ...
        @overload
        def __get__(self, options: object, owner: type) -> DeviceChoice: ...
        def __get__(self, options: object, owner: type) -> Any: ...
        def __set__(self, options: object, value: str | Sequence[str] | DeviceChoice) -> None: ...

    class OptionalDevice:
        """Devices that may be left out: given as `DeviceOption` is, read as a `DeviceChoice` or None."""

        @overload
        def __get__(self, options: None, owner: type) -> Self: ...
        @overload
        def __get__(self, options: object, owner: type) -> DeviceChoice | None: ...
        def __get__(self, options: object, owner: type) -> Any: ...
        def __set__(self, options: object, value: str | Sequence[str] | DeviceChoice | None) -> None: ...
else:
    DeviceOption = DeviceChoice
    OptionalDevice = DeviceChoice | None
    PathOption = str | Path
    OptionalPath = str | Path | None


@dataclass(frozen=True)
class Declaration:
    """What a class says about one of its options beside name, type and default.

    Attributes:
        help: what it is for, in a sentence for the command line, the docstring and the reference page.
        flags: what it is called on the command line; none: `--<name>`.
        in_python: what to add to the help for the function.
        metavar: what stands for its value in the help; None: by its type.
        least: the smallest number it may be.
        above: the number it must be larger than.
        most: the largest number it may be.
        console_default: what the command line takes for it where it is left out; None: its default.
        on_console: whether the command line has it.
    """

    help: str
    flags: tuple[str, ...] = ()
    in_python: str = ""
    metavar: str | None = None
    least: float | None = None
    above: float | None = None
    most: float | None = None
    console_default: object = None
    on_console: bool = True


def argument(help: str, *, metavar: str | None = None) -> Any:  # noqa: A002 - what everybody calls it
    """Declare an option that has to be given; the command line takes it by its position."""
    return dataclasses.field(metadata={_DECLARATION: Declaration(help, metavar=metavar)})


def option(help: str | Declaration, *flags: str, default: object, **rest: Any) -> Any:  # noqa: A002 - as above
    """Declare an option that may be left out; `rest` as in `Declaration`, or all of it as one."""
    declared = Declaration(help, flags, **rest) if isinstance(help, str) else help
    return dataclasses.field(default=default, metadata={_DECLARATION: declared})


@dataclass(frozen=True)
class Option:
    """One option of a class, with everything that is known about it.

    Attributes:
        name: what it is called in Python.
        types: what it may be: types, and texts that stand for themselves.
        default: its value where it is left out; `dataclasses.MISSING` where it has to be given.
        declared: the rest.
        optional: whether it may be None.
        by_name: whether the function takes it by its name only.
    """

    name: str
    types: tuple[Any, ...]
    default: object
    declared: Declaration
    optional: bool
    by_name: bool

    @property
    def required(self) -> bool:
        """Whether it has to be given."""
        return self.default is dataclasses.MISSING

    @property
    def flags(self) -> tuple[str, ...]:
        """What it is called on the command line; nothing where its position says what it is."""
        if self.required:
            return ()
        return self.declared.flags or (f"--{self.name.replace('_', '-')}",)

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return self.types == (bool,)

    @property
    def is_list(self) -> bool:
        """Whether it may hold several texts or paths, which the command line takes one by one."""
        return self.types == (Sequence[str],) or Sequence[str | Path] in self.types

    @property
    def choices(self) -> tuple[str, ...]:
        """Texts that it may be, where some are known."""
        return tuple(text for kind in self.types for text in offered(kind))

    @property
    def console_default(self) -> object:
        """Its value where the command line leaves it out."""
        return self.default if self.declared.console_default is None else self.declared.console_default

    @property
    def help_in_python(self) -> str:
        """What it is for, as the function says it."""
        return f"{self.declared.help} {self.declared.in_python}".rstrip()

    @property
    def words(self) -> str:
        """What it may be, in words."""
        words = [words_for(kind) + self._range(kind) for kind in self.types]
        return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]

    def checked(self, value: object, *, called: str | None = None) -> object:
        """The value as the type that commands read: a text as a `Path` where it is one, for instance.

        Args:
            value: what the user chose.
            called: what the user calls the option; None: its name.

        Raises:
            UsageError: it cannot be this value.
        """
        if value is None and self.optional:
            return None
        for kind in self.types:
            found = converted(value, kind)
            if found is not None and self._in_range(kind, found):
                return found
        raise UsageError(
            "has an impossible value",
            where=called or self.name,
            expected=self.words,
            found=value if isinstance(value, str) else repr(value),
            remedy=did_you_mean(value, self.choices, devices=DeviceChoice in self.types)
            or f"Choose another value{'' if self.required else ', or leave it out'}.",
        )

    def parsed(self, text: str, *, called: str) -> object:
        """The value that a text on the command line stands for.

        Raises:
            UsageError: it stands for none.
        """
        if text not in self.choices and str not in self.types:
            for kind in (int, float):
                if kind in self.types:
                    try:
                        return self.checked(kind(text), called=called)
                    except ValueError:
                        continue
            if Sequence[int] in self.types and (several := whole_numbers(text)) is not None:
                return self.checked(several, called=called)
        return self.checked(text, called=called)

    def _range(self, kind: Any) -> str:
        least, above, most = self.declared.least, self.declared.above, self.declared.most
        if kind not in {int, float}:
            return ""
        if least is not None and most is not None:
            return f" from {least:,} to {most:,}"
        limits = {"at least": least, "above": above, "at most": most}
        words = [f"{name} {limit:,}" for name, limit in limits.items() if limit is not None]
        return f" {listing(words)}" if words else ""

    def _in_range(self, kind: Any, found: Any) -> bool:
        least, above, most = self.declared.least, self.declared.above, self.declared.most
        numbers = found if kind == Sequence[int] else [found] if kind in {int, float} else []
        return all(
            (least is None or number >= least) and (above is None or number > above) and (most is None or number <= most)
            for number in numbers
        )


@dataclass_transform(frozen_default=True, field_specifiers=(argument, option))
class Declared:
    """Base of classes of options: frozen, and checked when they are made.

    Raises:
        UsageError: a value is of a wrong type, unknown or out of its limits.
    """

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    def __post_init__(self) -> None:
        for each in options_of(type(self)):
            object.__setattr__(self, each.name, each.checked(getattr(self, each.name)))


class Options(Declared):
    """Options of a command."""

    _: KW_ONLY
    events: Events | None = option(
        "Where progress and warnings go, see `autoseg.events.Events`; None: where users see them, on stderr or below a "
        "notebook's cell; `autoseg.silent`: nowhere.",
        default=None,
        on_console=False,
    )


def options_of(declared: type[Declared]) -> tuple[Option, ...]:
    """The options of a class in the order in which its function takes them; those that all functions have come last."""
    common = Options.__annotations__
    fields = dataclasses.fields(declared)  # type: ignore[arg-type]  # a dataclass, see above
    return tuple(_option(field) for field in sorted(fields, key=lambda field: (field.kw_only is True, field.name in common)))


def did_you_mean(word: object, known: Sequence[str], *, devices: bool = False) -> str | None:
    """A question after the known word, or the device, that was probably meant; None where none is likely."""
    found = (meant_device if devices else meant)(word, known)
    return None if found is None else f"Did you mean {found}?"


def _option(field: "dataclasses.Field[Any]") -> Option:
    kinds = kinds_in(field.type)
    types = tuple(kind for kind in kinds if kind is not NoneType and not (kind is str and Path in kinds))
    return Option(
        field.name,
        types,
        field.default,
        field.metadata[_DECLARATION],
        optional=NoneType in kinds,
        by_name=field.kw_only is True,
    )
