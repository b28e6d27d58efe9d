"""ZIP files made to harm: each takes a sound archive's members and corrupts one thing; and others that only look so."""

import hashlib
import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

Members = Mapping[str, bytes]
MANIFEST: Final = "manifest.json"
_CENTRAL, _LOCAL, _END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


class Hostile(NamedTuple):
    """A corrupted archive, and a regular expression for what a reader has to say of it."""

    content: bytes
    refused_as: str


def pack(members: Members, change: Callable[[zipfile.ZipInfo], None] = lambda _: None) -> bytes:
    """A ZIP of members as they should be, whose entries may be changed before they are written."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".safetensors") else zipfile.ZIP_DEFLATED
            change(entry)
            archive.writestr(entry, content)
    return stream.getvalue()


def listed(members: Members, name: str, content: bytes = b"{}") -> Members:
    """Members with one more, or another content of one, which the manifest names, too."""
    manifest = json.loads(members[MANIFEST])
    entry = {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["members"] = [member for member in manifest["members"] if member["name"] != name] + [entry]
    return {**members, name: content, MANIFEST: json.dumps(manifest).encode()}


def hostile_archives(members: Members) -> dict[str, Hostile]:
    """Corrupted archives by what is wrong with them.

    Args:
        members: of a sound one, its manifest included; one is `plan.json`, and some are weights.
    """
    return {
        name: Hostile(*corrupted)
        for corpus in (_not_archives, _contents, _names, _kinds, _headers, _layouts, _ends, _sizes, _manifests)
        for name, corrupted in corpus(members).items()
    }


def harmless_archives(members: Members) -> dict[str, bytes]:
    """Archives with something in them that would harm whoever unpacks them or trusts it; what is read is what was written.

    Args:
        members: as for `hostile_archives`.
    """
    sound = pack(members)
    directory = directory_of(sound)
    gap = sound[:directory] + b"hidden" + sound[directory:]
    kinds = {"a symlink": stat.S_IFLNK, "a device": stat.S_IFBLK, "a pipe": stat.S_IFIFO, "a socket": stat.S_IFSOCK}
    return {
        **{what: _typed(members, kind) for what, kind in kinds.items()},
        "sizes behind the content": _both(sound, 8, "<H", 8),
        "compressed weights": pack(members, lambda entry: setattr(entry, "compress_type", zipfile.ZIP_DEFLATED)),
        "other flags in the header": _every(sound, _LOCAL, 6, "<H", 2),
        "another compression in the header": _every(sound, _LOCAL, 8, "<H", 14),
        "another checksum in the header": _every(sound, _LOCAL, 14, "<I", 1),
        "another packed size in the header": _every(sound, _LOCAL, 18, "<I", 1),
        "another size in the header": _every(sound, _LOCAL, 22, "<I", 1),
        "something in front": b"#!/bin/sh\n" + sound,
        "something between members and directory": _every(gap, _END, 16, "<I", directory + len(b"hidden")),
    }


def directory_of(archive: bytes) -> int:
    """Where the table of contents begins."""
    return archive.find(_CENTRAL)


_Corpus = dict[str, tuple[bytes, str]]


def _not_archives(members: Members) -> _Corpus:
    sound = pack(members)
    return {
        "empty file": (b"", "not an exported model"),
        "text": (b"not an archive at all", "not an exported model"),
        "a pickle": (
            b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
            "not an exported model",
        ),
        "cut in half": (sound[: len(sound) // 2], "cut off"),
        "without its last byte": (sound[:-1], "cut off"),
        "without its end": (sound[:-22], "cut off"),
        "nothing but an end": (sound[-22:], "not an exported model"),
        "an empty ZIP": (pack({}), "manifest.json"),
    }


def _contents(members: Members) -> _Corpus:
    without_plan = {name: content for name, content in members.items() if name != "plan.json"}
    return {
        "no manifest": (pack({name: members[name] for name in members if name != MANIFEST}), "manifest.json"),
        "two manifests": (_duplicate(members, MANIFEST), "two members have one name"),
        "a member too many": (pack({**members, "extra.json": b"{}"}), "does not describe"),
        "a member too few": (pack(without_plan), "does not describe"),
        "a member twice": (_duplicate(members, "plan.json"), "two members have one name"),
        "another content": (pack({**members, "plan.json": b"[" * len(members["plan.json"])}), "has changed"),
    }


def _names(members: Members) -> _Corpus:
    names = {
        "up and out": "../evil.json",
        "up and out, deeper": "models/../../evil.json",
        "an absolute path": "/tmp/evil.json",  # noqa: S108 - nothing is written there
        "a backslash": "models\\evil.json",
        "up and out with backslashes": "..\\evil.json",
        "a drive": "C:evil.json",
        "a hidden file": ".evil.json",
        "an empty part of a path": "models//evil.json",
        "a folder": "models/",
        "no name": "",
        "a newline in a name": "evil\n.json",
        "a newline after a name": "evil.json\n",
        "a name in other letters": "m\u043edel.json",
        "a name that steers a terminal": "\x1b[2J.json",
    }
    corpus = {what: (pack(listed(members, name)), "a name that is not allowed") for what, name in names.items()}
    cut_short = pack(listed(members, "evil.json#.txt")).replace(b"evil.json#", b"evil.json\0")
    return {**corpus, "a name cut short by a zero byte": (cut_short, "a name that is not allowed")}


def _kinds(members: Members) -> _Corpus:
    sound = pack(members)
    return {
        "encrypted": (_both(sound, 8, "<H", 1), "encrypted"),
        "strongly encrypted": (_both(sound, 8, "<H", 0x40), "cannot be read.*encryption"),
        "another compression": (_both(sound, 10, "<H", 14), "compressed in a way"),
        "an unknown compression": (_both(sound, 10, "<H", 99), "compressed in a way"),
        "compressed at once": (
            pack(members, lambda entry: setattr(entry, "compress_type", zipfile.ZIP_LZMA)), "compressed in a way",
        ),
        "for a reader of another time": (_every(sound, _CENTRAL, 6, "<H", 99), "no ZIP archive"),
    }  # fmt: skip


def _headers(members: Members) -> _Corpus:
    """Members whose own header or content is not what the table of contents says."""
    sound = pack(members)
    return {
        "another name in the header": (sound.replace(b"plan.json", b"evil.json", 1), "cannot be read.*differ"),
        "a header that moves the content": (_every(sound, _LOCAL, 28, "<H", 4), "cannot be read"),
        "no header": (sound.replace(_LOCAL, b"PK\x03\x05", 1), "cannot be read"),
        "a wrong checksum": (_both(sound, 16, "<I", 0xDEADBEEF), "cannot be read"),
        "not compressed at all": (_both(_alone(members, _store), 10, "<H", 8), "cannot be read"),
    }


def _layouts(members: Members) -> _Corpus:
    """Members that are not where the table of contents says."""
    sound = pack(members)
    return {
        "members on top of one another": (_overlapping(members), "cannot be read"),
        "offsets beyond the end": (_every(sound, _CENTRAL, 42, "<I", 0x7FFFFFF0), "cannot be read"),
        "a directory that begins too late": (_every(sound, _END, 16, "<I", directory_of(sound) + 9), "cannot be read"),
        "a directory that begins before the file": (_every(sound, _END, 12, "<I", len(sound)), "no ZIP archive"),
        "a packed size beyond the end": (_both(_alone(members), 20, "<I", 5000), "more bytes than the file has"),
    }


def _ends(members: Members) -> _Corpus:
    sound = pack(members)
    many = {**members, **{f"m{index}.json": b"" for index in range(1000)}}
    claim = sound[:-2] + struct.pack("<H", 5)
    return {
        "a comment": (claim + b"hello", "does not end as a ZIP archive"),
        "a comment that is missing": (claim, "does not end as a ZIP archive"),
        "something behind": (sound + b"hello", "does not end as a ZIP archive"),
        "a directory of 4 GB": (_every(sound, _END, 12, "<I", 0xFFFFFFF0), "too many members"),
        "a directory of 2 ** 62 bytes": (_with_end_64(sound, directory_bytes=1 << 62), "too many members"),
        "a directory of nothing": (_with_end_64(sound, directory_bytes=0), "expected a member manifest.json"),
        "many disks": (_with_end_64(sound, disks=7), "no ZIP archive"),
        "half a record for large archives": (_with_end_64(sound, record=b""), "no ZIP archive|cannot be read"),
        "more members than are read": (pack({name: many[name] for name in list(many)[:700]}), "more than 500 members"),
        "members without end": (pack({f"{index:0200}.json": b"" for index in range(700)}), "too many members"),
    }


def _sizes(members: Members) -> _Corpus:
    return {
        "a bomb": (pack(listed(members, "bomb.json", b" " * (32 << 20))), "a document of more than"),
        "a bomb in parts": (pack(_listed_all(members, 17, b" " * (4 << 20))), "documents of more than"),
        "a size of 4 GB": (_both(_alone(members), 24, "<I", 0xFFFFFFF0), "a document of more than"),
        "weights of 2 GB": (_weights_of(members, 0x7FFFFFFF), "weights of more than"),
        "a size of 2 ** 62 bytes": (_with_size_64(members, 1 << 62), "a document of more than"),
        "a size that is missing": (_with_size_64(members, None), "no ZIP archive"),
        "a size of nothing": (_both(_alone(members), 24, "<I", 0), "manifest.json"),
        "another size than packed": (_both(pack(members), 24, "<I", 5), "cannot be read"),
        "a packed size of 2 GB": (_every(_alone(members), _CENTRAL, 20, "<I", 0x7FFFFFFF), "more bytes than the file has"),
        "9 GB of weights": (
            _weights_of(_listed_all(members, 9, b"", ".safetensors"), 1 << 30),
            "more than 8589934592 bytes",
        ),
        "a document that is shorter than it claims": (_overstated(members), "another size than it claims"),
        "a bomb that claims to be small": (_understated(members), "cannot be read|another size"),
    }


def _manifests(members: Members) -> _Corpus:
    def manifest(**changes: Any) -> bytes:
        return pack({**members, MANIFEST: json.dumps({**document, **changes}).encode()})

    def first(**changes: Any) -> bytes:
        return manifest(members=[{**named[0], **changes}, *named[1:]])

    def written(text: bytes) -> bytes:
        return pack({**members, MANIFEST: text})

    document = json.loads(members[MANIFEST])
    named = document["members"]
    return {
        "a manifest that is a list": (written(b"[]"), "not a usable manifest"),
        "a manifest that is no JSON": (written(b"{"), "not a JSON document"),
        "a manifest in no known letters": (written(b"\xff\xfe{}"), "not a JSON document"),
        "half a letter": (
            written(b'{"version": 1, "written_by": "\\ud800", "members": []}'),
            "does not describe|not a usable manifest",
        ),
        "a manifest without end": (written(b"[" * 100_000), "not a JSON document"),
        "a manifest of a million parts": (written(b"[" + b"0," * 1_000_000 + b"0]"), "too many values"),
        "a manifest of a huge number": (written(b'{"version": 1' + b"0" * 5000 + b"}"), "not a JSON document"),
        "a manifest with NaN": (manifest(version=float("nan")), "not a JSON document"),
        "a manifest with infinity": (written(b'{"version": 1e999}'), "not a JSON document"),
        "a manifest of format -1": (manifest(version=-1), "not a usable manifest"),
        "a manifest without members": (written(b'{"version": 1, "written_by": "x"}'), "not a usable manifest"),
        "a manifest that steers a terminal": (manifest(written_by="\x1b[2J"), "steer a terminal"),
        "a manifest that steers another terminal": (manifest(written_by="\x9b2J"), "steer a terminal"),
        "another digest": (first(sha256="0" * 64), "has changed"),
        "no digest": (first(sha256=""), "not a usable manifest"),
        "another size": (first(size=7), "does not describe"),
        "a negative size": (first(size=-7), "not a usable manifest"),
        "half a size": (first(size=7.5), "not a usable manifest"),
        "a member named twice": (manifest(members=[*named, named[0]]), "does not describe"),
        "a manifest that names itself": (manifest(members=[*named, {**named[0], "name": MANIFEST}]), "does not describe"),
        "an unknown key": (manifest(run="rm -rf"), "not a usable manifest"),
        "a newer format": (manifest(version=3, written_by="9.9.9"), "newer autoseg"),
        "a newer format without end": (manifest(version=10**4000, written_by=["x"] * 1000), "newer autoseg"),
    }


def _typed(members: Members, kind: int) -> bytes:
    def change(entry: zipfile.ZipInfo) -> None:
        if entry.filename == "plan.json":
            entry.external_attr = (kind | 0o777) << 16

    return pack(members, change)


def _alone(members: Members, change: Callable[[zipfile.ZipInfo], None] = lambda _: None) -> bytes:
    """The manifest and nothing else: all headers are of one member."""
    return pack({MANIFEST: members[MANIFEST]}, change)


def _store(entry: zipfile.ZipInfo) -> None:
    entry.compress_type = zipfile.ZIP_STORED


def _every(content: bytes, signature: bytes, offset: int, form: str, value: int) -> bytes:
    """The bytes with a field changed in every header of a kind."""
    corrupted = bytearray(content)
    start = corrupted.find(signature)
    while start >= 0:
        struct.pack_into(form, corrupted, start + offset, value)
        start = corrupted.find(signature, start + 4)
    return bytes(corrupted)


def _both(content: bytes, offset: int, form: str, value: int) -> bytes:
    """The same in the table of contents and in the members' own headers, where all lies two bytes further to the front."""
    return _every(_every(content, _CENTRAL, offset, form, value), _LOCAL, offset - 2, form, value)


def _duplicate(members: Members, name: str) -> bytes:
    """One member more, with another's name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, content in {**members, "x": members[name]}.items():
            archive.writestr(zipfile.ZipInfo(member), content)
        archive.filelist[-1].filename = name
    return stream.getvalue()


def _overlapping(members: Members) -> bytes:
    """Every entry of the directory points to the first member: a little file that unfolds to a lot."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for entry in archive.filelist:
            entry.header_offset = 0
    return stream.getvalue()


def _listed_all(members: Members, count: int, content: bytes, suffix: str = ".json") -> Members:
    for index in range(count):
        members = listed(members, f"bomb{index}{suffix}", content)
    return members


def _weights_of(members: Members, size: int) -> bytes:
    """Weights that claim a size, packed and unpacked, in the table of contents."""
    sound = bytearray(pack(members))
    start = sound.find(_CENTRAL)
    while start >= 0:
        name_bytes = sound[start + 28]
        if sound[start + 46 : start + 46 + name_bytes].endswith(b".safetensors"):
            struct.pack_into("<II", sound, start + 20, size, size)
        start = sound.find(_CENTRAL, start + 4)
    return bytes(sound)


def _overstated(members: Members) -> bytes:
    """A document that ends before the size that the table, its own header and the manifest state."""
    content = b" " * 1000
    manifest = json.loads(listed(members, "short.json", content)[MANIFEST])
    manifest["members"][-1]["size"] = 54321
    packed = pack({**members, "short.json": content, MANIFEST: json.dumps(manifest).encode()})
    return packed.replace(struct.pack("<I", 1000), struct.pack("<I", 54321))


def _understated(members: Members) -> bytes:
    """A document that unfolds to a thousand times what the table, its own header and the manifest say."""
    honest = listed(members, "bomb.json", b" " * (1 << 20))
    lying = listed(members, "bomb.json", b" " * (1 << 10))
    content = pack({**honest, MANIFEST: lying[MANIFEST]})
    return content.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 1 << 10))


def _with_size_64(members: Members, size: int | None) -> bytes:
    """The first member's sizes in the extra field for large archives, where there is room for any."""
    extra = struct.pack("<HH", 1, 0) if size is None else struct.pack("<HHQQ", 1, 16, size, size)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
        archive.filelist[0].extra = extra
    corrupted = bytearray(stream.getvalue())
    struct.pack_into("<II", corrupted, corrupted.find(_CENTRAL) + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    return bytes(corrupted)


def _with_end_64(sound: bytes, *, directory_bytes: int | None = None, disks: int = 1, record: bytes | None = None) -> bytes:
    """The archive with the record for large archives, which overrides the plain one, before its end."""
    directory = directory_of(sound)
    entries, true_bytes = struct.unpack("<HI", sound[-12:-6])
    claimed = true_bytes if directory_bytes is None else directory_bytes
    if record is None:
        record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, claimed, directory)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(sound) - 22, disks)
    return sound[:-22] + record + locator + sound[-22:]
