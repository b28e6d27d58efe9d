"""Corrupted documents, by the hundred: each is refused with a cure, or says exactly what is written."""

from pathlib import Path

import pytest
from oracles.bounded_runs import amounts, require_outcomes
from oracles.decoded_documents import READERS, ReadDocuments


@pytest.mark.parametrize(("seed", "count"), amounts(20_260, default=200, gate=400, slow=50_000))
def test_corrupted_documents_are_refused_or_say_what_is_written(documents: Path, seed: int, count: int) -> None:
    require_outcomes(
        ReadDocuments(documents, seed), count=count, kinds=READERS, refused=3 * len(READERS), accepted=50 * len(READERS)
    )
