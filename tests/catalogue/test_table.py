"""Tables of names: autoseg's own entries and those that installed packages register."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ValidationError

from autoseg import catalogue
from autoseg.catalogue import Entry, NameIn, Package, Table, UnknownNameError
from autoseg.errors import ExtensionError

Install = Callable[..., None]


@dataclass(frozen=True)
class FruitEntry(Entry):
    """Something to list."""

    title: str = "A fruit"


def fruits(*, group: str | None = "orchard.fruits", predicts: bool = True) -> Table[FruitEntry]:
    own = {"apple": FruitEntry("math:sin", "An apple"), "pear": FruitEntry("math:cos", "A pear")}
    return Table("fruit", FruitEntry, own, group=group, predicts=predicts)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package with a module and entry points where Python finds it."""

    def put(name: str, code: str, **points: str) -> None:
        module = name.replace("-", "_")
        root = tmp_path / name
        info = root / f"{module}-1.2.dist-info"
        info.mkdir(parents=True)
        (root / f"{module}.py").write_text(f"from test_table_entry import FruitEntry\n{code}\n")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = [f"{point} = {module}:{value}" for point, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[orchard.fruits]", *lines]) + "\n")
        monkeypatch.syspath_prepend(root)

    monkeypatch.setitem(sys.modules, "test_table_entry", sys.modules[__name__])
    return put


def test_own_entries_are_listed_and_built_in_their_order() -> None:
    table = fruits()
    assert list(table) == ["apple", "pear"]
    assert len(table) == 2
    assert table["apple"].title == "An apple"
    assert table.implementation("pear")(0) == 1
    assert table.package("apple") is None


def test_an_unknown_name_is_answered_with_the_most_similar_one() -> None:
    with pytest.raises(UnknownNameError, match=r"there is no fruit `aple`: did you mean `apple`\?") as refused:
        fruits()["aple"]
    assert refused.value.exit_code == 2
    assert "apple, pear" in refused.value.remedy
    assert fruits().unknown("kiwi", besides=("all",)) == "there is no fruit `kiwi`; known: apple, pear, all"


def test_an_empty_table_says_that_a_package_is_missing() -> None:
    table: Table[FruitEntry] = Table("fruit", FruitEntry, {})
    with pytest.raises(
        UnknownNameError, match="no fruit `aple`; none is known, as no installed package registers"
    ) as refused:
        table["aple"]
    assert refused.value.remedy == "Install the package that registers it."


def test_it_is_a_mapping() -> None:
    table = fruits()
    assert table.get("kiwi") is None
    assert "kiwi" not in table
    assert table != fruits()


def test_packages_add_names_by_metadata_alone(install: Install) -> None:
    install("fruit-shop", "raise RuntimeError('this ran')", quince="QUINCE", fig="FIG")
    table = fruits()
    assert list(table) == ["apple", "pear", "fig", "quince"]
    assert len(table) == 4
    assert "fig" in table
    assert table.package("fig") == Package("fruit-shop", "1.2")
    assert "fruit_shop" not in sys.modules


def test_an_entry_of_a_package_is_loaded_when_it_is_asked_for(install: Install) -> None:
    install("figs-only", "FIG = FruitEntry('figs_only:grow', 'A fig')\ndef grow(*, count): return 2 * count", fig="FIG")
    table = fruits()
    assert table["fig"].title == "A fig"
    assert table.build("fig", count=3) == 6
    assert table["fig"] is table["fig"]


def test_two_packages_that_register_one_name_are_both_named(install: Install) -> None:
    install("first-shop", "FIG = FruitEntry('math:sin')", fig="FIG")
    install("second-shop", "FIG = FruitEntry('math:sin')", fig="FIG")
    with pytest.raises(ExtensionError, match="`fig` is registered by") as refused:
        fruits()["fig"]
    assert "`first-shop` 1.2" in str(refused.value)
    assert "`second-shop` 1.2" in str(refused.value)
    assert fruits()["apple"].title == "An apple"  # the others are not concerned


def test_a_package_cannot_take_a_name_of_autosegs_own(install: Install) -> None:
    install("thief", "APPLE = FruitEntry('math:sin')", apple="APPLE")
    with pytest.raises(ExtensionError, match=r"`apple` is registered by autoseg itself and by `thief` 1\.2"):
        fruits()["apple"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('no figs today')", "RuntimeError: no figs today"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("", "AttributeError"),
    ],
)
def test_a_package_that_cannot_be_loaded_is_named(install: Install, code: str, said: str) -> None:
    name = f"broken-{abs(hash(code))}"
    install(name, code, fig="FIG")
    with pytest.raises(ExtensionError, match=f"`fig` of the package `{name}` 1.2 cannot be loaded") as refused:
        fruits()["fig"]
    assert said in str(refused.value)
    assert refused.value.exit_code == 5


def test_an_implementation_that_cannot_be_loaded_is_named_with_its_package(install: Install) -> None:
    install("half-a-fig", "FIG = FruitEntry('half_a_fig:missing')", fig="FIG")
    with pytest.raises(ExtensionError, match=r"package `half-a-fig` 1\.2 cannot be loaded"):
        fruits().implementation("fig")


def test_what_is_no_entry_is_refused(install: Install) -> None:
    install("wrong-thing", "FIG = 'a string'", fig="FIG")
    with pytest.raises(ExtensionError, match="is no entry") as refused:
        fruits()["fig"]
    assert refused.value.expected == "an autoseg.catalogue.FruitEntry"


@pytest.mark.parametrize("name", ["all", "../fig", "Fig", "a b", "-fig", ""])
def test_names_that_are_no_words_of_a_command_line_are_not_taken(install: Install, name: str) -> None:
    install(f"odd-{abs(hash(name))}", "FIG = FruitEntry('math:sin')", **{name: "FIG"})
    assert list(fruits()) == ["apple", "pear"]


def test_a_table_without_a_group_looks_at_no_package(install: Install) -> None:
    install("unasked", "FIG = FruitEntry('math:sin')", fig="FIG")
    assert list(fruits(group=None)) == ["apple", "pear"]


@pytest.mark.parametrize("reference", ["math", "math.sin", "os:path.join", ":sin", "math:", "math:sin()"])
def test_an_implementation_is_one_name_of_one_module(reference: str) -> None:
    table = Table("fruit", FruitEntry, {"apple": FruitEntry(reference)})
    with pytest.raises(ValueError, match="module:name"):
        table.implementation("apple")


class Basket(BaseModel):
    """A document that names entries."""

    fruit: Annotated[str, NameIn(fruits(), besides=("all",))]
    spare: Annotated[str, NameIn(fruits(predicts=False))] = "apple"


def test_documents_may_name_what_is_listed() -> None:
    assert Basket(fruit="pear").fruit == "pear"
    assert Basket(fruit="all").fruit == "all"
    with pytest.raises(ValidationError, match=r"There is no fruit `paer`: did you mean `pear`\?"):
        Basket(fruit="paer")


def test_what_only_training_needs_is_not_asked_for_in_prediction() -> None:
    with pytest.raises(ValidationError, match="There is no fruit `fig`"):
        Basket(fruit="pear", spare="fig")
    document = '{"fruit": "pear", "spare": "fig"}'
    assert Basket.model_validate_json(document, context={"predicts": True}).spare == "fig"
    with pytest.raises(ValidationError):
        Basket.model_validate_json('{"fruit": "fig"}', context={"predicts": True})


@pytest.mark.parametrize(("table", "name"), [(table, name) for table in catalogue.TABLES for name in table.built_in])
def test_every_implementation_is_there(table: Table[Entry], name: str) -> None:
    assert callable(table.implementation(name))
