"""What autoseg's own entries say of themselves."""

import pytest

from autoseg import catalogue


@pytest.mark.parametrize("name", catalogue.LOSSES.built_in)
def test_every_loss_says_what_the_summary_of_a_plan_calls_it(name: str) -> None:
    assert catalogue.LOSSES[name].short


@pytest.mark.parametrize("name", catalogue.NORMALISATIONS.built_in)
def test_every_normalisation_says_what_the_summary_of_a_plan_calls_it_and_why(name: str) -> None:
    assert catalogue.NORMALISATIONS[name].short
    assert catalogue.NORMALISATIONS[name].why
