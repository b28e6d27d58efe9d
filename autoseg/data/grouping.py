"""Cases that belong together: what may never be on both sides of a split."""

from collections.abc import Collection, Iterable

from autoseg.data.dataset import Case


def group_cases(cases: Iterable[Case], *, together: Iterable[Collection[str]] = ()) -> dict[str, str]:
    """The group of each case: its subject, and every subject that is tied to it.

    Args:
        cases: their subjects stay whole.
        together: ids of cases that belong together whatever their subjects, such as one scan under several ids; what is tied
            to the same third is tied. Ids of other cases are skipped.

    Returns:
        case id to the name of its group: the first by name of the subjects in it, which is the subject itself where nothing
        is tied to it. Of the same cases it is always the same, in whatever order they come.
    """
    subjects = {case.id: case.subject for case in cases}
    group_of = {subject: subject for subject in subjects.values()}
    for ids in together:
        tied = {group_of[subjects[one]] for one in ids if one in subjects}
        if len(tied) > 1:
            first = min(tied)
            group_of = {subject: first if group in tied else group for subject, group in group_of.items()}
    return {one: group_of[subject] for one, subject in subjects.items()}
