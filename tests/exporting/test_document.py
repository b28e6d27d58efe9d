"""Exported models made by hand: sound ones are read, and such as contradict themselves or mean harm are refused."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.exported_models import BUNDLE, CASE, FOLDER, Members, exported_members

import autoseg
from autoseg.errors import BundleError
from autoseg.exporting.archive import write_archive
from autoseg.exporting.document import describe_exported, read_exported
from autoseg.model.bundle import load_bundle
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.postprocessing.selection import Selection
from autoseg.storage import files


@pytest.fixture
def members(tiny_plan: Plan, tmp_path: Path) -> Members:
    """All parts of an exported model of one network."""
    return exported_members(tiny_plan, tmp_path / "model")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Members], Path]:
    """Seals parts as an archive, with a manifest that is right whatever they hold."""

    def sealed(members: Members) -> Path:
        path = tmp_path / "brain.autoseg"
        write_archive(path, members)
        return path

    return sealed


def weights_file(members: Members) -> str:
    (name,) = (name for name in members if name.endswith(".safetensors"))
    return name


def changed(members: Members, name: str, change: Callable[[dict[str, Any]], object]) -> Members:
    """The parts with one document changed."""
    document = json.loads(members[name])
    change(document)
    return {**members, name: json.dumps(document).encode()}


def refuse(path: Path, what: str, *, also_described: bool = True) -> None:
    """Require that every way in refuses a file, for this reason, and that the file stays as it was and alone."""
    content, beside = path.read_bytes(), sorted(path.parent.rglob("*"))
    for read in (read_exported, describe_exported, autoseg.info):
        if not also_described and read is not read_exported:
            read(path)
            continue
        with pytest.raises(BundleError, match=what) as refused:
            read(path)
        assert "brain.autoseg" in refused.value.message
        assert refused.value.message.isprintable()
        assert len(refused.value.message) < 2000
        assert refused.value.remedy
    assert path.read_bytes() == content
    assert sorted(path.parent.rglob("*")) == beside


def test_what_was_written_is_read(members: Members, write: Callable[[Members], Path], tmp_path: Path) -> None:
    path = write(members)
    model = read_exported(path)
    ((place, bundle),) = model.bundles
    original = load_bundle(tmp_path / "model")
    state = bundle.network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in original.network.state_dict().items())
    assert bundle.document == original.document
    assert place == f"{path} ({FOLDER})"
    description = model.description
    assert description == describe_exported(path)
    assert (description.path, description.plan) == (path, original.document.plan)
    assert description.selection == Selection.model_validate_json(members["selection.json"])
    assert description.fingerprint == Fingerprint.model_validate_json(members["fingerprint.json"])
    with zipfile.ZipFile(path) as archive:
        assert description.digest == files.sha256_bytes(archive.read("manifest.json"))


def test_nothing_need_be_selected(members: Members, write: Callable[[Members], Path]) -> None:
    del members["selection.json"]
    assert read_exported(write(members)).description.selection is None


def test_info_gives_the_digest_of_the_whole_file(members: Members, write: Callable[[Members], Path]) -> None:
    path = write(members)
    result = autoseg.info(path)
    assert result.sha256 == files.sha256_file(path)
    assert result.bytes == path.stat().st_size
    assert result.description == describe_exported(path)


def test_a_missing_part_is_named(members: Members, write: Callable[[Members], Path]) -> None:
    for name in sorted(members.keys() - {"selection.json"}):
        path = write({other: content for other, content in members.items() if other != name})
        refuse(path, rf"(a part is missing.*|other parts than a model has.*){name}")


@pytest.mark.parametrize("name", ["install.json", "PLAN.json", "models/unet/fold_0/more.json"])
def test_a_part_too_many_is_named(members: Members, write: Callable[[Members], Path], name: str) -> None:
    refuse(write({**members, name: b"{}"}), f"other parts than a model has, such as {name}")


def first_case(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["cases"][0].update(changes)


def first_channel(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["cases"][0]["channels"][0]["positive"].update(changes)


def network(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["network"].update(changes)


FINGERPRINT = "the fingerprint is of other data than the plan"
OTHER_PLAN = "the parts belong to different plans"
CHANGED_PLAN = "the plan inside has changed"
CONTRADICTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "another plan": ("plan.json", lambda plan: plan["training"].update(learning_rate=0.5), OTHER_PLAN),
    "a giant plan": ("plan.json", network(features=[1 << 40, 1 << 41]), r"plan\.json.*network\.features"),
    "a network of another plan": (BUNDLE, lambda bundle: bundle.update(plan_digest="0" * 64), CHANGED_PLAN),
    "an edited plan of a network": (
        BUNDLE, lambda bundle: network(features=[8, 16])(bundle["plan"]), CHANGED_PLAN,
    ),
    "a giant plan of a network": (
        BUNDLE, lambda bundle: network(features=[1 << 40, 8])(bundle["plan"]), r"bundle\.json.*plan\.network\.features",
    ),
    "a network of another fold": (BUNDLE, lambda bundle: bundle.update(fold="1"), "not those of the selection"),
    "another network": (BUNDLE, lambda bundle: bundle.update(architecture="unet"), "not those of the selection"),
    "other weights": (BUNDLE, lambda bundle: bundle.update(weights_sha256="0" * 64), "not those of the selection"),
    "weights outside": (BUNDLE, lambda bundle: bundle.update(weights_file="../../etc/passwd"), "weights_file"),
    "weights of the system": (BUNDLE, lambda bundle: bundle.update(weights_file="/etc/passwd"), "weights_file"),
    "a selection of another plan": ("selection.json", lambda it: it.update(plan_digest="0" * 64), OTHER_PLAN),
    "a shift of other classes": (
        "selection.json", lambda it: it.update(log_shift=[0, 0.1, 0.2]), "shifts the prior of other classes",
    ),
    "views that the plan has not": (
        "selection.json", lambda it: it.update(views=["sagittal"]), "looks through other views",
    ),
    "a selection of two": ("selection.json", lambda it: it["models"].append(it["models"][0]), "not those of the selection"),
    "a selection of other weights": (
        "selection.json", lambda it: it["models"][0].update(weights_sha256="0" * 64), "not those of the selection",
    ),
    "a selection of another fold": (
        "selection.json", lambda it: it["models"][0].update(fold="7"), "not those of the selection",
    ),
    "an unknown class cleaned": (
        "selection.json", lambda it: it["postprocessing"][0].update(label=4321), "a class that the plan does not know",
    ),
    "a postprocessing step that is none": (
        "selection.json", lambda it: it["postprocessing"][0].update(type="rm -rf"), r"postprocessing\.0\.type",
    ),
    "a name of its own": ("model.json", lambda it: it.update(name="other"), "named after other data"),
    "scores of nothing": ("model.json", lambda it: it.update(scored_cases={}), "scores and numbers of scored cases"),
    "no network": ("model.json", lambda it: it.update(bundles=[]), "bundles"),
    "a network twice": ("model.json", lambda it: it.update(bundles=[FOLDER, FOLDER]), "a network is listed twice"),
    "a network elsewhere": ("model.json", lambda it: it.update(bundles=["../model"]), "a part is missing"),
    "a newer model": ("model.json", lambda it: it.update(version=2), r"model\.json.*made by a newer autoseg"),
    "an unknown key": ("model.json", lambda it: it.update(run="rm -rf"), r"model\.json.*run"),
    "a picture of a scan": ("fingerprint.json", first_case(dimensions=2), FINGERPRINT),
    "no dimension": ("fingerprint.json", first_case(dimensions=-1), FINGERPRINT),
    "two channels": ("fingerprint.json", first_case(channels=CASE["channels"] * 2), FINGERPRINT),
    "the same axis twice": ("fingerprint.json", first_case(axes=["left-right", "left-right", "left-right"]), FINGERPRINT),
    "no spacing": ("fingerprint.json", first_case(spacing_mm=[0, 1, 1]), FINGERPRINT),
    "a negative spacing": ("fingerprint.json", first_case(spacing_mm=[1, -1, 1]), FINGERPRINT),
    "more voxels than a float can tell": ("fingerprint.json", first_case(class_voxels={"0": 10**400}), FINGERPRINT),
    "fewer voxels than none": ("fingerprint.json", first_case(class_voxels={"0": -1}), FINGERPRINT),
    "a median that divides by nothing": ("fingerprint.json", first_channel(percentile_50=0), FINGERPRINT),
    "no case": ("fingerprint.json", lambda it: it.update(cases=[]), "cases"),
    "terminal characters": ("model.json", lambda it: it.update(name="\x1b[2J"), "steer a terminal"),
    "terminal characters in a key": (BUNDLE, lambda it: it["provenance"].update({"\x9b": ""}), "steer a terminal"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "change", "what"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_parts_that_contradict_one_another_are_refused(
    members: Members,
    write: Callable[[Members], Path],
    name: str,
    change: Callable[[dict[str, Any]], object],
    what: str,
) -> None:
    refuse(write(changed(members, name, change)), what)


def test_networks_lie_where_their_names_say(members: Members, write: Callable[[Members], Path]) -> None:
    del members["selection.json"]  # it would notice first
    refuse(
        write(changed(members, BUNDLE, lambda bundle: bundle.update(fold="1"))),
        r"models/sepres/fold_0 holds 'sepres, fold 1'",
    )
    refuse(
        write(changed(members, BUNDLE, lambda bundle: bundle.update(seed=1))),
        r"models/sepres/fold_0 holds 'sepres, fold 0, seed 1'",
    )


STRANGE: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "no JSON": b"{",
    "no letters": b"\xff\xfe\x00",
    "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
    "deep": b"[" * 1_000_000,
    "deep and closed": b"[" * 900 + b"]" * 900,
    "deep inside": b'{"version": ' + b"[" * 500 + b"]" * 500 + b"}",
    "NaN": b'{"version": NaN}',
    "infinite": b'{"version": 1e999}',
    "a huge number": b'{"version": ' + b"9" * 4400 + b"}",
    "a large number": b'{"version": 1' + b"0" * 4000 + b"}",
    "a negative version": b'{"version": -1}',
    "half a letter": b'{"version": 1, "name": "\\ud800"}',
    "full of values": b'{"version": [' + b"0," * 300_001 + b"0]}",
    "many problems": b'{"version": 1, "cases": [' + b"0," * 20_000 + b'0], "models": [' + b"0," * 20_000 + b"0]}",
}


@pytest.mark.parametrize("name", ["model.json", "plan.json", "fingerprint.json", "selection.json", BUNDLE])
@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
def test_documents_that_are_none_are_refused(
    members: Members, write: Callable[[Members], Path], name: str, text: bytes
) -> None:
    refuse(write({**members, name: text}), name.rpartition("/")[2])


@pytest.mark.parametrize("number", ["NaN", "1e999", "-1e999", '"\\u001b[2J"'])
def test_reasons_hold_nothing_that_cannot_be_shown(members: Members, write: Callable[[Members], Path], number: str) -> None:
    """Values of decisions are free, and no digest covers them."""
    text = (
        members["plan.json"]
        .decode()
        .replace('"decisions": {}', '"decisions": {"a": {"rule": "", "reason": "", "value": %s}}')
    )
    assert read_exported(write({**members, "plan.json": (text % "7").encode()})).description.plan.decisions["a"].value == 7
    refuse(write({**members, "plan.json": (text % number).encode()}), r"plan\.json")


def test_weights_are_read_only_when_they_can_fit(members: Members, write: Callable[[Members], Path]) -> None:
    name = weights_file(members)
    for content in (b"", members[name] + bytes(1 << 20)):
        refuse(write({**members, name: content}), f"do not fit.* file has {len(content)}", also_described=False)


def test_weights_of_another_network_are_refused(members: Members, write: Callable[[Members], Path], tiny_plan: Plan) -> None:
    """Everything agrees, digests included, but for what the plan says the network is."""
    document = tiny_plan.model_dump(mode="json")
    document["network"]["features"] = [4096, 8192]
    giant = Plan.model_validate(document)
    members["plan.json"] = giant.model_dump_json().encode()
    members = changed(members, "selection.json", lambda it: it.update(plan_digest=giant.digest))
    members = changed(members, BUNDLE, lambda it: it.update(plan=giant.model_dump(mode="json"), plan_digest=giant.digest))
    refuse(write(members), "do not fit the network `sepres` of the plan", also_described=False)


def test_one_bit_in_the_weights_is_noticed(members: Members, write: Callable[[Members], Path]) -> None:
    name = weights_file(members)
    corrupted = bytearray(members[name])
    corrupted[-3] ^= 1
    refuse(write({**members, name: bytes(corrupted)}), "have changed.*expected sha256", also_described=False)


def test_what_is_for_people_is_verified_too(members: Members, write: Callable[[Members], Path]) -> None:
    path = write(members)
    content = bytearray(path.read_bytes())
    content[content.find(b"README.txt") + len("README.txt") + 3] ^= 1
    path.write_bytes(content)
    refuse(path, r"README\.txt")


def test_describing_reads_no_weights(members: Members, write: Callable[[Members], Path]) -> None:
    path = write(members)
    content = bytearray(path.read_bytes())
    content[content.find(members[weights_file(members)]) + 200] ^= 1
    path.write_bytes(content)
    refuse(path, "cannot be read|has changed", also_described=False)
