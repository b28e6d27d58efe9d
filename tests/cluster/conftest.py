"""A SLURM for tests, one for each process that runs them."""

from collections.abc import Iterator

import pytest
from oracles.slurm import Slurm, slurm_cluster


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A real SLURM of two emulated nodes; skipped with the reason where there can be none."""
    with slurm_cluster() as cluster:
        yield cluster
