"""What must hold in a book between two events, recomputed in plain Python from the queues alone."""

from collections import Counter
from typing import Any

from numpy.typing import NDArray

from spirals.simulation.order_book.queue_kernels import FREE, LIVE, USED
from spirals.simulation.order_book.records import NONE, SLOT_MASK

__all__ = ["check_book"]


def check_book(arrays: dict[str, NDArray[Any]]) -> None:
    """Raise AssertionError, saying what differs, unless the state of a book is consistent.

    Parameters
    ----------
    arrays : dict of ndarray
        As returned by ``OrderBook.arrays``.
    """
    slots, pool = arrays["slots"], arrays["pool"]
    queued: list[int] = []
    for instrument in range(len(arrays["tops"])):
        queued += _check_instrument(arrays, instrument)
    _expect(len(queued) == len(set(queued)), "an order stands in two queues")
    _expect(len(queued) == pool[LIVE], f"{len(queued)} orders are queued, the pool counts {pool[LIVE]}")
    _check_owners(arrays, queued)
    free = _chain(slots, int(pool[FREE]), "next")
    _expect(sorted(free + queued) == list(range(1, int(pool[USED]))), "a slot is neither free nor queued, or both")
    for slot in free:
        _expect(slots[slot]["lots"] == 0, f"free slot {slot} holds {slots[slot]['lots']} lots")
    for slot in free + queued:
        _expect(slots[slot]["order_id"] & SLOT_MASK == slot, f"slot {slot} has id {slots[slot]['order_id']}")


def _expect(holds: Any, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _chain(slots: NDArray[Any], head: int, link: str) -> list[int]:
    """Return the slots of a linked list."""
    found: list[int] = []
    while head != NONE:
        found.append(head)
        _expect(len(found) <= len(slots), f"the list along {link!r} has a loop")
        head = int(slots[head][link])
    return found


def _check_instrument(arrays: dict[str, NDArray[Any]], instrument: int) -> list[int]:
    """Check levels, tree and best prices of one instrument; return its queued slots."""
    slots, top = arrays["slots"], arrays["tops"][instrument]
    n_ticks, start = int(top["n_ticks"]), int(top["level_start"])
    ladder = arrays["ladder"][start : start + n_ticks]
    prices: dict[int, list[int]] = {1: [], -1: []}
    queued: list[int] = []
    for tick in (int(t) for t in range(n_ticks) if ladder[t]["head"] != NONE):
        queue = _chain(slots, int(ladder[tick]["head"]), "next")
        where = f"instrument {instrument}, tick {tick}"
        _expect(ladder[tick]["tail"] == queue[-1], f"{where}: the tail is not the last order")
        previous = NONE
        for slot in queue:
            row = slots[slot]
            _expect(row["lots"] > 0, f"{where}: slot {slot} rests with {row['lots']} lots")
            at_home = row["price_ticks"] == tick and row["instrument"] == instrument
            _expect(at_home, f"{where}: slot {slot} is misplaced")
            _expect(row["previous"] == previous, f"{where}: slot {slot} links back to {row['previous']}")
            previous = slot
        total = sum(int(slots[slot]["lots"]) for slot in queue)
        _expect(ladder[tick]["lots"] == total, f"{where}: level total {ladder[tick]['lots']}, orders have {total}")
        sides = {int(slots[slot]["side"]) for slot in queue}
        _expect(len(sides) == 1, f"{where}: both sides rest at one price")
        prices[sides.pop()].append(tick)
        queued += queue
    empty = ladder[ladder["head"] == NONE]
    clean = not empty["lots"].any() and not empty["tail"].any()
    _expect(clean, f"instrument {instrument}: an empty level is not clean")
    best_bid = max(prices[1], default=0)
    best_ask = min(prices[-1], default=n_ticks)
    _expect(best_bid < best_ask, f"instrument {instrument}: crossed, bid {best_bid}, ask {best_ask}")
    _expect(top["best_bid"] == best_bid, f"instrument {instrument}: best bid {top['best_bid']}, is {best_bid}")
    _expect(top["best_ask"] == best_ask, f"instrument {instrument}: best ask {top['best_ask']}, is {best_ask}")
    _check_tree(arrays["words"], top, prices[1] + prices[-1], f"instrument {instrument}")
    return queued


def _check_tree(words: NDArray[Any], top: Any, ticks: list[int], where: str) -> None:
    """Rebuild the tree of non-empty levels row by row."""
    start, length, places = int(top["word_start"]), int(top["n_words"]), set(ticks)
    while True:
        expected = [0] * length
        for place in places:
            expected[place >> 6] |= 1 << (place & 63)
        _expect([int(w) for w in words[start : start + length]] == expected, f"{where}: the tree of levels is wrong")
        if length == 1:
            return
        places = {place >> 6 for place in places}
        start, length = start + length, (length + 63) // 64


def _check_owners(arrays: dict[str, NDArray[Any]], queued: list[int]) -> None:
    """Check every account's list and totals against the queued orders."""
    slots, resting = arrays["slots"], arrays["resting"]
    lots: Counter[tuple[int, int, int]] = Counter()
    owned: dict[tuple[int, int], set[int]] = {}
    for slot in queued:
        row = slots[slot]
        key = int(row["account"]), int(row["instrument"])
        lots[(*key, int(row["side"]))] += int(row["lots"])
        owned.setdefault(key, set()).add(slot)
    n_accounts, n_instruments = resting.shape
    for account in range(n_accounts):
        for instrument in range(n_instruments):
            row = resting[account, instrument]
            where = f"account {account}, instrument {instrument}"
            for side, name in ((1, "buy_lots"), (-1, "sell_lots")):
                total = lots[account, instrument, side]
                _expect(row[name] == total, f"{where}: {name} {row[name]}, orders have {total}")
            chain = _chain(slots, int(row["head"]), "owner_next")
            own = owned.get((account, instrument), set())
            _expect(set(chain) == own and row["orders"] == len(chain), f"{where}: the list of own orders is wrong")
            back = [int(slots[slot]["owner_previous"]) for slot in chain]
            _expect(back == [NONE, *chain][: len(chain)], f"{where}: the list of own orders does not link back")
