"""Order of play: earlier first, ties by account hash, one account's orders as sent."""

import numpy as np
import pytest

from spirals.simulation.arrival import SLOTS, arrival_sequence
from spirals.simulation.randomness import stream_key
from spirals.simulation.state import ORDER

STEP_US = 1_000_000


def played(accounts, arrivals, step=3):
    orders = np.zeros(len(accounts), ORDER)
    orders["account"], orders["arrival"] = accounts, arrivals
    sequence, work = np.zeros(len(accounts), np.int64), np.zeros((3, len(accounts)), np.int64)
    arrival_sequence(orders, len(accounts), STEP_US, stream_key(1, "tie"), step, sequence, work)
    return sequence


@pytest.mark.parametrize("n", [0, 1, 300, 5000])
def test_every_order_is_played_once_and_none_before_an_earlier_slot(n):
    arrivals = np.random.default_rng(n).integers(0, STEP_US, n)
    sequence = played(np.arange(n), arrivals)
    assert sorted(sequence) == list(range(n))
    assert (np.diff(arrivals[sequence] * SLOTS // STEP_US) >= 0).all()


def test_orders_of_one_account_at_one_time_keep_the_order_in_which_they_were_sent():
    accounts = np.tile(np.arange(40), 5)
    sequence = played(accounts, np.full(200, 500))
    for account in range(40):
        rows = sequence[accounts[sequence] == account]
        assert (np.diff(rows) > 0).all()


def test_who_goes_first_of_two_does_not_depend_on_who_else_is_there_and_changes_with_the_step():
    small, large = played(np.arange(100), np.zeros(100, int)), played(np.arange(2000), np.zeros(2000, int))
    assert small.tolist() == [row for row in large.tolist() if row < 100]
    assert small.tolist() != played(np.arange(100), np.zeros(100, int), step=4).tolist()
