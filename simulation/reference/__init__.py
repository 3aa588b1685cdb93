"""Plain Python statements of the same rules: slow, short, and right by inspection.

They have two uses: tests hold the compiled code to them, result by result, and ``spirals bench`` shows
how much the compiled code gains. They share no code with what they check, only the records of
`spirals.simulation.state`.

- `order_book.py`: price-time priority with dictionaries and lists
"""
