"""Close-out orders, loss waterfall and auto-deleveraging (compare `spirals.simulation.liquidation`)."""

import math
from typing import Any

from spirals.simulation.contracts import Instrument
from spirals.simulation.reference.ledger import Account, fill, lot_value, rounded, unrealised_value
from spirals.simulation.state import FUND_ROW, Cause, Kind, OrderKind, OrderStatus, Status

__all__ = ["Liquidation", "close_out", "new_order", "settle_liquidation"]

Liquidation = dict[str, Any]
Order = dict[str, int]


def new_order(
    account: int, instrument: int, kind: int, side: int, price_ticks: int, lots: int, **more: int
) -> Order:
    """Return an order as a dictionary with the fields of ORDER."""
    order = dict(
        order_id=-1, target=-1, lots=lots, arrival=0, event=-1, filled_lots=0, resting_lots=0, account=account,
        instrument=instrument, price_ticks=price_ticks, round=0, kind=kind, side=side, reduce_only=0,
        cause=Cause.VOLUNTARY, origin=Kind.TRADER, status=OrderStatus.NEW, reason=0,
    )
    return order | more


def close_out(
    venue: Any, account: Account, round_: int, fund: int, first: bool
) -> tuple[list[Order], list[Liquidation], int]:
    """Return the orders and records of one due account, and what is left of the fund for the next one.

    Everything that rests is cancelled; every position that is short of margin is closed by an IOC. Its
    worst price is the band, but no worse than what the account and the fund can pay for.
    """
    mechanism = venue.setup.liquidation
    account.status = Status.LIQUIDATING
    account.cooldown_step = venue.step_index + round(mechanism.cooldown_seconds / venue.step_seconds)
    common = dict(event=account.event, arrival=venue.setup.engine.latency_us, round=round_,
                  cause=Cause.LIQUIDATION, origin=Kind.LIQUIDATOR)
    orders, records = [], []
    left = account.equity
    for i, position in enumerate(account.positions):
        instrument, mark = venue.instruments[i], venue.markets[i].mark
        if any(o.account == account.row and o.instrument == i for o in venue.book.orders.values()):
            orders.append(new_order(account.row, i, OrderKind.CANCEL_ALL, 0, 0, 0, **common))
        if position.lots == 0:
            continue
        held = abs(position.lots)
        if account.isolated:
            equity = unrealised_value(position, mark, instrument)
            required = venue.rates[i][1] * (held * mark * instrument.lot_size)
            if equity * instrument.atom >= required:
                continue
        else:
            equity, required = left, account.maintenance_margin * instrument.atom
        own = equity if account.isolated else account.equity
        lots = lots_to_close(mechanism, held, mark, required, equity, instrument, first)
        side = -1 if position.lots > 0 else 1
        price = worst_price(side, lots, mark, equity + fund, mechanism.price_band, instrument)
        if price is not None:
            orders.append(new_order(account.row, i, OrderKind.IOC, side, price, lots, reduce_only=1, **common))
            loss = rounded((price * instrument.tick_size - mark) * side * (lots * lot_value(instrument)))
            equity -= max(loss, 0)
            if equity < 0:
                fund, equity = max(0, fund + equity), 0
        left = equity
        records.append(dict(
            event=account.event, step=venue.step_index, round=round_, account=account.row, instrument=i,
            lots=side * lots, filled_lots=0, notional=0.0, mark=mark, equity=own * instrument.atom,
            maintenance=required, bankruptcy_price=mark - own / (position.lots * lot_value(instrument)), fee=0.0,
            bad_debt=0.0,
        ))
    return orders, records, fund


def lots_to_close(mechanism: Any, held: int, mark: float, required: float, equity: int, instrument: Instrument,
                  first: bool) -> int:
    """Return how much of a position one liquidation order closes."""
    if mechanism.size == "partial" and held * mark * instrument.lot_size > mechanism.partial_above and (
            first or not mechanism.then_full):
        return max(1, math.ceil(held * mechanism.fraction))
    if mechanism.size == "to_target" and required > 0 and equity > 0:
        kept = equity * instrument.atom / (mechanism.target_ratio * required)
        return min(held, max(1, math.ceil(held * (1.0 - kept))))
    return held


def worst_price(side: int, lots: int, mark: float, cover: int, band: float, instrument: Instrument) -> int | None:
    """Return the worst price of a close-out [ticks]; None when there is no acceptable one."""
    payable = mark + side * (cover / (lots * lot_value(instrument)))
    highest = instrument.n_ticks - 1
    if side > 0:
        ticks = math.floor(min(mark * (1.0 + band), payable) / instrument.tick_size + 1e-9)
        return min(ticks, highest) if ticks > 0 else None
    ticks = math.ceil(max(mark * (1.0 - band), payable) / instrument.tick_size - 1e-9)
    return max(ticks, 1) if ticks <= highest else None


def settle_liquidation(venue: Any, record: Liquidation) -> list[dict[str, Any]]:
    """Run the waterfall for one liquidation order; return the records of auto-deleveraging.

    A closed account first returns what the fund had advanced to it, then pays the fee, both from what
    is left. Negative equity is paid by the fund, as an advance while the account goes on. What the fund
    cannot pay sends the position to the other side at its bankruptcy price.
    """
    account, i = venue.accounts[record["account"]], record["instrument"]
    fund, position, instrument = venue.accounts[FUND_ROW], account.positions[i], venue.instruments[i]
    atom = instrument.atom
    left = max(left_behind(venue, account, record), 0)
    recovered = 0
    if closed(account, i):
        recovered, account.advance = min(left, account.advance), 0
    fee = min(rounded(record["notional"] * venue.setup.liquidation.fee_rate / atom), left - recovered)
    credit(account, i, -(recovered + fee))
    fund.cash += recovered + fee
    record["fee"] = fee * atom
    deficit, cut = max(-own_equity(venue, account, i), 0), []
    if deficit:
        paid = deficit if closed(account, i) else min(deficit, max(fund.cash, 0))
        fund.cash -= paid
        credit(account, i, paid)
        if not closed(account, i):
            account.advance += paid
            if paid < deficit and position.lots:
                cut = hand_over(venue, account, record, paid - deficit)
    account.bad_debt += deficit - recovered
    record["bad_debt"] = (deficit - recovered) * atom
    if account.flat:
        account.status, account.event, account.call_step = Status.CLOSED, -1, -1
    return cut


def hand_over(venue: Any, account: Account, record: Liquidation, equity: int) -> list[dict[str, Any]]:
    """Close a position at its bankruptcy price against the other side, or the fund when that is not done."""
    i = record["instrument"]
    fund, position, mark = venue.accounts[FUND_ROW], account.positions[i], venue.markets[i].mark
    share = 1.0
    if not account.isolated:
        sizes = [abs(p.lots) * m.mark * c.lot_size
                 for p, m, c in zip(account.positions, venue.markets, venue.instruments, strict=True)]
        whole = 0.0
        for size in sizes:
            whole += size
        share = sizes[i] / whole
    per_lot = lot_value(venue.instruments[i])
    value = max(rounded(equity * share) - rounded(position.lots * (mark * per_lot)),
                -rounded(position.lots * (record["bankruptcy_price"] * per_lot)))
    cut = []
    if venue.setup.waterfall.auto_deleveraging:
        cut = deleverage(venue, account, i, value, record["round"])
    else:
        lots, rate = position.lots, venue.rates[i][0]
        fill(account, i, -lots, value, rate)
        fill(fund, i, lots, -value, rate)
    if closed(account, i):
        short = max(-own_equity(venue, account, i), 0)
        credit(account, i, short)
        fund.cash -= short
        account.advance = 0
    return cut


def closed(account: Account, i: int) -> bool:
    """Tell whether nothing is left to close: an isolated position, or all of an account's."""
    return account.positions[i].lots == 0 if account.isolated else account.flat


def own_equity(venue: Any, account: Account, i: int) -> int:
    """Return what stands behind a position [atoms]: its own equity, or the account's."""
    if account.isolated:
        return unrealised_value(account.positions[i], venue.markets[i].mark, venue.instruments[i])
    return venue.equity(account)


def left_behind(venue: Any, account: Account, record: Liquidation) -> int:
    """Return what this order has left behind the position [atoms]; of an isolated one, never the wallet."""
    i = record["instrument"]
    position, instrument = account.positions[i], venue.instruments[i]
    if not account.isolated or position.lots or position.collateral < 0:
        return own_equity(venue, account, i)
    at_mark = abs(record["filled_lots"]) * record["mark"] * instrument.lot_size
    slippage = at_mark - record["notional"] if record["filled_lots"] < 0 else record["notional"] - at_mark
    return min(rounded((record["equity"] - slippage) / instrument.atom), account.cash)


def credit(account: Account, i: int, amount: int) -> None:
    """Add to what backs a position: collateral while an isolated one is open or short of it, else the wallet."""
    position = account.positions[i]
    if account.isolated and (position.lots or position.collateral < 0):
        position.collateral += amount
    else:
        account.cash += amount


def deleverage(venue: Any, bankrupt: Account, i: int, value: int, round_: int) -> list[dict[str, Any]]:
    """Close a position against opposite ones for `value`, highest rank first; the fund takes the rest."""
    instrument, mark, rate = venue.instruments[i], venue.markets[i].mark, venue.rates[i][0]
    held = bankrupt.positions[i].lots
    opposite = [a for a in venue.accounts if a is not bankrupt and a.positions[i].lots * held < 0]
    opposite.sort(key=lambda a: -rank(a, i, mark, instrument))
    fund = venue.accounts[FUND_ROW]
    price = value / -held                                  # [atoms per lot]
    left, left_value = abs(held), value
    records = []
    for place, account in enumerate([*opposite, fund]):
        if left == 0:
            break
        lots = left if place == len(opposite) else min(left, abs(account.positions[i].lots))
        if account.margined:
            gain = (mark * lot_value(instrument) - price) * (lots if held > 0 else -lots)
            if gain < 0 and own_equity(venue, account, i) + rounded(gain) < 0:
                continue
        part = left_value if lots == left else rounded(value * (lots / abs(held)))
        signed = -lots if held > 0 else lots
        fill(bankrupt, i, signed, part, rate)
        fill(account, i, -signed, -part, rate)
        records.append(dict(
            event=bankrupt.event, step=venue.step_index, round=round_, account=bankrupt.row, counterparty=account.row,
            instrument=i, lots=signed, price=price / lot_value(instrument), mark=mark,
        ))
        left, left_value = left - lots, left_value - part
    return records


def rank(account: Account, i: int, mark: float, instrument: Instrument) -> float:
    """Return profit x effective leverage; a loss is divided by leverage, so that it ranks behind."""
    position = account.positions[i]
    value = position.lots * (mark * lot_value(instrument))
    profit = value - position.cost
    equity = position.collateral + rounded(profit) if account.isolated else account.equity
    leverage = abs(value) / max(float(equity), 1.0) if account.margined else 1.0  # others: as if fully funded
    relative = profit / max(abs(float(position.cost)), 1.0)
    return relative * leverage if profit > 0 else relative / max(leverage, 1e-9)
