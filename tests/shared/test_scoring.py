"""Weights that a company may set, and those that make no sense."""

import math

import pytest

from shared.scoring import DEFAULT, Field, Rules, Weight, WeightsRefused, rules_of


def test_weights_above_zero_make_the_rules_in_one_order() -> None:
    weights = [Weight("event", "deal.won", 50), Weight("quiz", "", 0), Weight("progress", "", 1.5)]
    assert rules_of(weights) == Rules(
        (Weight("progress", "", 1.5), Weight("event", "deal.won", 50))
    )
    assert rules_of(weights).points("progress") == 1.5
    assert rules_of(weights).points("quiz") == 0
    assert rules_of(weights).events() == {"deal.won": 50}


def test_without_weights_of_its_own_a_company_counts_progress() -> None:
    assert DEFAULT.weights == (Weight("progress", "", 1),)


@pytest.mark.parametrize(
    ("weight", "problem"),
    [
        (Weight("progress", "", -1), "negative"),
        (Weight("progress", "", math.nan), "number"),
        (Weight("progress", "", math.inf), "number"),
        (Weight("progress", "", 1e9), "at most"),
        (Weight("module", "deal.won", 1), "no event type"),
        (Weight("event", " ", 1), "Name an event type"),
        (Weight("event", "deal\0won", 1), "no event type"),
        (Weight("luck", "", 1), "no kind"),
    ],
)
def test_a_weight_that_makes_no_sense_is_refused_at_its_field(weight: Weight, problem: str) -> None:
    with pytest.raises(WeightsRefused) as refused:
        rules_of([Weight("course", "", 1), weight])
    (field,) = refused.value.problems
    assert field == Field(weight.kind, weight.event_type)
    assert problem in refused.value.problems[field]


def test_the_same_weight_twice_is_refused() -> None:
    with pytest.raises(WeightsRefused, match="twice"):
        rules_of([Weight("event", "deal.won", 1), Weight("event", "deal.won", 2)])


def test_rules_in_which_nothing_scores_are_refused() -> None:
    with pytest.raises(WeightsRefused, match="above 0"):
        rules_of([Weight("progress", "", 0)])
