"""A trained model on disk: one JSON document and one file of weights, nothing that could run.

The document is written last and names its weights by digest, so that the pair is replaced in one step; weights that do
not match their digest are never used.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from autoseg.errors import BundleError
from autoseg.model.description import BUNDLE, BUNDLE_FILE, RESTORE, BundleDocument, Provenance, read_document
from autoseg.model.identity import ModelId
from autoseg.model.packages import registered_by_packages
from autoseg.networks import network_of
from autoseg.planning.plan import Plan
from autoseg.storage import files

_DESCRIPTION_BYTES: Final = 512
"""Room for the description of one tensor in a file of weights. Source: ours; the networks' own take about 130."""


_Kind = tuple[tuple[int, ...], torch.dtype]


@dataclass(frozen=True)
class Bundle:
    """A model ready to use: its description and the network with its weights, in evaluation mode, on the CPU."""

    document: BundleDocument
    network: nn.Module


class HasState(Protocol):
    """A network or an optimiser, or a copy of what one of them holds, as far as storing it is concerned."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that it holds."""


def save_bundle(
    folder: Path,
    network: HasState,
    *,
    model: ModelId,
    plan: Plan,
    provenance: Provenance,
) -> None:
    """Store a model so that an interruption leaves the former one or this one, whole."""
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    file, digest = save_tensors(folder, state, prefix="weights")
    document = BundleDocument(
        architecture=model.architecture,
        fold=model.fold,
        seed=model.seed,
        view=model.view,
        plan_digest=plan.digest,
        plan=plan,
        provenance=provenance,
        registered=registered_by_packages(model.architecture, plan),
        weights_file=file,
        weights_sha256=digest,
    )
    BUNDLE.write(folder / BUNDLE_FILE, document)
    drop_other_tensors(folder, keep=file, prefix="weights")


def load_bundle(folder: Path) -> Bundle:
    """Read a model and check its weights against their digest.

    Raises:
        BundleError: something is missing, damaged, or does not fit together.
    """
    document = read_document(folder)
    weights = folder / document.weights_file
    return assemble(document, load_tensors(weights, sha256=document.weights_sha256), where=weights)


def check_size(document: BundleDocument, size_bytes: int, *, where: Path | str) -> None:
    """Find out whether a file of this size can hold the weights of a model, before it is read.

    Raises:
        BundleError: it cannot, or the model's plan describes no network.
    """
    shapes = _expected(document, where=where).values()
    needed = sum(math.prod(shape) * dtype.itemsize for shape, dtype in shapes)
    if not needed <= size_bytes <= needed + _DESCRIPTION_BYTES * (len(shapes) + 1):
        raise _misfit(document, f"{needed} bytes are expected, and the file has {size_bytes}", where=where)


def assemble(document: BundleDocument, weights: Mapping[str, torch.Tensor], *, where: Path | str) -> Bundle:
    """Put weights into the network they belong to.

    Raises:
        BundleError: they do not fit it.
    """
    expected = _expected(document, where=where)
    found = {name: _kind(tensor) for name, tensor in weights.items()}
    if found != expected:
        names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise _misfit(document, f"{len(names)} differ, such as {names[0][:100]!a}", where=where)
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise _misfit(document, "some are not finite", where=where)
    network = network_of(document.seen, document.architecture)
    network.load_state_dict(dict(weights))
    return Bundle(document, network.eval())


def _expected(document: BundleDocument, *, where: Path | str) -> dict[str, _Kind]:
    """The tensors that the network of a plan has."""
    try:
        with torch.device("meta"):  # allocates nothing, whatever the plan claims
            network = network_of(document.seen, document.architecture)
        return {name: _kind(tensor) for name, tensor in network.state_dict().items()}
    except (RuntimeError, ValueError, TypeError, OverflowError) as cause:
        raise _misfit(document, str(cause)[:200], where=where) from None


def _kind(tensor: torch.Tensor) -> _Kind:
    return tuple(tensor.shape), tensor.dtype


def _misfit(document: BundleDocument, why: str, *, where: Path | str) -> BundleError:
    return BundleError(
        f"the weights do not fit the network `{document.architecture}` of the plan ({why})",
        where=where,
        remedy="Train the model again, or ask for it again.",
    )


def save_tensors(folder: Path, tensors: Mapping[str, torch.Tensor], *, prefix: str) -> tuple[str, str]:
    """Store tensors under a name made of their content; those that share memory each for itself.

    Args:
        folder: gets the file.
        tensors: on the host, in any layout.
        prefix: of the file's name.

    Returns:
        the file's name and its SHA-256.
    """
    own: dict[str, torch.Tensor] = {}
    places = set[int]()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        own[name] = tensor.clone(memory_format=torch.contiguous_format) if place in places else tensor.contiguous()
        places.add(place)
    content = save(own)
    digest = files.sha256_bytes(content)
    name = f"{prefix}-{digest[:12]}.safetensors"
    files.write_bytes(folder / name, content)
    return name, digest


def load_tensors(path: Path, *, sha256: str) -> dict[str, torch.Tensor]:
    """Read tensors, but only if the file is the one that was stored.

    Raises:
        BundleError: the file is missing, changed or not a safetensors file.
    """
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise BundleError(f"cannot be read ({cause.strerror})", where=path, remedy=RESTORE) from None
    return parse_tensors(content, sha256=sha256, where=path)


def parse_tensors(content: bytes, *, sha256: str, where: Path | str) -> dict[str, torch.Tensor]:
    """Understand stored tensors, but only if they are those that were stored.

    Raises:
        BundleError: they have changed, or are not in the safetensors format.
    """
    found = files.sha256_bytes(content)
    if found != sha256:
        raise BundleError(
            "the stored weights have changed", where=where, expected=f"sha256 {sha256}", found=found, remedy=RESTORE
        )
    try:
        tensors: dict[str, torch.Tensor] = load(content)
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError, OverflowError) as cause:
        raise BundleError(f"not a safetensors file ({str(cause)[:200]!a})", where=where, remedy=RESTORE) from None
    return tensors


def drop_other_tensors(folder: Path, *, keep: str, prefix: str) -> None:
    """Remove weights that no document names any more."""
    for path in folder.glob(f"{prefix}-*.safetensors"):
        if path.name != keep:
            path.unlink()
