"""Stage 5, trading: orders in, trades out.

`OrderBook` matches in price-time priority, in integer ticks and lots, for several instruments, one compiled
call per batch. It knows accounts only by their row number: positions that reduce-only orders may reduce
are handed in, margin was checked before, settlement comes after.

- `book.py`: the public class and what each kind of order means
- `matching_kernels.py`: the matching rule; `queue_kernels.py`: slots, queues and lists; `levels.py`: next level
- `observe.py`: best prices, depth, cost of a hypothetical order; `records.py`: the arrays
- `invariants.py`: what must always hold; `streams.py`: random order flow for measurements and tests

The plain-Python book with the same rules is `spirals.simulation.reference.order_book`.
"""

from spirals.simulation.order_book.book import OrderBook, RestingOrder

__all__ = ["OrderBook", "RestingOrder"]
