import json
from pathlib import Path

import pytest
import torch

from autoseg.errors import BundleError
from autoseg.model.bundle import BUNDLE_FILE, Provenance, load_bundle, read_document, save_bundle
from autoseg.networks import build_network
from autoseg.planning.plan import Plan


@pytest.fixture
def saved(tiny_plan: Plan, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build_network("sepres", in_channels=1, classes=2, size=tiny_plan.network)
    provenance = Provenance(
        versions={"torch": "x"},
        seed=0,
        precision="float32",
        training_cases=("a",),
        validation_cases=("b",),
        epochs=3,
        minutes=0.5,
    )
    save_bundle(tmp_path, network, architecture="sepres", fold="0", plan=tiny_plan, provenance=provenance)
    return tmp_path


def test_a_network_comes_back_with_the_same_outputs(saved: Path, tiny_plan: Plan) -> None:
    torch.manual_seed(0)
    network = build_network("sepres", in_channels=1, classes=2, size=tiny_plan.network).eval()
    bundle = load_bundle(saved)
    pictures = torch.randn((2, 1, 16, 12))
    assert torch.equal(bundle.network(pictures), network(pictures))
    assert not bundle.network.training
    assert bundle.document.plan == tiny_plan


def test_saving_again_leaves_one_file_of_weights(saved: Path, tiny_plan: Plan) -> None:
    document = load_bundle(saved).document
    torch.manual_seed(1)
    network = build_network("sepres", in_channels=1, classes=2, size=tiny_plan.network)
    save_bundle(saved, network, architecture="sepres", fold="0", plan=tiny_plan, provenance=document.provenance)
    assert len(list(saved.glob("*.safetensors"))) == 1
    assert load_bundle(saved).document.weights_sha256 != document.weights_sha256


def test_one_flipped_bit_is_noticed(saved: Path) -> None:
    (path,) = saved.glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0b100
    path.write_bytes(content)
    with pytest.raises(BundleError, match="changed"):
        load_bundle(saved)


def test_missing_weights_are_named(saved: Path) -> None:
    (path,) = saved.glob("*.safetensors")
    path.unlink()
    with pytest.raises(BundleError, match=path.name):
        load_bundle(saved)


def test_a_bundle_of_a_newer_version_says_so(saved: Path) -> None:
    path = saved / BUNDLE_FILE
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "version": 99}), encoding="utf-8")
    with pytest.raises(BundleError, match="newer"):
        read_document(saved)


@pytest.mark.parametrize("key", ["architecture", "plan", "weights_sha256"])
def test_a_missing_key_is_named(saved: Path, key: str) -> None:
    path = saved / BUNDLE_FILE
    document = json.loads(path.read_text(encoding="utf-8"))
    del document[key]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BundleError, match=key):
        read_document(saved)


def test_weights_of_another_network_do_not_load(saved: Path) -> None:
    path = saved / BUNDLE_FILE
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "architecture": "unet"}), encoding="utf-8")
    with pytest.raises(BundleError, match="do not fit"):
        load_bundle(saved)


def test_nothing_there_is_a_bundle_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        load_bundle(tmp_path)
