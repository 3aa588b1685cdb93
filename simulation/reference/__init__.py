"""Plain Python statements of the same rules: slow, short, and right by inspection.

They have two uses: tests hold the compiled code to them, result by result, and ``spirals bench`` shows
how much the compiled code gains. They share no code with what they check, only the records of
`spirals.simulation.state`.

- `order_book.py`: price-time priority with dictionaries and lists
- `venue.py`: the step, with `ledger.py`, `margin.py`, `liquidation.py` and `prices.py`; orders are
  dictionaries with the fields of ORDER, money is Python integers
- `random_numbers.py`: the counter-based draws

The traders that go with it are Mesa agents and stand in `spirals.agents.reference`.
"""
