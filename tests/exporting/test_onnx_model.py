"""ONNX models of all networks, written once and run by onnxruntime on sizes that no export looked at."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from autoseg import catalogue
from autoseg.catalogue import NETWORKS
from autoseg.errors import BundleError
from autoseg.exporting import onnx_model
from autoseg.exporting.onnx_model import LARGEST_DIFFERENCE, OnnxModel, write_onnx
from autoseg.model.bundle import Bundle
from autoseg.model.description import BundleDocument, Provenance
from autoseg.model.encoding import TensorEncoding
from autoseg.networks import build_network
from autoseg.planning.plan import Plan

DIVISOR = 2


class Written(NamedTuple):
    """A network and its ONNX model."""

    bundle: Bundle
    model: OnnxModel


def bundle(architecture: catalogue.Architecture, plan: Plan) -> Bundle:
    """A model whose batch normalisation has seen something."""
    torch.manual_seed(0)
    classes = len(plan.data.classes)
    network = build_network(architecture, in_channels=plan.input_channels, classes=classes, size=plan.network)
    network(3 * torch.randn((8, plan.input_channels, 16, 12)) + 1)
    document = BundleDocument(
        architecture=architecture,
        fold="0",
        plan_digest=plan.digest,
        plan=plan,
        provenance=Provenance(
            versions={}, seed=0, precision="float32", training_cases=(), validation_cases=(), epochs=1, minutes=1.0
        ),
        weights_file="weights.safetensors",
        weights_sha256="0" * 64,
    )
    return Bundle(document, network.eval())


class AsAsked(dict[str, Written]):
    """Models by their architecture, each written when it is first asked for: that takes many seconds."""

    def __init__(self, write: Callable[[str], Written]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, architecture: str) -> Written:
        return self.setdefault(architecture, self._write(architecture))


SOME = [pytest.param(name, marks=() if name == "unet" else pytest.mark.slow) for name in NETWORKS]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, make_plan: Callable[..., Plan]) -> AsAsked:
    """All networks, with two channels and a neighbour on either side, so that each comes as six; disc weighs 4 times."""
    folder = tmp_path_factory.mktemp("onnx")
    plan = make_plan(
        data={"channels": ["T1", "T2"]},
        preprocessing={"normalisation": [{"method": "none"}, {"method": "none"}]},
        view={"adjacent_slices": 1},
        training={"class_weights": [1.0, 4.0]},
        prediction={"prior_power": 0.5},
    )

    def write(name: str) -> Written:
        model = bundle(name, plan)
        return Written(model, write_onnx(model, folder / f"{name}.onnx", weight=1.0, mean_log_shift=(0.0, 0.1), planes=()))

    return AsAsked(write)


def given_by(network: torch.nn.Module, slices: torch.Tensor) -> NDArray[np.float32]:
    """The network's own probabilities, divided by the square root of the weights."""
    with torch.inference_mode():
        divided = torch.softmax(network(slices), dim=1) / torch.tensor([1.0, 2.0])[:, None, None]
        return (divided / divided.sum(dim=1, keepdim=True)).numpy()


def probabilities(path: Path, slices: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"slices": slices})
    return found


@pytest.mark.parametrize("architecture", SOME)
@pytest.mark.parametrize("size", [(1, 2 * DIVISOR, 2 * DIVISOR), (5, 4 * DIVISOR, 11 * DIVISOR)])
def test_another_program_gets_the_same_probabilities(
    written: AsAsked, architecture: str, size: tuple[int, int, int]
) -> None:
    model, onnx_file = written[architecture]
    batch, rows, columns = size
    slices = torch.randn((batch, 6, rows, columns), generator=torch.Generator().manual_seed(7))
    expected = given_by(model.network, slices)
    found = probabilities(onnx_file.path, slices.numpy())
    assert found.shape == (batch, 2, rows, columns)
    assert np.abs(found - expected).max() <= 1e-6
    assert expected.std() > 0.01  # networks that answer the same everywhere would agree, too
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("architecture", SOME)
def test_rearranged_pixels_are_part_of_the_network(
    make_plan: Callable[..., Plan], tmp_path: Path, architecture: str
) -> None:
    plan = make_plan(
        network={"features": [2, 4, 8], "stem": "space_to_depth"},
        view={"adjacent_slices": 1},
        training={"class_weights": [1.0, 4.0]},
        prediction={"prior_power": 0.5},
    )
    model = bundle(architecture, plan)
    path = write_onnx(model, tmp_path / "a.onnx", weight=1.0, mean_log_shift=(), planes=()).path
    slices = torch.randn((2, 3, 12, 20), generator=torch.Generator().manual_seed(7))
    assert np.abs(probabilities(path, slices.numpy()) - given_by(model.network, slices)).max() <= 1e-6


@pytest.mark.parametrize("architecture", SOME)
def test_the_difference_from_torch_is_stated(written: AsAsked, architecture: str) -> None:
    model = written[architecture].model
    assert 0 <= model.largest_difference <= 1e-6
    assert (model.multiple_px, model.smallest_px) == (DIVISOR, 2 * DIVISOR)


def test_smaller_slices_than_stated_are_really_wrong(written: AsAsked) -> None:
    model, onnx_file = written["unet"]
    slices = torch.randn((1, 6, DIVISOR, DIVISOR), generator=torch.Generator().manual_seed(7))
    expected = given_by(model.network, slices)
    assert np.abs(probabilities(onnx_file.path, slices.numpy()) - expected).max() > LARGEST_DIFFERENCE


def test_the_file_says_what_it_is(written: AsAsked) -> None:
    model, onnx_file = written["unet"]
    proto = onnx.load(onnx_file.path)
    onnx.checker.check_model(proto)
    notes = {entry.key.removeprefix("autoseg."): entry.value for entry in proto.metadata_props}
    assert notes["architecture"] == "unet"
    assert notes["fold"] == "0"
    assert notes["classes"] == "0 background, 2 disc"
    assert (notes["multiple_px"], notes["smallest_px"]) == ("2", "4")
    assert json.loads(notes["mean_log_shift"]) == [0.0, 0.1]
    assert json.loads(notes["log_shift"]) == [0.0, pytest.approx(-np.log(2))]
    assert notes["padding"] == "replicated"
    assert notes["weights_sha256"] == model.document.weights_sha256
    assert Plan.model_validate(json.loads(notes["plan"])) == model.document.plan
    (slices,), (answer,) = proto.graph.input, proto.graph.output
    assert (slices.name, answer.name) == ("slices", "probabilities")
    fixed = [dim.dim_value for dim in slices.type.tensor_type.shape.dim]
    assert fixed == [0, 6, 0, 0]  # batch, rows and columns are free


@pytest.mark.parametrize("difference", [1.1e-4, float("nan"), float("inf")])
def test_a_model_that_is_not_the_network_is_not_written(
    tiny_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, difference: float
) -> None:
    class Program:
        model_proto = onnx.ModelProto()

    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: Program())
    monkeypatch.setattr(onnx_model, "_difference", lambda *_: difference)
    with pytest.raises(BundleError, match=r"brain\.onnx.*at most 0\.0001; found (0\.00011|nan|inf)"):
        write_onnx(bundle("unet", tiny_plan), tmp_path / "brain.onnx", weight=1.0, mean_log_shift=(), planes=())
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(onnx_model, "_difference", lambda *_: LARGEST_DIFFERENCE)
    write_onnx(bundle("unet", tiny_plan), tmp_path / "brain.onnx", weight=1.0, mean_log_shift=(), planes=())
    assert [path.name for path in tmp_path.iterdir()] == ["brain.onnx"]


def test_a_changed_weight_makes_a_difference(written: AsAsked) -> None:
    """The comparison looks at what the file holds, not at the network twice."""
    model, onnx_file = written["unet"]
    other = bundle("unet", model.document.plan).network
    with torch.no_grad():
        next(iter(other.parameters())).mul_(1.5)
    softmax = torch.nn.Sequential(other, TensorEncoding.of(model.document.plan).activation()).eval()
    slices = torch.randn((1, 6, 8, 8), generator=torch.Generator().manual_seed(7))
    assert onnx_model._difference(onnx_file.path.read_bytes(), softmax, slices) > LARGEST_DIFFERENCE
