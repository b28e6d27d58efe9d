from pathlib import Path

import pytest

from autoseg.data.dataset import Dataset
from autoseg.data.splits import Fold, Splits
from autoseg.errors import UsageError
from autoseg.workspace import fold_of

DATASET = Dataset(name="d", root=Path("/d"), layout="ibsr18", channels=("T1",), classes=None, cases=())
FOLDS = (Fold(training=("b",), validation=("a",)), Fold(training=("a",), validation=("b",)))


def test_a_number_names_its_fold() -> None:
    assert fold_of(Splits(folds=FOLDS, official=None), DATASET, "1") == FOLDS[1]


@pytest.mark.parametrize("fold", ["2", "-1", "00", "01", "\u00b2", "\u0661", "", "first"])
def test_there_is_one_way_to_write_a_fold(fold: str) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        fold_of(Splits(folds=FOLDS, official=None), DATASET, fold)
