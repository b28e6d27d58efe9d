import pickle

from autoseg.formats.remarks import Remark, doubts, note_about, remarks

NOTES = ("no orientation", Remark("copies are left out"))


def test_remarks_are_no_doubts_also_from_another_process() -> None:
    for notes in (NOTES, pickle.loads(pickle.dumps(NOTES))):  # noqa: S301 - its own
        assert (doubts(notes), remarks(notes)) == (NOTES[:1], NOTES[1:])


def test_a_note_stays_what_it_is_where_its_file_is_named() -> None:
    named = tuple(note_about("a.nii", note) for note in NOTES)
    assert named == ("a.nii: no orientation", "a.nii: copies are left out")
    assert doubts(named) == named[:1]
