"""What a model needs from installed packages beside autoseg: recorded by name, and asked for by name where it is missing."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoseg import catalogue
from autoseg.errors import BundleError
from autoseg.events import Events
from autoseg.planning.plan import Plan
from autoseg.storage.documents import parse


class Registered(BaseModel):
    """Something a model has from an installed package beside autoseg, which predicting or training again needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="what it is: `network`, `loss`, ...")
    name: str = Field(description="its name in the plan or on the command line")
    package: str = Field(description="the distribution that registers it")
    version: str = Field(description="of that distribution when the model was trained")


def registered_by_packages(architecture: catalogue.Architecture, plan: Plan) -> tuple[Registered, ...]:
    """What a model has from packages beside autoseg."""
    names: list[tuple[catalogue.Table[Any], str]] = [
        (catalogue.NETWORKS, architecture),
        (catalogue.LOSSES, plan.training.loss),
        *((catalogue.AUGMENTATIONS, name) for name in plan.augmentation.additional),
        *((catalogue.NORMALISATIONS, step.method) for step in plan.preprocessing.normalisation),
    ]
    return tuple(
        Registered(kind=table.kind, name=name, package=package.name, version=package.version)
        for table, name in dict.fromkeys(names)
        if (package := table.package(name)) is not None
    )


def check_packages(document: Any, *, where: Path | str) -> None:
    """Ask by name for the packages that a model needs to predict, before its description is validated.

    Args:
        document: the description as it was stored, not validated.
        where: it comes from.

    Raises:
        BundleError: a package is missing, or another one registers the same name.
    """
    stated = document.get("registered") if isinstance(document, dict) else None
    for entry in stated if isinstance(stated, list) else ():
        try:
            needed = parse(entry, Registered)
        except ValidationError:
            continue  # the validation of the whole document says so
        for table in catalogue.TABLES:
            if table.kind == needed.kind and table.predicts:
                _check_package(needed, table, where=where)


def warn_of_other_versions(registered: Iterable[Registered], events: Events) -> None:
    """Warn, once for each, where predicting takes another version of a package than the one that a model was trained with.

    Args:
        registered: what some models have from packages beside autoseg.
        events: told of it.
    """
    for needed in dict.fromkeys(registered):
        for table in catalogue.TABLES:
            if table.kind != needed.kind or not table.predicts:
                continue
            installed = table.package(needed.name)
            if installed is not None and installed.version != needed.version:
                events.warn(
                    f"the {needed.kind} `{needed.name}` was that of `{needed.package}` {needed.version} in training, "
                    f"and now is that of {installed}: where it works in another way, results are worse than the scores "
                    f"say. Install {needed.version} again, or train with --restart"
                )


def _check_package(needed: Registered, table: catalogue.Table[Any], *, where: Path | str) -> None:
    what = f"the {table.kind} `{needed.name[:64]}` comes from the package `{needed.package[:64]}` {needed.version[:32]}"
    installed = table.package(needed.name)
    if needed.name not in table:
        raise BundleError(
            f"{what}, which is not installed", where=where, remedy=f"Install `{needed.package[:64]}` and try again."
        )
    if installed is None or installed.name != needed.package:
        owner = "autoseg itself" if installed is None else f"the package {installed}"
        raise BundleError(
            what,
            where=where,
            found=f"another {table.kind} of this name, of {owner}",
            remedy="Predict where only the package of the model is installed.",
        )
