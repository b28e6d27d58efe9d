"""What a trained model is, without its weights: a document beside them, which is read without loading torch."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from autoseg import catalogue
from autoseg.errors import BundleError
from autoseg.model.identity import ModelId, Seed
from autoseg.model.packages import Registered, check_packages
from autoseg.planning.plan import PLAN, Plan
from autoseg.storage import files
from autoseg.storage.documents import DocumentType, unchanged
from autoseg.wording import counted, in_words, listing

BUNDLE_FILE: Final = "bundle.json"
RESTORE: Final = "Restore the file from a copy, or train again with --restart."
"""What the user can do about a model that has changed since it was trained."""

TensorsFile = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.safetensors$")]
"""Name of a file of tensors, which lies beside the document that names it."""


class Hardware(BaseModel):
    """What a network was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str = Field(description="name of the processor")
    gpu: str | None = Field(default=None, description="name of the GPU; null: the processor itself computed")
    processes: int = Field(default=1, ge=1, description="that trained the network together, each on a device of its own")
    threads: int | None = Field(
        default=None, ge=1, description="processor threads that computed; null: on a GPU, or shared out among processes"
    )

    @property
    def in_words(self) -> str:
        """What people read, such as `AMD EPYC 7B13 (4 threads)`, or `two NVIDIA H100` where each process had one."""
        if self.gpu is not None:
            return f"{in_words(self.processes)} {self.gpu}" if self.processes > 1 else self.gpu
        processes = [counted(self.processes, "process", plural="processes")] if self.processes > 1 else []
        threads = [] if self.threads is None else [counted(self.threads, "thread")]
        how = ", ".join([*processes, *threads])
        return f"{self.processor} ({how})" if how else self.processor


ScanDigests = tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...]
"""`voxel_digest` of some scans, sorted: they tell scans apart, and nobody's name."""


LabelDigests = tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...]
"""Checksums of some label maps, sorted."""


class AdoptedLabels(BaseModel):
    """Which label maps that a model learns from were predicted, and corrected or confirmed by a person: nobody's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    new_sha256: LabelDigests = Field(default=(), description="checksums of those of further training cases")
    corrected_sha256: LabelDigests = Field(
        default=(), description="checksums of those that took the place of one of the data set"
    )


class Origin(BaseModel):
    """The model that another one was started from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of its weights")
    name: str = Field(min_length=1, max_length=1000, description="what it is called, such as `unet, fold 0 of IBSR18`")
    epochs: int = Field(ge=0, description="epochs it had been trained for")
    minutes: float = Field(ge=0, description="minutes it had been trained for")
    classes_kept: bool = Field(description="whether its last layers were kept: it knew the same classes")
    channels_kept: bool = Field(description="whether its first layer was kept: it read the same channels")
    learnt_from: ScanDigests | None = Field(
        default=None,
        description="digests of the scans that it, or what it was started from itself, had learnt from; null: not recorded",
    )

    @property
    def in_words(self) -> str:
        """What people read, such as `unet, fold 0 of IBSR18 after 20 epochs, with last layers of its own`."""
        own = ["last layers of its own"] if not self.classes_kept else []
        own += ["a first layer for other channels"] if not self.channels_kept else []
        return f"{self.name} after {counted(self.epochs, 'epoch')}" + (f", with {listing(own)}" if own else "")


class TrainedStretch(BaseModel):
    """What one call of a training did where several calls trained a model, each further than the one before."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    first_epoch: int = Field(ge=1, description="number of its first epoch")
    epochs: int = Field(ge=0, description="epochs trained in it")
    minutes: float = Field(ge=0, description="minutes trained in it")
    revision: int = Field(default=0, ge=0, description="revision of the data that it learnt from")


class Provenance(BaseModel):
    """Where a model comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    versions: dict[str, str] = Field(description="versions of the software it was trained with")
    seed: int
    precision: str = Field(description="number format of the convolutions in training")
    training_cases: tuple[str, ...]
    validation_cases: tuple[str, ...]
    epochs: int = Field(description="epochs trained when these weights were taken")
    minutes: float = Field(description="minutes trained when these weights were taken")
    hardware: Hardware | None = Field(default=None, description="what they were last trained on; null: not recorded")
    scans: ScanDigests | None = Field(default=None, description="digests of the training scans; null: not recorded")
    revision: int = Field(default=0, ge=0, description="revision of the data that they were trained on last")
    origin: Origin | None = Field(default=None, description="the model that it was started from; null: from nothing")
    stretches: tuple[TrainedStretch, ...] = Field(
        default=(), description="what each call trained, in order; none: one call trained all of it"
    )

    adopted_sha256: LabelDigests = Field(default=(), description="checksums of adopted label maps of further training cases")
    corrected_sha256: LabelDigests = Field(
        default=(), description="checksums of adopted label maps that took the place of one of the data set"
    )

    @property
    def stretches_in_words(self) -> str:
        """What people read of a model that was trained further, such as `12 + 6 epochs`; empty: one call trained it."""
        epochs = " + ".join(str(stretch.epochs) for stretch in self.stretches)
        revised = len({stretch.revision for stretch in self.stretches}) > 1
        revisions = (
            f", on revisions {listing([str(each.revision) for each in self.stretches])} of the data" if revised else ""
        )
        return f"{epochs} epochs{revisions}" if self.stretches else ""

    @property
    def learnt_from(self) -> ScanDigests | None:
        """Digests of all scans that the weights learnt from, those of the model they were started from among them.

        Returns:
            None where that was not recorded, of either.
        """
        if self.scans is None or (self.origin is not None and self.origin.learnt_from is None):
            return None
        before = () if self.origin is None or self.origin.learnt_from is None else self.origin.learnt_from
        return tuple(sorted({*self.scans, *before}))


class BundleDocument(BaseModel):
    """What a model is, without its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    architecture: catalogue.Architecture
    fold: str = Field(description="a number, `official` or `full`")
    seed: Seed | None = Field(default=None, description="where it is part of the model's place; null: it is not")
    view: catalogue.Plane | None = Field(default=None, description="plane of the only view it sees; null: it sees all")
    plan_digest: str
    plan: Plan
    provenance: Provenance
    registered: tuple[Registered, ...] = Field(default=(), description="what stems from packages beside autoseg")
    weights_file: TensorsFile
    weights_sha256: str

    @model_validator(mode="after")
    def _sees_what_is_planned(self) -> "BundleDocument":
        if self.view not in self.plan.network_views:
            msg = f"view must be one of {', '.join(map(str, self.plan.network_views))}, as the plan says"
            raise ValueError(msg)
        return self

    @property
    def id(self) -> ModelId:
        """What it is called, and where it lies."""
        return ModelId(self.architecture, self.fold, self.seed, self.view)

    @property
    def seen(self) -> Plan:
        """What of its plan it sees."""
        return self.plan.of_view(self.view)


def software_versions() -> dict[str, str]:
    """Versions of whatever influences a result."""
    packages = ("autoseg", "torch", "numpy", "scipy", "SimpleITK", "batchgenerators")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


BUNDLE: Final = DocumentType(
    name="model description",
    model=BundleDocument,
    error=BundleError,
    missing="Train the model, or point to a folder that holds one.",
    unusable="Train the model again.",
    migrations={1: unchanged},
    parts={"plan": PLAN},
    context={"predicts": True},
)


def read_document(folder: Path) -> BundleDocument:
    """Read what a model is, without its weights.

    Raises:
        BundleError: there is no model, or its document cannot be used.
    """
    path = folder / BUNDLE_FILE
    document = files.read_json(path, error=BUNDLE.error, remedy=BUNDLE.missing, unusable=BUNDLE.unusable)
    return parse_document(document, where=path)


def weights_digest(folder: Path) -> str | None:
    """SHA-256 of the weights that a model's description names, which is not validated; None where there is none."""
    path = folder / BUNDLE_FILE
    if not path.exists():
        return None
    document = files.read_json(path, error=BUNDLE.error, remedy=BUNDLE.missing, unusable=BUNDLE.unusable)
    digest = document.get("weights_sha256") if isinstance(document, dict) else None
    return digest if isinstance(digest, str) else None


def parse_document(document: Any, *, where: Path | str) -> BundleDocument:
    """A model's description from a JSON document.

    Raises:
        BundleError: it cannot be used, needs a missing package, or its plan is not the one the model was trained under.
    """
    migrated = BUNDLE.migrated(document, where=where)
    check_packages(migrated, where=where)
    description = BUNDLE.parse(migrated, where=where)
    if not description.plan.is_identified_by(description.plan_digest):
        raise BundleError(
            "the plan inside has changed since the model was trained",
            where=where,
            expected=f"digest {description.plan_digest[:64]!a}",
            found=description.plan.digest,
            remedy=RESTORE,
        )
    return description.model_copy(update={"plan_digest": description.plan.digest})  # of 0.1 or now, they are compared
