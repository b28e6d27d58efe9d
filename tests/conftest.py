"""What many tests share: a small synthetic cohort on disk and a plan small enough to train in seconds."""

from pathlib import Path

import pytest
import torch

from autoseg.data.phantom import PhantomSettings, write_cohort

SMALL = (40, 24, 40)
"""Shape (Z, Y, X) of the scans most tests use: large enough for every class, small enough for seconds."""


@pytest.fixture(scope="session", autouse=True)
def _single_thread() -> None:
    """Networks of a few hundred weights are slower on several threads, above all on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labelled training scans, two labelled validation scans and one test scan, in the IBSR18 layout."""
    root = tmp_path_factory.mktemp("data") / "IBSR18"
    write_cohort(root, PhantomSettings(training=4, validation=2, test=1, shape=SMALL))
    return root
