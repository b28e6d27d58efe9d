"""JSON documents and files of tensors, corrupted at random: the same generator corrupts in the same way.

Half of the mutations know nothing of the format and change bytes; the others change one thing in the tree of values, so
that the result is a document of a kind that a careless hand, or a hostile one, might have written.
"""

import copy
import json
import re
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np

Generator = np.random.Generator

WORDS: Final[tuple[Any, ...]] = (
    0, -1, 1, 2, 3, 7, 255, 65535, 65536, 10**6, 10**9, 2**31, 2**53 + 1, 2**63, 10**30, 10**320, 0.5, 1.0, 2.0, -0.0, 1e-6,
    1e-300, 1e15, 1e308, float("nan"), float("inf"), "", "0", "1", "3", "01", "NaN", "inf", "true", "auto", "none", "full",
    "..", "/", "../../x", "a\0b", "\x1b[2J", "\ud800", "x" * 10_000, True, False, None, (), {}, [0], [0, 0], [[]], [None],
    {"": 0}, {"1": 1},
)  # fmt: skip
"""Values that readers trip over."""

TOKENS: Final = (
    b"NaN", b"-Infinity", b"1e400", b"-1e400", b"1e-400", b"-0", b"0x10", b"01", b"1_000", b"+1", b".5", b"1.", b"1e5",
    b"9007199254740993", b"9007199254740993.0", b"1.00000000000000000001", b"9" * 300, b"9" * 5000, b"true", b"false",
    b"null", b'"1"', b"'1'", b"[]", b"{}", b"[" * 3000, b"[" * 95 + b"]" * 95, b"[" * 150 + b"]" * 150,
    b"[" * 960 + b"]" * 960, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a":1,"a":2}', b"1/**/", b"1,",
    b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xc0\x80"',
)  # fmt: skip
"""What may stand in the place of a value in the text."""

STRAYS: Final = (
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r",
    b"\t",
    b" ",
    b",",
    b":",
    b'"',
    b"\\",
    b"{",
    b"]",
    b"\x1b",
)

_VALUE: Final = re.compile(rb"-?\d[\d.eE+-]*|\btrue\b|\bfalse\b|\bnull\b")
_TWICE: Final = "\u2063"
"""Marks a key that is to come twice; taken out of the text."""


def corrupt_text(content: bytes, generator: Generator) -> bytes:
    """A document with one to three things changed, as bytes or as values."""
    if generator.random() < 0.5:
        return corrupt_bytes(content, generator)
    tree = json.loads(content)
    for _ in range(_few(generator)):
        tree = corrupt_tree(tree, generator)
    text = json.dumps(tree, ensure_ascii=bool(generator.integers(2)), indent=int(generator.integers(3)))
    return text.replace(_TWICE, "").replace("\\u2063", "").encode("utf-8", "surrogatepass")


def corrupt_bytes(content: bytes, generator: Generator) -> bytes:
    """Bytes with one to three spans changed, whatever they mean."""
    for _ in range(_few(generator)):
        content = pick(_ON_BYTES, generator)(content, generator)
    return content


def corrupt_tree(tree: Any, generator: Generator) -> Any:
    """A copy of a tree of JSON values with one of them changed."""
    tree = copy.deepcopy(tree)
    parent, key = _place(tree, generator)
    if parent is None:
        return pick(WORDS, generator)
    pick(_ON_TREES, generator)(parent, key, generator)
    return tree


def corrupt_tensors(content: bytes, generator: Generator) -> bytes:
    """A safetensors file with its header's length, its header, its numbers, or any bytes changed."""
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    way = generator.integers(6)
    if way == 0:
        claimed = pick((0, 1, length - 1, length + 1, length + 8, 2**31, 2**63, 2**64 - 1), generator)
        return struct.pack("<Q", claimed) + content[8:]
    if way == 1:
        return corrupt_bytes(content, generator)
    if way == 2:
        data = corrupt_bytes(data, generator)
    elif way == 3 and data:
        corrupted = bytearray(data)
        struct.pack_into("<f", corrupted, 4 * int(generator.integers(len(data) // 4)), pick((0.0, -1.5, 1e38), generator))
        data = bytes(corrupted)
    else:
        header = corrupt_text(header, generator) if way == 4 else _corrupt_entry(header, generator)
    return struct.pack("<Q", len(header)) + header + data


def pick(choices: Any, generator: Generator) -> Any:
    """One of several."""
    return choices[int(generator.integers(len(choices)))]


def _few(generator: Generator) -> int:
    return 1 + int(generator.random() < 0.3) + int(generator.random() < 0.1)


def _span(content: bytes, generator: Generator) -> tuple[int, int]:
    start = int(generator.integers(len(content) + 1))
    return start, min(start + int(generator.geometric(0.1)), len(content))


def _flip(content: bytes, generator: Generator) -> bytes:
    corrupted = bytearray(content)
    if corrupted:
        corrupted[int(generator.integers(len(corrupted)))] ^= 1 << int(generator.integers(8))
    return bytes(corrupted)


def _delete(content: bytes, generator: Generator) -> bytes:
    start, stop = _span(content, generator)
    return content[:start] + content[stop:]


def _insert(content: bytes, generator: Generator) -> bytes:
    start, _ = _span(content, generator)
    return content[:start] + pick(STRAYS, generator) * int(generator.geometric(0.5)) + content[start:]


def _truncate(content: bytes, generator: Generator) -> bytes:
    return content[: int(generator.integers(len(content) + 1))]


def _repeat(content: bytes, generator: Generator) -> bytes:
    start, stop = _span(content, generator)
    return content[:stop] + content[start:stop] + content[stop:]


def _repeat_line(content: bytes, generator: Generator) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        number = int(generator.integers(len(lines)))
        lines.insert(int(generator.integers(len(lines))), lines[number])
    return b"".join(lines)


def _splice(content: bytes, generator: Generator) -> bytes:
    (one, _), (other, _) = _span(content, generator), _span(content, generator)
    return content[:one] + content[other:]


def _retell(content: bytes, generator: Generator) -> bytes:
    """Another text in the place of a number or a word."""
    found = list(_VALUE.finditer(content))
    if not found:
        return content
    place = pick(found, generator)
    return content[: place.start()] + pick(TOKENS, generator) + content[place.end() :]


_ON_BYTES: Final = (_flip, _delete, _insert, _truncate, _repeat, _repeat_line, _splice, _retell, _retell, _retell)


def _place(tree: Any, generator: Generator) -> tuple[Any, Any]:
    """A container inside a tree and a key of it; by random steps down, so that long lists do not draw all attention."""
    parent, key, here = None, None, tree
    while isinstance(here, dict | list) and here and (parent is None or generator.random() < 0.8):
        keys = list(here) if isinstance(here, dict) else range(len(here))
        parent, key = here, pick(keys, generator)
        here = parent[key]
    return parent, key


def _replace(parent: Any, key: Any, generator: Generator) -> None:
    parent[key] = copy.deepcopy(pick(WORDS, generator))


def _nudge(parent: Any, key: Any, generator: Generator) -> None:
    """Another number of the same type, or another type of the same number."""
    value = parent[key]
    if isinstance(value, int | float):
        near = max(min(value, 2**60), -(2**60))  # beyond, a whole number may have no float
        parent[key] = pick(
            (value + 1, -value, 2 * value, 10**4 * value, value % 3, bool(value), str(value), float(near), [value]),
            generator,
        )
    else:
        _replace(parent, key, generator)


def _remove(parent: Any, key: Any, generator: Generator) -> None:
    del parent[key]


def _add(parent: Any, key: Any, generator: Generator) -> None:
    if isinstance(parent, dict):
        parent[str(pick((*WORDS[:10], "version", "name", "value", "__class__"), generator))] = pick(WORDS, generator)
    else:
        parent.insert(key, copy.deepcopy(pick((*WORDS, parent[key]), generator)))


def _name_twice(parent: Any, key: Any, generator: Generator) -> None:
    """The same key again, before or after, with another value or the same."""
    if not isinstance(parent, dict):
        _lengthen(parent, key, generator)
        return
    value = parent[key] if generator.random() < 0.2 else pick(WORDS, generator)
    again = {f"{_TWICE}{key}": value}
    entries = {**again, **parent} if generator.random() < 0.5 else {**parent, **again}
    parent.clear()
    parent.update(entries)


def _rename(parent: Any, key: Any, generator: Generator) -> None:
    if isinstance(parent, dict):
        spelt = (f"0{key}", f" {key}", f"{key}.0", f"+{key}", key.upper(), f"{key}_", key[:-1])
        parent[pick(spelt, generator)] = parent.pop(key)


def _swap(parent: Any, key: Any, generator: Generator) -> None:
    other = pick(list(parent) if isinstance(parent, dict) else range(len(parent)), generator)
    parent[key], parent[other] = parent[other], parent[key]


def _lengthen(parent: Any, key: Any, generator: Generator) -> None:
    if isinstance(parent[key], list):
        parent[key] = parent[key] * pick((2, 3, 100), generator)
    elif isinstance(parent, list):
        parent.extend([parent[key]] * pick((1, 2, 100), generator))


def _shorten(parent: Any, key: Any, generator: Generator) -> None:
    if isinstance(parent[key], list):
        del parent[key][int(generator.integers(len(parent[key]) + 1)) :]


_Change = Callable[[Any, Any, Generator], None]
_ON_TREES: Final[tuple[_Change, ...]] = (
    _replace, _replace, _nudge, _nudge, _nudge, _remove, _add, _name_twice, _rename, _swap, _lengthen, _shorten,
)  # fmt: skip


def _corrupt_entry(header: bytes, generator: Generator) -> bytes:
    """What a file of tensors says of one of them."""
    tree = json.loads(header)
    name = pick(sorted(tree), generator)
    other = pick(sorted(tree), generator)
    entry = tree[name]
    numbers = (0, 1, 4, 8, 2**31, 2**62, 2**63, 2**64, -1)
    way = int(generator.integers(6))
    if way == 0:
        entry["dtype"] = pick(
            ("F64", "F16", "BF16", "I64", "I32", "U8", "BOOL", "F8_E4M3", "F4", "C64", "X", "f32"), generator
        )
    elif way == 1:
        entry["shape"] = pick(
            ([], [0], [1], [*entry["shape"], 1], entry["shape"][::-1], [pick(numbers, generator)] * 2), generator
        )
    elif way == 2:
        entry["data_offsets"][int(generator.integers(2))] = pick(numbers, generator)
    elif way == 3:
        entry["data_offsets"] = tree[other]["data_offsets"]
    elif way == 4:
        tree[name], tree[other] = tree[other], tree[name]
    else:
        tree["__metadata__"] = pick(({}, {"format": "pt"}, {"a": 1}, [], None), generator)
    text = json.dumps(tree)
    return text.encode() + b" " * int(generator.integers(9))
