"""L2 files made by hand: a book of steady levels, changes, quotes and trades."""

import json

START = 1_000_000   # ms
TICK = 0.1


class Tape:
    """Writes an L2 file message by message; ids follow on unless told otherwise."""

    def __init__(self):
        self.lines = []
        self.last = 10
        self.trade_id = 0

    def line(self, message):
        self.lines.append(f"{len(self.lines) + 1} {json.dumps(message)}\n")
        return self

    def snapshot(self, bids, asks, ms=0):
        def rows(levels):
            return [[f"{price:.1f}", str(size)] for price, size in levels]

        return self.line({"lastUpdateId": self.last, "T": START + ms, "bids": rows(bids), "asks": rows(asks)})

    def change(self, ms, bids=(), asks=(), skip=0):
        first, before = self.last + 1 + skip, self.last + skip
        self.last = first
        data = {"e": "depthUpdate", "T": START + ms, "s": "X", "U": first, "u": first, "pu": before,
                "b": [[f"{p:.1f}", str(q)] for p, q in bids], "a": [[f"{p:.1f}", str(q)] for p, q in asks]}
        return self.line({"stream": "x@depth", "data": data})

    def quote(self, ms, bid, ask, size=1.0):
        return self.line({"data": {"e": "bookTicker", "s": "X", "T": START + ms, "b": str(bid), "B": str(size),
                                   "a": str(ask), "A": str(size)}})

    def trade(self, ms, price, quantity, buyer_takes=True, skip=0):
        self.trade_id += 1 + skip
        return self.line({"data": {"e": "trade", "s": "X", "T": START + ms, "t": self.trade_id, "p": str(price),
                                   "q": str(quantity), "X": "MARKET", "m": not buyer_takes}})

    def write(self, path):
        path.write_text("".join(self.lines))
        return path


def levels(mid, exponent, side, count=400):
    """Levels every tick whose cumulative size is (distance in ticks)^exponent."""
    return [(round(mid - side * (k + 0.5) * TICK, 1), (k + 1) ** exponent - k**exponent) for k in range(count)]


def steady(seconds=61, exponent=1.0, mid=1000.05):
    """A book that never changes but for one order that comes and goes at the touch, with a trade every half second."""
    tape = Tape().snapshot(levels(mid, exponent, 1), levels(mid, exponent, -1))
    bid, ask = round(mid - TICK / 2, 1), round(mid + TICK / 2, 1)
    tape.quote(0, bid, ask)
    for k in range(10 * seconds):
        if k % 5 == 2:
            tape.trade(100 * k + 90, ask, 0.01)
        tape.change(100 * (k + 1), bids=[(bid, 1.0 + 0.1 * (k % 2))])
        if k % 50 == 0:
            tape.quote(100 * (k + 1), bid, ask)
    return tape
