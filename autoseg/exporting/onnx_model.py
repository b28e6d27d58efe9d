"""Trained networks in the ONNX format, for programs without torch; each is checked against the original before it counts."""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from autoseg.catalogue import Plane
from autoseg.errors import BundleError
from autoseg.model.bundle import Bundle
from autoseg.model.encoding import TensorEncoding
from autoseg.planning.memory import SMALLEST_BOTTLENECK_PX
from autoseg.planning.sections import View
from autoseg.storage import files

if TYPE_CHECKING:
    import onnx

LARGEST_DIFFERENCE: Final = 1e-4
"""Of probabilities between torch and ONNX. Source: ours; found on IBSR18's networks: below 1e-6."""

INPUT: Final = "slices"
OUTPUT: Final = "probabilities"


@dataclass(frozen=True)
class OnnxModel:
    """A network written as ONNX.

    Attributes:
        path: the file.
        largest_difference: between its probabilities and those of torch, on random slices of two sizes.
        multiple_px: rows and columns of its input must be multiples of this.
        smallest_px: and at least as many; for smaller ones its probabilities are wrong.
    """

    path: Path
    largest_difference: float
    multiple_px: int
    smallest_px: int


def write_onnx(
    bundle: Bundle,
    path: Path,
    *,
    weight: float,
    mean_log_shift: Sequence[float],
    planes: Sequence[Plane],
) -> OnnxModel:
    """Write a network from normalised slices, (B, C, H, W), to probabilities, (B, K, H, W), and verify it.

    B, H and W are free; H and W must be multiples of the network's divisor, and at least twice as long: smaller slices,
    which autoseg extends as the plan's `prediction.padding` says, give other probabilities, and no error. The shift of the
    logits that the plan's `prediction.prior_power` asks for is part of it, and stands in its metadata. Normalisation,
    neighbouring slices, mirroring, the mean over views and the way back onto the scan are not part of it: the views and the
    plan, in the model's metadata, say how they are done, and docs/how-to/onnx_predict.py does it.

    Args:
        bundle: the network.
        path: the file.
        weight: how much the network counts among those it is averaged with, for the metadata.
        mean_log_shift: what the selection adds to the logarithms of the mean over networks and views, for the metadata.
        planes: of the views that the selection averages, for the metadata; empty: all.

    Raises:
        BundleError: its probabilities are not those of torch. No file is left then.
    """
    plan = bundle.document.seen
    divisor = plan.network.divisor
    network = nn.Sequential(bundle.network, TensorEncoding.of(plan).activation()).eval()
    smallest = SMALLEST_BOTTLENECK_PX * divisor
    sizes = [(2, smallest, smallest + divisor), (1, smallest + 3 * divisor, smallest)]
    examples = [_random_slices(plan.input_channels, size) for size in sizes]
    with _quiet():
        program = torch.onnx.export(
            network,
            (examples[0],),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=(dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),),
            verbose=False,
        )
    if program is None:
        msg = "the exporter gives a program"
        raise RuntimeError(msg)
    model = program.model_proto
    views = [view for view in plan.views if not planes or view.plane in planes]
    _describe(model, bundle, weight=weight, mean_log_shift=mean_log_shift, views=views)
    content = model.SerializeToString()
    difference = max(_difference(content, network, example) for example in examples)
    if not difference <= LARGEST_DIFFERENCE:
        raise BundleError(
            "the ONNX model does not give what the network gives",
            where=path,
            expected=f"probabilities that differ by at most {LARGEST_DIFFERENCE:g}",
            found=f"{difference:g}",
            remedy="Use the exported autoseg model instead, and report this with the versions of torch and onnx.",
        )
    files.write_bytes(path, content)
    return OnnxModel(path, difference, multiple_px=divisor, smallest_px=smallest)


def _describe(
    model: "onnx.ModelProto", bundle: Bundle, *, weight: float, mean_log_shift: Sequence[float], views: Sequence[View]
) -> None:
    document = bundle.document
    for key, value in {
        "autoseg.architecture": document.architecture,
        "autoseg.fold": document.fold,
        "autoseg.classes": ", ".join(f"{label.value} {label.name}" for label in document.plan.data.classes),
        "autoseg.log_shift": json.dumps(TensorEncoding.of(document.plan).log_shift),
        "autoseg.mean_log_shift": json.dumps(mean_log_shift),
        "autoseg.multiple_px": str(document.plan.network.divisor),
        "autoseg.padding": document.plan.prediction.padding,
        "autoseg.smallest_px": str(SMALLEST_BOTTLENECK_PX * document.plan.network.divisor),
        "autoseg.views": json.dumps([view.model_dump(mode="json") for view in views]),
        "autoseg.plan": files.json_text(document.seen.model_dump(mode="json")),
        "autoseg.weight": json.dumps(weight),
        "autoseg.weights_sha256": document.weights_sha256,
    }.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def _random_slices(channels: int, size: Sequence[int]) -> torch.Tensor:
    batch, height, width = size
    return torch.randn((batch, channels, height, width), generator=torch.Generator().manual_seed(0))


def _difference(content: bytes, network: nn.Module, slices: torch.Tensor) -> float:
    import onnxruntime  # noqa: PLC0415 - an optional extra

    with torch.inference_mode():
        expected: NDArray[np.float32] = network(slices).numpy()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], {INPUT: slices.numpy()})
    return float(np.abs(found - expected).max())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's messages about its own inside, and about packages it could also convert, from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
