"""Readers of documents held against plain decoding: what they accept must be what is written."""

import hashlib
import json
import math
import shutil
import struct
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from oracles.corrupted_documents import Generator, corrupt_text, pick
from pydantic import BaseModel
from torch import nn

from autoseg.catalogue import NETWORKS
from autoseg.errors import AutosegError
from autoseg.networks import build_network
from autoseg.planning.fingerprint import FINGERPRINT
from autoseg.planning.plan import Plan, read_plan
from autoseg.postprocessing.held_out import read_record
from autoseg.postprocessing.selection import read_selection
from autoseg.preprocessing.stored import CaseFiles
from autoseg.runs.workspace import Workspace
from autoseg.training.checkpoint import read_checkpoint

REFUSED: Final = "refused"
_WORDS_FOR_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MOST_STEP_BYTES: Final = 2e13
_DTYPES: Final = {"F32": "<f4", "I64": "<i8", "U8": "|u1"}

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class ReadDocuments:
    """Attempts to read a corrupted document of a run.

    Attributes:
        folder: intact documents; one folder per kind, with all that its reader needs beside it.
        seed: of the mutations.
    """

    folder: Path
    seed: int

    def prepare(self) -> None:
        for kind in READERS:
            assert self(-1 - list(READERS).index(kind)).startswith("accepted"), kind  # as they are, all are read

    def __call__(self, number: int) -> str:
        kinds = list(READERS)
        kind = kinds[number % len(kinds)] if number >= 0 else kinds[-1 - number]
        generator = np.random.default_rng((self.seed, abs(number)))
        source = pick(sorted((self.folder / kind).glob("*.json")), generator)
        content = source.read_bytes()
        if number >= 0:
            content = _sealed(kind, corrupt_text(content, generator), generator)
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch) / kind
            shutil.copytree(self.folder / kind, place)
            (place / source.name).write_bytes(content)
            return f"{judged(READERS[kind], place / source.name, content)} {kind}"


def judged(read: "Reader", path: Path, content: bytes) -> str:
    """How reading a document ended; fails where it ended well with something else than is written."""
    try:
        accepted = read(path)
    except AutosegError as error:
        require_remedy(error)
        return REFUSED
    accepted(literal(content))
    return "accepted"


def require_remedy(error: AutosegError) -> None:
    """Fail where an error does not say what to do, or says more than anyone reads."""
    assert error.remedy
    assert error.where
    assert len(error.message) < 100_000


Reader = Callable[[Path], Callable[[Any], None]]
"""Reads a file, and gives what holds the result against the plain document."""


def _says(model: BaseModel, *path: str) -> Callable[[Any], None]:
    def compare(plain: Any) -> None:
        for key in path:
            plain = plain[key]
        require(model, plain)

    return compare


def _selection(path: Path) -> Callable[[Any], None]:
    selection = read_selection(path)
    return lambda plain: require(selection, in_format_3(plain))


def in_format_3(selection: dict[str, Any]) -> dict[str, Any]:
    """A selection as the present format says it, none of whose steps is spelt as in format 1."""
    older = {"views": [], "log_shift": [], "shift": None} if selection.get("version", 1) < 3 else {}
    return {**older, **selection, "version": 3}


def _plan(path: Path) -> Callable[[Any], None]:
    plan = read_plan(path)

    def compare(plain: Any) -> None:
        require(plan, plain)
        assert plan.values["views"][0]["batch_size"] == plain["views"][0]["batch_size"]
        require_bounded(plan)

    return compare


def _dataset(path: Path) -> Callable[[Any], None]:
    workspace = Workspace(path.parent)
    workspace.dataset()  # wherever it says that its files lie, looking for them is no failure
    return _says(workspace.stored_dataset())


def _case(path: Path) -> Callable[[Any], None]:
    stored = CaseFiles(path.parent, path.stem).read()
    image, label = stored.image, stored.label

    def compare(plain: Any) -> None:
        require(stored.footprint, plain["footprint"])
        for name, array in (("image", image), ("label", label)):
            content = path.with_suffix(f".{name}.npy").read_bytes()
            assert hashlib.sha256(content).hexdigest() == plain[f"{name}_sha256"]
            header = int.from_bytes(content[8:10], "little")
            assert array.tobytes() == content[10 + header :]

    return compare


def _epochs(folder: Path, plain: Any) -> list[Any]:
    """Those of a checkpoint: the first lines of a file beside it; of an older format, what it says itself."""
    if isinstance(plain, list):
        return plain
    lines = (folder / "epochs.jsonl").read_bytes().splitlines(keepends=True)[: plain.get("taken", 0)]
    assert hashlib.sha256(b"".join(lines)).hexdigest() == plain.get("sha256", hashlib.sha256().hexdigest())
    return [json.loads(line) for line in lines]


def _checkpoint(path: Path) -> Callable[[Any], None]:
    checkpoint = read_checkpoint(path.parent)
    assert checkpoint is not None

    def compare(plain: Any) -> None:
        assert not plain["state"].get("epochs")
        require(checkpoint.state, {**plain["state"], "epochs": _epochs(path.parent, plain["epochs"])})
        expected = decoded_tensors((path.parent / plain["tensors_file"]).read_bytes())
        require_tensors(checkpoint.tensors, expected)

    return compare


READERS: Final[Mapping[str, Reader]] = {
    "plan": _plan,
    "selection": _selection,
    "dataset": _dataset,
    "splits": lambda path: _says(Workspace(path.parent).stored_splits()),
    "fingerprint": lambda path: _says(FINGERPRINT.read(path)),
    "checkpoint": _checkpoint,
    "case": _case,
    "validation": lambda path: _says(read_record(path.parent.parent)),
}
"""By the folder that holds the document."""


def _sealed(kind: str, content: bytes, generator: Generator) -> bytes:
    """Half of the cases' documents with the digest of their footprint, so that what comes behind it is reached."""
    if kind != "case" or generator.random() < 0.5:
        return content
    try:
        document = json.loads(content)
        document["footprint_sha256"] = canonical_digest(document["footprint"])
        return json.dumps(document).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, KeyError, RecursionError):
        return content


def canonical_digest(document: Any) -> str:
    """SHA-256 of a document in its canonical form."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def literal(content: bytes) -> Any:
    """A JSON document as the format defines it; fails where two readers may understand two things."""
    return json.loads(content.decode("utf-8"), object_pairs_hook=_each_once, parse_constant=_no_number)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    assert len(document) == len(pairs), "a key comes twice"
    return document


def _no_number(name: str) -> None:
    msg = f"{name} is not JSON"
    raise AssertionError(msg)


def require(model: BaseModel, plain: Any) -> None:
    """Fail where a model says something else than a plain document, key by key."""
    _same(model.model_dump(exclude_unset=True), plain, place="")


def _same(value: Any, plain: Any, *, place: str) -> None:
    if isinstance(value, dict):
        assert isinstance(plain, dict), place
        without = {"version"}  # an older format, or none, is read as the present one
        assert {str(key) for key in value} - without == plain.keys() - without, place
        for key, inner in value.items():
            if key not in without:
                _same(inner, plain[str(key)], place=f"{place}.{key}")
    elif isinstance(value, list | tuple):
        assert isinstance(plain, list), place
        assert len(value) == len(plain), place
        for index, (inner, other) in enumerate(zip(value, plain, strict=True)):
            _same(inner, other, place=f"{place}.{index}")
    elif isinstance(value, float) and isinstance(plain, str):
        assert value == _WORDS_FOR_NUMBERS[plain] or (math.isnan(value) and plain == "NaN"), place
    elif isinstance(value, Path):
        assert str(value) == plain, place
    else:
        assert isinstance(value, bool) == isinstance(plain, bool), place
        assert isinstance(value, int | float) == isinstance(plain, int | float), place
        assert value == plain, place


def require_bounded(plan: Plan) -> None:
    """Fail where one step of training a plan's networks would take more memory than there is in any machine.

    Nothing is allocated: tensors without content are passed through the networks, and counted.
    """
    shape = plan.views[0].batch_size, plan.input_channels, *plan.views[0].patch_px
    for architecture in NETWORKS:
        with torch.device("meta"):
            network = build_network(
                architecture, in_channels=plan.input_channels, classes=len(plan.data.classes), size=plan.network
            )
            kept_bytes = 0

            def count(_: nn.Module, __: Any, output: Any) -> None:
                nonlocal kept_bytes
                if isinstance(output, torch.Tensor):
                    kept_bytes += 4 * output.numel()

            for module in network.modules():
                if not list(module.children()):
                    module.register_forward_hook(count)
            network.train()(torch.empty(shape))
        weights_bytes = 16 * sum(parameter.numel() for parameter in network.parameters())
        assert kept_bytes + weights_bytes < _MOST_STEP_BYTES, architecture
    assert plan.training.steps_per_epoch * plan.views[0].batch_size <= 10_000_000


def decoded_tensors(content: bytes) -> Tensors:
    """A safetensors file by hand: eight bytes of length, a JSON header, numbers end to end."""
    length = struct.unpack("<Q", content[:8])[0]
    header, data = literal(content[8 : 8 + length]), content[8 + length :]
    header.pop("__metadata__", None)
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, stop = entry["data_offsets"]
        assert start == end, "tensors overlap, or something lies between them"
        tensors[name] = np.frombuffer(data[start:stop], dtype=_DTYPES[entry["dtype"]]).reshape(entry["shape"])
        end = stop
    assert end == len(data), "something lies behind the tensors"
    return tensors


def require_tensors(tensors: Mapping[str, torch.Tensor], expected: Tensors) -> None:
    """Fail where tensors differ from others in any bit."""
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        assert tuple(tensor.shape) == expected[name].shape, name
        assert tensor.numpy().tobytes() == expected[name].tobytes(), name
