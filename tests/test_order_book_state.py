"""State of the book: copied, restored, bounded, checked; same inputs, same bytes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from order_book_support import Venue, instrument, orders_from, sent

from spirals.simulation.errors import InputError
from spirals.simulation.order_book import OrderBook
from spirals.simulation.order_book.records import LEVEL, RESTING, SLOT
from spirals.simulation.order_book.streams import measure_events, random_orders
from spirals.simulation.randomness import generator
from spirals.simulation.state import OrderKind, OrderStatus, hash_arrays


def grown_book(seed=0, n=3000, capacity=16):
    """A book of two instruments in the middle of a random flow, with its positions."""
    book = OrderBook([instrument(500, "X"), instrument(900, "Y")], 20, capacity)
    positions = np.zeros((20, 2), np.int64)
    draws = generator(seed, "test.state")
    for _ in range(n // 100):
        book.match(random_orders(draws, 100, book, 250), np.arange(100), positions)
    return book, positions


def continued(book, positions, seed=9):
    """Digest of everything that follows from the state: trades, results, final arrays."""
    draws = generator(seed, "test.state.more")
    record = {}
    for k in range(10):
        orders = random_orders(draws, 100, book, 250)
        record[f"trades {k}"] = book.match(orders, np.arange(100), positions).copy()
        record[f"orders {k}"] = orders
    book.check()
    return hash_arrays({**record, **book.arrays(), "positions": positions})


def test_same_orders_give_the_same_ids_trades_and_bytes():
    assert continued(*grown_book()) == continued(*grown_book())
    assert continued(*grown_book()) != continued(*grown_book(seed=1))


def test_kernels_run_as_plain_python_give_the_same_bytes():
    program = "import test_order_book_state as t; print(t.continued(*t.grown_book()))"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == continued(*grown_book())


def test_bytes_do_not_depend_on_the_memory_taken_at_the_start():
    assert continued(*grown_book(capacity=1)) == continued(*grown_book(capacity=10000))


@pytest.mark.parametrize("used", [False, True])
def test_copy_continues_bit_for_bit_and_apart_from_its_source(used):
    book, positions = grown_book()
    twin = grown_book(seed=3, n=9000)[0] if used else OrderBook(book.instruments, 20, capacity=1)
    book.copy_into(twin)
    assert hash_arrays(twin.arrays()) == hash_arrays(book.arrays())
    before = hash_arrays(book.arrays())
    first = continued(twin, positions.copy())
    assert hash_arrays(book.arrays()) == before
    assert continued(book, positions.copy()) == first


def test_saved_arrays_restore_the_book_in_the_middle_of_the_flow(tmp_path):
    book, positions = grown_book()
    np.savez(tmp_path / "book.npz", **book.arrays())
    expected = continued(book, positions.copy())
    with np.load(tmp_path / "book.npz", allow_pickle=False) as saved:
        book.restore(dict(saved))
    assert continued(book, positions.copy()) == expected


def test_state_of_another_market_is_refused_and_changes_nothing():
    book, _ = grown_book()
    before = hash_arrays(book.arrays())
    other = OrderBook([instrument(500)], 20)
    with pytest.raises(InputError) as error:
        book.restore(other.arrays())
    assert {line.split("'")[1] for line in error.value.problems} == {"ladder", "words", "tops", "resting"}
    with pytest.raises(InputError, match="lacks 'pool'"):
        book.restore({name: a for name, a in book.arrays().items() if name != "pool"})
    assert hash_arrays(book.arrays()) == before


def test_memory_stays_bounded_under_endless_submit_and_cancel():
    venue = Venue(n_accounts=4, book=OrderBook([instrument()], 4, capacity=8))
    book, positions = venue.book, venue.positions
    submit = orders_from([sent(k % 4, "buy", 1 + k, 100 + k) for k in range(20)])
    cancel = orders_from([{"account": k % 4, "kind": OrderKind.CANCEL} for k in range(20)])
    sizes = set()
    for _ in range(500):
        batch = submit.copy()
        book.match(batch, np.arange(20), positions)
        assert (batch["status"] == OrderStatus.RESTING).all()
        withdrawal = cancel.copy()
        withdrawal["target"] = batch["order_id"]
        book.match(withdrawal, np.arange(20)[::-1], positions)
        assert (withdrawal["status"] == OrderStatus.CANCELLED).all()
        sizes.add(sum(a.nbytes for a in book.arrays().values()))
    assert len(sizes) == 1 and book.n_orders == 0
    assert len(book.slots) <= 64 and len(book._trades) <= 128
    book.check()


def test_memory_is_16_bytes_per_tick_and_one_cache_line_per_order():
    assert (LEVEL.itemsize, SLOT.itemsize, RESTING.itemsize) == (16, 64, 24)
    book = OrderBook([instrument(100_001)], 1)
    assert book.ladder.nbytes + book.words.nbytes < 17 * 100_001
    assert book.slots.ctypes.data % 64 == 0


def test_pool_grows_by_as_much_as_one_batch_needs():
    venue = Venue(book=OrderBook([instrument()], 10, capacity=1))
    orders = venue.send(*[sent(k % 10, "buy", 1, 100) for k in range(300)])
    assert (orders["status"] == OrderStatus.RESTING).all() and venue.book.n_orders == 300
    venue.market(1, "sell", 300)  # 270 fills; the 30 own orders are cancelled
    assert len(venue.fills) == 270 and venue.book.n_orders == 0


def corrupt(book, what):
    top = book.tops[0]
    level = book.ladder[top["level_start"] + top["best_bid"]]
    slot = book.slots[level["head"]]
    if what == "best bid":
        top["best_bid"] -= 1
    elif what == "best ask":
        top["best_ask"] += 1
    elif what == "level total":
        level["lots"] += 1
    elif what == "tree of levels":
        book.words[top["word_start"]] ^= np.uint64(2)
    elif what == "buy_lots":
        book.resting[slot["account"], 0]["buy_lots"] += 1
    elif what == "list of own orders":
        book.resting[slot["account"], 0]["orders"] += 1
    elif what == "misplaced":
        slot["price_ticks"] += 1
    elif what == "the pool counts":
        book.pool[2] += 1
    elif what == "neither free nor queued":
        book.pool[1] = 0


@pytest.mark.parametrize("what", [
    "best bid", "best ask", "level total", "tree of levels", "buy_lots", "list of own orders", "misplaced",
    "the pool counts", "neither free nor queued",
])
def test_check_finds_every_kind_of_damage(what):
    book, _ = grown_book()
    book.check()
    corrupt(book, what)
    with pytest.raises(AssertionError, match=what):
        book.check()


def test_speed_measurement_returns_a_rate():
    assert measure_events(2000, batch=500, steady_orders=200, n_accounts=50) > 0
