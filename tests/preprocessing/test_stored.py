"""A preprocessed case on disk: what was written is read, and nothing else is taken for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoseg.errors import WorkspaceError
from autoseg.preprocessing.footprint import Footprint
from autoseg.preprocessing.stored import CaseFiles, SliceStack
from autoseg.storage import files

FOOTPRINT = Footprint(
    shape=(5, 7, 6), axes=(0, 1, 2), flipped=(True, False, False), start=(0, 1, 0), stop=(5, 6, 6),
    size_px=(5, 6), spacing_mm=(3.0, 1.0, 1.0), pad_value=(-1.5,),
)  # fmt: skip
IMAGE = np.random.default_rng(0).normal(size=(1, 5, 5, 6)).astype(np.float32)
LABEL = (IMAGE[0] > 0).astype(np.uint8)


@pytest.fixture
def stored(tmp_path: Path) -> CaseFiles:
    case = CaseFiles(tmp_path, "case_0")
    case.write(IMAGE, LABEL, FOOTPRINT)
    return case


def seal(path: Path, **changes: Any) -> None:
    """Change keys of a case's document."""
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | changes), encoding="utf-8")


def open_both(case: SliceStack) -> None:
    """Read image and label map."""
    assert case.image.size
    assert case.label.size


def test_what_was_written_is_read(stored: CaseFiles) -> None:
    case = stored.read()
    np.testing.assert_array_equal(case.image, IMAGE)
    np.testing.assert_array_equal(case.label, LABEL)
    assert case.footprint == stored.footprint() == FOOTPRINT


def test_the_document_says_that_all_is_whole(stored: CaseFiles) -> None:
    assert stored.whole
    stored.document.unlink()
    assert not stored.whole


@pytest.mark.parametrize("name", ["case_0.image.npy", "case_0.label.npy"])
@pytest.mark.parametrize("place", [0, 90, -1])
def test_reading_an_array_notices_a_flipped_bit(name: str, place: int, stored: CaseFiles) -> None:
    path = stored.folder / name
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    case = stored.read()
    for _ in range(2):  # what was refused once is not taken for verified
        with pytest.raises(WorkspaceError, match="has changed") as caught:
            open_both(case)
        assert caught.value.where == str(path)


def test_reading_an_array_notices_that_it_is_missing(stored: CaseFiles) -> None:
    stored.label.unlink()
    case = stored.read()
    with pytest.raises(WorkspaceError, match=r"case_0\.label\.npy: cannot be read .*No such file"):
        open_both(case)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[:40], id="half a header"),
        pytest.param(lambda content: content[:-8], id="cut off"),
        pytest.param(lambda content: b"PK\x03\x04" + content, id="an archive by its first bytes"),
        pytest.param(lambda content: b"text", id="not an array"),
        pytest.param(lambda content: content.replace(b"<f4", b"|O "), id="pickled objects"),
        pytest.param(lambda content: content.replace(b"'descr'", b"'descr("), id="a header that is no dictionary"),
    ],
)
def test_a_damaged_array_is_refused(damage: Callable[[bytes], bytes], stored: CaseFiles) -> None:
    stored.image.write_bytes(damage(stored.image.read_bytes()))
    with pytest.raises(WorkspaceError, match="has changed"):
        open_both(stored.read())
    seal(stored.document, image_sha256=files.sha256_file(stored.image))
    with pytest.raises(WorkspaceError, match="cannot be read") as caught:
        open_both(stored.read())
    assert caught.value.where == str(stored.image)


def test_a_footprint_that_was_moved_is_refused(stored: CaseFiles) -> None:
    """Its label maps would lie one voxel beside the scan."""
    footprint = FOOTPRINT.model_dump(mode="json")
    for key in ("start", "stop"):
        footprint[key] = [side + 1 for side in footprint[key]]
    seal(stored.document, footprint=footprint)
    for question in (stored.read, stored.footprint):
        with pytest.raises(WorkspaceError, match=r"case_0\.json: the footprint has changed.*expected sha256"):
            question()


def test_asking_for_the_footprint_reads_no_arrays(stored: CaseFiles) -> None:
    stored.image.unlink()
    assert stored.footprint() == FOOTPRINT


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"footprint": 1}', "\x00"])
def test_a_damaged_document_is_refused(content: str, stored: CaseFiles) -> None:
    stored.document.write_text(content)
    for question in (stored.read, stored.footprint):
        with pytest.raises(WorkspaceError, match=r"case_0\.json"):
            question()


def test_an_unknown_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="does not exist"):
        CaseFiles(tmp_path, "nobody").read()
