"""Readers of models held against plain decoding: what they accept must predict as the weights that are written."""

import copy
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from oracles.corrupted_documents import Generator, corrupt_bytes, corrupt_tensors, corrupt_text, pick
from oracles.decoded_documents import (
    REFUSED,
    canonical_digest,
    decoded_tensors,
    in_format_3,
    literal,
    require,
    require_remedy,
    require_tensors,
)
from oracles.hostile_archives import MANIFEST, pack

from autoseg.errors import BundleError
from autoseg.exporting.document import describe_exported, read_exported
from autoseg.model.bundle import Bundle, load_bundle
from autoseg.networks import build_network
from autoseg.planning.sections import NetworkSection

Members = dict[str, bytes]
_HEADERS: Final = ((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22))
"""Signature and length in bytes: of a member, of an entry of the table of contents, of its end."""

_NUMBERS: Final = (0, 1, 2, 7, 8, 14, 20, 45, 99, 255, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF)


_NEUTRAL: Final[Mapping[str, Mapping[str, Any]]] = {
    "data": {"ignore": None},
    "preprocessing": {"not_finite": "refuse"},
    "network": {"stem": "plain", "shared_by_views": True},
    "training": {"seeding": "batch", "foreground_patches": 0, "half_resolution_fraction": 0},
    "augmentation": {
        "additional": [], "rotation_unit": "px", "contrast_about": "slice", "brightness_shift": 0, "noise_std": 0,
    },
    "prediction": {"padding": "replicated", "prior_power": 0},
}  # fmt: skip
"""Values that plans need not name, by section: what version 0.1 did where it had no choice."""


@dataclass(frozen=True)
class ReadModels:
    """Attempts to read a corrupted model.

    Attributes:
        bundle: folder of a intact model.
        archive: an intact exported model.
        seed: of the mutations.
    """

    bundle: Path
    archive: Path
    seed: int

    def prepare(self) -> None:
        _judge_bundle(self.bundle)
        _judge_archive(self.archive)

    def __call__(self, number: int) -> str:
        generator = np.random.default_rng((self.seed, number))
        with tempfile.TemporaryDirectory() as scratch:
            if number % 2:
                path = Path(scratch) / "model.autoseg"
                path.write_bytes(_corrupted_archive(self.archive, generator))
                return f"{_ended(_judge_archive, path)} archive"
            _write_corrupted_bundle(self.bundle, Path(scratch), generator)
            return f"{_ended(_judge_bundle, Path(scratch))} bundle"


def _ended(judge: Any, path: Path) -> str:
    try:
        judge(path)
    except BundleError as error:
        require_remedy(error)
        return REFUSED
    return "accepted"


def _judge_bundle(folder: Path) -> None:
    bundle = load_bundle(folder)
    plain = literal((folder / "bundle.json").read_bytes())
    _require_bundle(bundle, plain, (folder / plain["weights_file"]).read_bytes())


def _require_bundle(bundle: Bundle, plain: Any, weights: bytes) -> None:
    """Fail where a model says something else than is written, or predicts other things than the weights written."""
    require(bundle.document, plain)
    assert hashlib.sha256(weights).hexdigest() == plain["weights_sha256"]
    assert plan_digest(bundle.document.plan.values) == plain["plan_digest"]
    tensors = decoded_tensors(weights)
    require_tensors(bundle.network.state_dict(), tensors)
    data, size = plain["plan"]["data"], plain["plan"]["network"]
    channels = len(data["channels"]) * (1 + 2 * plain["plan"]["views"][0]["adjacent_slices"])
    network = build_network(
        plain["architecture"], in_channels=channels, classes=len(data["classes"]), size=NetworkSection.model_validate(size)
    )
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
    pictures = torch.linspace(-3, 3, 2 * channels * 16 * 12).reshape(2, channels, 16, 12)
    with torch.no_grad():
        expected, found = network.eval()(pictures), bundle.network(pictures)
    assert torch.equal(expected, found) or not torch.isfinite(expected).all()


def _judge_archive(path: Path) -> None:
    description = describe_exported(path)
    model = read_exported(path)
    assert model.description == description
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names))
        members = {name: archive.read(name) for name in names}
    manifest = literal(members.pop(MANIFEST))
    assert {entry["name"]: entry["sha256"] for entry in manifest["members"]} == {
        name: hashlib.sha256(content).hexdigest() for name, content in members.items()
    }
    assert description.written_by == manifest["written_by"]
    document = literal(members["model.json"])
    require(description.document, document)
    require(description.plan, literal(members["plan.json"]))
    require(description.fingerprint, literal(members["fingerprint.json"]))
    assert (description.selection is None) == ("selection.json" not in members)
    if description.selection is not None:
        require(description.selection, in_format_3(literal(members["selection.json"])))
    assert len(model.bundles) == len(document["bundles"])
    for (place, bundle), folder in zip(model.bundles, document["bundles"], strict=True):
        assert place == f"{path} ({folder})"
        plain = literal(members[f"{folder}/bundle.json"])
        _require_bundle(bundle, plain, members[f"{folder}/{plain['weights_file']}"])


def plan_digest(plan: Mapping[str, Any]) -> str:
    """The digest of what a plan decides: neither what was asked for, nor how results are judged, nor values that equal their
    defaults are part of it."""
    unsaid = {"version", "inputs", "decisions", "planned_digest", "evaluation"}
    decided = copy.deepcopy({key: value for key, value in plan.items() if key not in unsaid})
    training, steps = _mapping(decided.get("training")), _mapping(decided.get("preprocessing")).get("normalisation")
    for part in (_mapping(training.get("slices")), *(map(_mapping, steps) if isinstance(steps, list) else ())):
        for key in [key for key, value in part.items() if value is None]:
            del part[key]
    classes = _mapping(decided.get("data")).get("classes")
    for label in map(_mapping, classes if isinstance(classes, list) else ()):
        for key in [key for key in ("values", "order") if key in label and label[key] is None]:
            del label[key]
    for section, neutral in _NEUTRAL.items():
        part = _mapping(decided.get(section))
        for key in [key for key, value in neutral.items() if key in part and _equal(part[key], value)]:
            del part[key]
    return canonical_digest(decided)


def _equal(written: Any, neutral: Any) -> bool:
    """Whether a value is the neutral one; 0 is no False, and a number is one with or without a decimal point."""
    return written == neutral and isinstance(written, bool) == isinstance(neutral, bool)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _write_corrupted_bundle(source: Path, folder: Path, generator: Generator) -> None:
    """A model with its description or its weights corrupted, four fifths of them with digests that are right again."""
    text = (source / "bundle.json").read_bytes()
    name = json.loads(text)["weights_file"]
    weights = (source / name).read_bytes()
    if generator.random() < 0.5:
        text = corrupt_text(text, generator)
    else:
        weights = corrupt_tensors(weights, generator)
    if generator.random() < 0.8:
        text = _resealed(text, weights)
    (folder / "bundle.json").write_bytes(text)
    (folder / name).write_bytes(weights)


def _resealed(text: bytes, weights: bytes) -> bytes:
    """A description with the digests of its plan and its weights; as it is where it can have none."""
    try:
        literal(text)  # a key that comes twice has to stay
        document = json.loads(text)
        document["plan_digest"] = plan_digest(document["plan"])
        document["weights_sha256"] = hashlib.sha256(weights).hexdigest()
        return json.dumps(document).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError):
        return text


def _corrupted_archive(source: Path, generator: Generator) -> bytes:
    """An exported model corrupted inside one of its members, in its table of contents, or anywhere."""
    content = source.read_bytes()
    way = generator.random()
    if way < 0.15:
        return corrupt_bytes(content, generator)
    if way < 0.35:
        return _corrupt_field(content, generator)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = members.pop(MANIFEST)
    members = _corrupt_member(members, generator) if way < 0.9 else _corrupt_members(members, generator)
    if generator.random() < 0.8:
        members = _agreeing(members, generator)
    if generator.random() < 0.8:
        manifest = _manifest_of(members, manifest)
    elif generator.random() < 0.5:
        manifest = corrupt_text(manifest, generator)
    return pack({**members, MANIFEST: manifest})


def _corrupt_field(content: bytes, generator: Generator) -> bytes:
    """Two or four bytes of a header changed."""
    corrupted = bytearray(content)
    signature, length = pick(_HEADERS, generator)
    starts = []
    start = content.find(signature)
    while start >= 0:
        starts.append(start)
        start = content.find(signature, start + 4)
    place = pick(starts, generator) + 2 * int(generator.integers(length // 2))
    width = pick((2, 4), generator)
    corrupted[place : place + width] = (pick(_NUMBERS, generator) % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(corrupted)


def _corrupt_member(members: Members, generator: Generator) -> Members:
    name = pick(sorted(members), generator)
    content = members[name]
    if name.endswith(".safetensors"):
        return {**members, name: corrupt_tensors(content, generator)}
    return {
        **members,
        name: corrupt_text(content, generator) if name.endswith(".json") else corrupt_bytes(content, generator),
    }


def _corrupt_members(members: Members, generator: Generator) -> Members:
    """A member that is gone, renamed, exchanged with another, or one too many."""
    one, other = pick(sorted(members), generator), pick(sorted(members), generator)
    way = int(generator.integers(4))
    if way == 0:
        return {name: content for name, content in members.items() if name != one}
    if way == 1:
        renamed = pick((f"../{one}", f"/{one}", one.upper(), f"{one}\0", f"x/{one}", one.replace("/", "\\")), generator)
        return {renamed if name == one else name: content for name, content in members.items()}
    if way == 2:
        return {**members, one: members[other], other: members[one]}
    return {**members, pick(("x.json", "x.safetensors", f"{one}x", "models/x"), generator): members[one]}


def _agreeing(members: Members, generator: Generator) -> Members:
    """Members whose digests of one another are right again, and whose plans are one; as they are where they cannot."""
    try:
        (bundle,) = (name for name in members if name.endswith("bundle.json"))
        (weights,) = (name for name in members if name.endswith(".safetensors"))
        plan, document = literal(members["plan.json"]), literal(members[bundle])
        if generator.random() < 0.5:
            plan = document["plan"]
            members = {**members, "plan.json": json.dumps(plan).encode("utf-8", "surrogatepass")}
        digests = {"plan_digest": plan_digest(plan)}
        document |= digests | {"plan": plan, "weights_sha256": hashlib.sha256(members[weights]).hexdigest()}
        members = {**members, bundle: json.dumps(document).encode("utf-8", "surrogatepass")}
        selection = literal(members["selection.json"]) | digests
        selection["models"][0]["weights_sha256"] = document["weights_sha256"]
        return {**members, "selection.json": json.dumps(selection).encode("utf-8", "surrogatepass")}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, RecursionError):
        return members


def _manifest_of(members: Members, manifest: bytes) -> bytes:
    listing = [
        {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items()
    ]
    return json.dumps({**json.loads(manifest), "members": listing}).encode()
