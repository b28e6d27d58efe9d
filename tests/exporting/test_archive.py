import json
import os
import re
import stat
import tracemalloc
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from oracles.hostile_archives import MANIFEST, harmless_archives, hostile_archives, listed, pack

from autoseg.errors import BundleError
from autoseg.exporting import untrusted
from autoseg.exporting.archive import open_archive, write_archive

MEMBERS: Mapping[str, bytes] = {
    "plan.json": b'{"a": 1}\n',
    "models/unet/fold_0/bundle.json": b"{}\n" * 100,
    "models/unet/fold_0/weights-0123.safetensors": np.random.default_rng(0).bytes(5000),
}


def sound(folder: Path) -> Path:
    path = folder / "sound.autoseg"
    write_archive(path, MEMBERS)
    return path


def read(path: Path) -> dict[str, bytes]:
    with open_archive(path) as archive:
        return {name: archive.read(name) for name in archive.names}


def refusal(path: Path) -> BundleError | None:
    try:
        read(path)
    except BundleError as refused:
        return refused
    return None


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    assert read(sound(tmp_path)) == MEMBERS


def test_members_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"12")
    write_archive(tmp_path / "a.autoseg", {"weights.safetensors": tmp_path / "weights"})
    assert read(tmp_path / "a.autoseg") == {"weights.safetensors": b"12"}


def test_the_same_members_give_the_same_bytes(tmp_path: Path) -> None:
    first = sound(tmp_path).read_bytes()
    assert sound(tmp_path).read_bytes() == first


def test_any_unzip_program_can_look_inside(tmp_path: Path) -> None:
    with zipfile.ZipFile(sound(tmp_path)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {*MEMBERS, MANIFEST}


def test_a_member_that_is_not_there_is_named(tmp_path: Path) -> None:
    with open_archive(sound(tmp_path)) as archive, pytest.raises(BundleError, match=r"missing.*nothing\.json"):
        archive.read("nothing.json")


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such file"):
        read(tmp_path / "none.autoseg")


def with_manifest(tmp_path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(sound(tmp_path)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_corpus_is_hostile_by_what_it_corrupts_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "packed.autoseg").write_bytes(pack(with_manifest(tmp_path)))
    assert read(tmp_path / "packed.autoseg") == MEMBERS


def test_every_hostile_archive_is_refused_for_its_reason_and_leaves_nothing(tmp_path: Path) -> None:
    corpus = hostile_archives(with_manifest(tmp_path))
    place = tmp_path / "place"
    place.mkdir()
    path = place / "evil.autoseg"
    wrong = []
    for name, (content, refused_as) in corpus.items():
        path.write_bytes(content)
        refused = refusal(path)
        if refused is None or not re.search(refused_as, refused.message):
            wrong.append(f"{name}: {refused}")
        else:
            assert refused.remedy
            assert "evil.autoseg" in refused.message
            assert refused.message.isprintable()
            assert len(refused.message) < 600
        assert [entry.name for entry in place.iterdir()] == ["evil.autoseg"]
    assert not wrong, "\n".join(wrong)
    assert len(corpus) >= 90
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["place", "sound.autoseg"]


def test_what_only_unpacking_could_harm_is_read_as_it_was_written(tmp_path: Path) -> None:
    corpus = harmless_archives(with_manifest(tmp_path))
    path = tmp_path / "odd.autoseg"
    wrong = []
    for name, content in corpus.items():
        path.write_bytes(content)
        refused = refusal(path)
        if refused is not None or read(path) != MEMBERS:
            wrong.append(f"{name}: {refused}")
    assert not wrong, "\n".join(wrong)
    assert len(corpus) >= 13


def test_a_newer_format_says_which_version_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new.autoseg"
    path.write_bytes(hostile_archives(with_manifest(tmp_path))["a newer format"].content)
    with pytest.raises(BundleError, match=r"newer autoseg.*format 3, written by autoseg 9\.9\.9.*Update"):
        read(path)


def peak_bytes(path: Path) -> int:
    """Most memory held at once while an archive is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(BundleError):
            read(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "name", ["a bomb", "a bomb in parts", "a bomb that claims to be small", "weights of 2 GB", "members without end"]
)
def test_nothing_is_allocated_for_what_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb.autoseg"
    path.write_bytes(hostile_archives(with_manifest(tmp_path))[name].content)
    assert path.stat().st_size < 4 << 20
    assert peak_bytes(path) < 1 << 20


def test_a_document_may_be_long_but_not_full_of_values(tmp_path: Path) -> None:
    path = tmp_path / "full.autoseg"
    path.write_bytes(pack(listed(with_manifest(tmp_path), "plan.json", b"[" + b"0," * 300_001 + b"0]")))
    with open_archive(path) as archive, pytest.raises(BundleError, match=r"plan\.json.*too many values.*300000"):
        archive.read_json("plan.json")


@pytest.mark.parametrize(
    "text",
    [b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}', b"[" * 9999, b"\xff", b'{"a": "\\u001b]0;"}', b'{"\\n": 1}'],
)
def test_a_document_is_plain_json(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "strange.autoseg"
    path.write_bytes(pack(listed(with_manifest(tmp_path), "plan.json", text)))
    with open_archive(path) as archive:
        assert archive.read("plan.json") == text
        with pytest.raises(BundleError, match=r"plan\.json"):
            archive.read_json("plan.json")


def test_archives_beyond_4_gb_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 5300)  # as if that were where the large format begins
    path = sound(tmp_path)
    monkeypatch.undo()
    assert b"PK\6\6" in path.read_bytes()
    assert read(path) == MEMBERS


def test_more_than_is_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.autoseg"
    with pytest.raises(BundleError, match="would be too large: a document"):
        write_archive(path, {"a.json": bytes(17 << 20)})
    monkeypatch.setattr(untrusted, "MAX_TEXT_BYTES", 1000)
    with pytest.raises(BundleError, match="would be too large: documents"):
        write_archive(path, {"a.json": bytes(500), "b.json": bytes(501)})
    with pytest.raises(BundleError, match="would be too large: more than 500 members"):
        write_archive(path, {f"m{index}.json": b"" for index in range(500)})
    assert not list(tmp_path.iterdir())


def test_a_folder_a_pipe_and_a_locked_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.autoseg")
    for path in (tmp_path, tmp_path / "pipe.autoseg"):
        with pytest.raises(BundleError, match="no such file"):
            read(path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = sound(tmp_path)
    monkeypatch.setattr(Path, "open", refuse)  # a file of another owner: tests may run as root, who may read all
    with pytest.raises(BundleError, match=r"cannot be read.*Permission denied"):
        read(path)


def test_members_are_plain_files_that_their_owner_may_write(tmp_path: Path) -> None:
    with zipfile.ZipFile(sound(tmp_path)) as archive:
        entries = archive.infolist()
    assert {(entry.create_system, entry.external_attr >> 16, entry.date_time) for entry in entries} == {
        (3, stat.S_IFREG | 0o644, (1980, 1, 1, 0, 0, 0))
    }
    stored = {entry.filename for entry in entries if entry.compress_type == zipfile.ZIP_STORED}
    assert stored == {"models/unet/fold_0/weights-0123.safetensors"}


def test_any_changed_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    content = sound(tmp_path).read_bytes()
    path = tmp_path / "changed.autoseg"
    dice = np.random.default_rng(1)
    refused = 0
    for _ in range(400):
        place, bit = int(dice.integers(len(content))), 1 << int(dice.integers(8))
        path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        try:
            found = read(path)
        except BundleError:
            refused += 1
        else:
            assert found == MEMBERS  # a date, say
    assert refused > 300


def test_the_manifest_names_every_member(tmp_path: Path) -> None:
    manifest = json.loads(with_manifest(tmp_path)[MANIFEST])
    assert [member["name"] for member in manifest["members"]] == list(MEMBERS)
    assert manifest["version"] == 2
