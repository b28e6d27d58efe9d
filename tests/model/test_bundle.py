import json
import math
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from autoseg.errors import BundleError
from autoseg.model.bundle import assemble, check_size, load_bundle, load_tensors, parse_tensors, save_bundle, save_tensors
from autoseg.model.description import BUNDLE_FILE, BundleDocument, Provenance, parse_document, read_document
from autoseg.model.identity import ModelId
from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.storage import files


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
    save_bundle(tmp_path, network, model=ModelId("sepres", "0"), plan=tiny_plan, provenance=provenance)
    return tmp_path


def test_a_network_comes_back_with_the_same_outputs(saved: Path, tiny_plan: Plan) -> None:
    torch.manual_seed(0)
    network = build_network("sepres", in_channels=1, classes=2, size=tiny_plan.network).eval()
    bundle = load_bundle(saved)
    images = torch.randn((2, 1, 16, 12))
    assert torch.equal(bundle.network(images), network(images))
    assert not bundle.network.training
    assert bundle.document.plan == tiny_plan


def test_saving_again_leaves_one_file_of_weights(saved: Path, tiny_plan: Plan) -> None:
    document = load_bundle(saved).document
    torch.manual_seed(1)
    network = build_network("sepres", in_channels=1, classes=2, size=tiny_plan.network)
    save_bundle(saved, network, model=ModelId("sepres", "0"), plan=tiny_plan, provenance=document.provenance)
    assert len(list(saved.glob("*.safetensors"))) == 1
    assert load_bundle(saved).document.weights_sha256 != document.weights_sha256


def test_weights_that_share_memory_are_stored_each_for_itself(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    tensors = {"a": shared, "b": shared, "turned": shared.T, "part": shared[1], "empty": torch.zeros(0)}
    name, digest = save_tensors(tmp_path, tensors, prefix="weights")
    found = load_tensors(tmp_path / name, sha256=digest)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


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


WHERE = "brain.autoseg (bundle.json)"


def described(saved: Path, **changes: Any) -> bytes:
    """The text of a model's description, with keys changed."""
    document = json.loads((saved / BUNDLE_FILE).read_text(encoding="utf-8"))
    return json.dumps({**document, **changes}).encode()


def parsed(text: bytes, *, where: str) -> BundleDocument:
    return parse_document(files.parse_json(text, error=BundleError, where=where, remedy="Train."), where=where)


def planned(saved: Path, plan: Plan, **network: Any) -> BundleDocument:
    """A model's description under a plan with another network, of which nobody asked whether it can be."""
    size = plan.network.model_copy(update=network)
    return read_document(saved).model_copy(update={"plan": plan.model_copy(update={"network": size})})


def test_a_description_read_elsewhere_is_the_one_that_was_stored(saved: Path) -> None:
    assert parsed((saved / BUNDLE_FILE).read_bytes(), where=WHERE) == read_document(saved)


def test_a_description_of_a_newer_version_says_so(saved: Path) -> None:
    with pytest.raises(BundleError, match=r"brain\.autoseg.*newer.*format 2 or older.*format 3.*Update"):
        parsed(described(saved, version=3), where=WHERE)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version": NaN}',
        b'{"version": 1e999}',
        b'{"version": 1' + b"0" * 5000 + b"}",
        b'{"version": 1, "fold": "\\ud800"}',
        b'{"version": 1' + b"".join(b', "%d": 0' % number for number in range(1000)) + b"}",
    ],
    ids=["empty", "null", "list", "cut", "bytes", "deep", "nan", "infinite", "huge", "surrogate", "unknown keys"],
)
def test_what_is_no_description_is_refused_where_it_was_found(text: bytes) -> None:
    with pytest.raises(BundleError) as refused:
        parsed(text, where=WHERE)
    assert refused.value.where == WHERE
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(("key", "number"), [("minutes", "NaN"), ("minutes", "1e999"), ("minutes", "-1e999")])
def test_numbers_that_are_none_are_refused(saved: Path, key: str, number: str) -> None:
    path = saved / BUNDLE_FILE
    corrupted = path.read_text(encoding="utf-8").replace(f'"{key}": 0.5', f'"{key}": {number}')
    assert number in corrupted
    with pytest.raises(BundleError, match="not a JSON document"):
        parsed(corrupted.encode(), where=WHERE)
    path.write_text(corrupted, encoding="utf-8")
    with pytest.raises(BundleError, match="not a JSON document"):
        read_document(saved)


def test_a_deep_description_is_not_written_out_again(saved: Path) -> None:
    """Indented, a list of 300 kB inside 90 others would take 30 MB."""
    value = "[" * 90 + "0," * 150_000 + "0" + "]" * 90
    text = described(saved).replace(
        b'"decisions": {}', b'"decisions": {"a": {"rule": "", "reason": "", "value": %s}}' % value.encode()
    )
    tracemalloc.start()
    try:
        parsed(text, where=WHERE)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_plan_edited_inside_a_bundle_is_noticed(saved: Path) -> None:
    """It would cut scans in another plane than the weights have learnt, and say nothing."""
    document = json.loads((saved / BUNDLE_FILE).read_text(encoding="utf-8"))
    document["plan"]["views"][0]["plane"] = "sagittal"
    (saved / BUNDLE_FILE).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BundleError, match="the plan inside has changed since the model was trained"):
        load_bundle(saved)


def test_a_network_sees_what_its_plan_says(saved: Path) -> None:
    with pytest.raises(BundleError, match="view must be one of None, as the plan says"):
        parsed(described(saved, view="axial"), where=WHERE)


@pytest.mark.parametrize(
    "name", ["../weights-1.safetensors", "/etc/passwd", "a\0.safetensors", "", "bundle.json", "a\n.safetensors"]
)
def test_weights_lie_beside_their_document(saved: Path, name: str) -> None:
    with pytest.raises(BundleError, match="weights_file"):
        parsed(described(saved, weights_file=name), where=WHERE)


def test_weights_put_together_in_memory_are_those_on_disk(saved: Path) -> None:
    stored = load_bundle(saved)
    (path,) = saved.glob("*.safetensors")
    weights = parse_tensors(path.read_bytes(), sha256=stored.document.weights_sha256, where=path)
    check_size(stored.document, path.stat().st_size, where=path)
    bundle = assemble(stored.document, weights, where=path)
    state = bundle.network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in stored.network.state_dict().items())
    assert not bundle.network.training


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda weights: weights.pop("heads.convolutions.0.bias"), r"1 differ, such as 'heads.convolutions.0.bias'"),
        (lambda weights: weights.update(more=torch.zeros(1)), "1 differ, such as 'more'"),
        (lambda weights: weights.update({"\x1b[2J": torch.zeros(1)}), r"1 differ, such as '\\x1b\[2J'"),
        (lambda weights: weights.update({"heads.convolutions.0.bias": torch.zeros(3)}), "1 differ"),
        (lambda weights: weights.update({"heads.convolutions.0.bias": torch.zeros(2, dtype=torch.float64)}), "1 differ"),
        (lambda weights: weights["heads.convolutions.0.bias"].fill_(math.nan), "not finite"),
        (lambda weights: weights["heads.convolutions.0.bias"].fill_(math.inf), "not finite"),
        (lambda weights: weights.clear(), "differ"),
    ],
    ids=["missing", "more", "name", "shape", "type", "nan", "infinite", "none"],
)
def test_weights_that_do_not_fit_are_refused(saved: Path, change: Callable[[dict[str, Any]], object], what: str) -> None:
    bundle = load_bundle(saved)
    weights = {name: tensor.clone() for name, tensor in bundle.network.state_dict().items()}
    change(weights)
    with pytest.raises(BundleError, match=rf"do not fit the network `sepres` of the plan \(.*{what}"):
        assemble(bundle.document, weights, where=WHERE)


GIANTS: dict[str, dict[str, Any]] = {
    "wide": {"features": (1 << 20, 1 << 21)},
    "beyond any memory": {"features": (1 << 40, 1 << 41)},
    "beyond any number": {"features": (10**30, 10**31)},
    "expanded": {"expansion": 1e15},
    "infinitely expanded": {"expansion": 1e308},
}


@pytest.mark.parametrize("network", GIANTS.values(), ids=GIANTS.keys())
def test_what_no_memory_holds_is_refused_before_it_is_made(saved: Path, tiny_plan: Plan, network: dict[str, Any]) -> None:
    document = planned(saved, tiny_plan, **network)
    weights = dict(load_bundle(saved).network.state_dict())
    with pytest.raises(BundleError, match="do not fit"):
        assemble(document, weights, where=WHERE)
    with pytest.raises(BundleError, match="do not fit"):
        check_size(document, 10_000, where=WHERE)


def test_weights_have_the_size_of_their_network(saved: Path) -> None:
    document = read_document(saved)
    (path,) = saved.glob("*.safetensors")
    numbers = sum(tensor.numel() * tensor.itemsize for tensor in load_bundle(saved).network.state_dict().values())
    tensors = len(load_bundle(saved).network.state_dict())
    for size in (path.stat().st_size, numbers, numbers + 512 * tensors):
        check_size(document, size, where=path)
    for size in (0, numbers - 1, numbers + 600 * tensors, 1 << 40):
        with pytest.raises(BundleError, match=f"{numbers} bytes are expected, and the file has {size}"):
            check_size(document, size, where=path)


def test_asking_what_a_network_would_be_makes_none(saved: Path) -> None:
    (path,) = saved.glob("*.safetensors")
    before = torch.get_rng_state()
    check_size(read_document(saved), path.stat().st_size, where=path)
    assert torch.equal(torch.get_rng_state(), before)  # fresh weights would have been drawn


def tensor_file(header: object, data: bytes = b"") -> bytes:
    """A file in the safetensors format with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def one(dtype: str, shape: list[int], offsets: list[int]) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


SPOILT: dict[str, bytes] = {
    "empty": b"",
    "cut": b"123",
    "a header of 2 ** 63 bytes": struct.pack("<Q", 1 << 63) + b"{}",
    "a header beyond the end": struct.pack("<Q", 99_000_000) + b"{}",
    "no JSON": tensor_file(b"xx"),
    "a list": tensor_file([]),
    "deep": tensor_file(b"[" * 100_000),
    "overlapping": tensor_file({"a": one("F32", [2], [0, 8]), "b": one("F32", [2], [4, 12])}, bytes(12)),
    "turned round": tensor_file({"a": one("F32", [1], [4, 0])}, bytes(4)),
    "beyond the end": tensor_file({"a": one("F32", [4], [0, 16])}, bytes(4)),
    "something behind": tensor_file({"a": one("F32", [1], [0, 4])}, bytes(5)),
    "a huge shape": tensor_file({"a": one("F32", [1 << 62, 8], [0, 8])}, bytes(8)),
    "a huge shape of nothing": tensor_file({"a": one("F32", [0, 1 << 63], [0, 0])}),
    "a huge area of nothing": tensor_file({"a": one("F32", [0, 1 << 62, 1 << 62], [0, 0])}),
    "a negative shape": tensor_file({"a": one("F32", [-1], [0, 4])}, bytes(4)),
    "an unknown type": tensor_file({"a": one("X9", [1], [0, 4])}, bytes(4)),
    "a type without arrays": tensor_file({"a": one("F4", [8], [0, 4])}, bytes(4)),
    "notes that are none": tensor_file({"__metadata__": {"a": 1}}),
    "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
}


@pytest.mark.parametrize("content", SPOILT.values(), ids=SPOILT.keys())
def test_a_corrupted_file_of_tensors_is_refused_though_its_digest_is_right(content: bytes) -> None:
    with pytest.raises(BundleError, match="not a safetensors file") as refused:
        parse_tensors(content, sha256=files.sha256_bytes(content), where=WHERE)
    assert refused.value.message.isprintable()


def test_tensors_are_not_looked_at_before_their_digest() -> None:
    content = save({"a": torch.ones(2)})
    assert torch.equal(parse_tensors(content, sha256=files.sha256_bytes(content), where=WHERE)["a"], torch.ones(2))
    with pytest.raises(BundleError, match="have changed"):
        parse_tensors(content, sha256="0" * 64, where=WHERE)
