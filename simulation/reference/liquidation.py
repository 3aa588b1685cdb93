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


def close_out(venue: Any, account: Account, round_: int, fund: int) -> tuple[list[Order], list[Liquidation], int]:
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
        lots = lots_to_close(mechanism, held, mark, required, equity, instrument)
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


def lots_to_close(mechanism: Any, held: int, mark: float, required: float, equity: int, instrument: Instrument) -> int:
    """Return how much of a position one liquidation order closes."""
    if mechanism.size == "partial" and held * mark * instrument.lot_size > mechanism.partial_above:
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

    The fee comes first, from what is left; then the fund covers a closed account's deficit; a position
    that neither account nor fund can carry goes to the other side at the bankruptcy price.
    """
    account, i = venue.accounts[record["account"]], record["instrument"]
    fund, position, atom = venue.accounts[FUND_ROW], account.positions[i], venue.instruments[i].atom
    left = venue.equity(account)
    if account.isolated:  # limited liability: what is left of the position's own collateral
        at_mark = abs(record["filled_lots"]) * record["mark"] * venue.instruments[i].lot_size
        slippage = at_mark - record["notional"] if record["filled_lots"] < 0 else record["notional"] - at_mark
        left = min(rounded((record["equity"] - slippage) / atom), account.cash)
    fee = min(rounded(record["notional"] * venue.setup.liquidation.fee_rate / atom), max(left, 0))
    account.cash -= fee
    fund.cash += fee
    record["fee"] = fee * atom
    deficit, cut = 0, []
    if position.lots:
        instrument, mark = venue.instruments[i], venue.markets[i].mark
        equity = unrealised_value(position, mark, instrument) if account.isolated else venue.equity(account)
        if equity + max(fund.cash, 0) < 0:
            deficit = -equity
            value = equity - rounded(position.lots * (mark * lot_value(instrument)))  # leaves exactly nothing
            if venue.setup.waterfall.auto_deleveraging:
                cut = deleverage(venue, account, i, value, record["round"])
            else:
                lots, rate = position.lots, venue.rates[i][0]
                fill(account, i, -lots, value, rate)
                fill(fund, i, lots, -value, rate)
    if account.isolated and position.lots == 0:
        short = max(-position.collateral, 0)
        position.collateral += short
    elif not account.isolated and account.flat:
        short = max(-account.cash, 0)
        account.cash += short
    else:
        short = 0
    fund.cash -= short
    account.bad_debt += deficit + short
    record["bad_debt"] = (deficit + short) * atom
    if account.flat:
        account.status, account.event, account.call_step = Status.CLOSED, -1, -1
    return cut


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
            if gain < 0 and venue.equity(account) + rounded(gain) < 0:
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
    leverage = abs(value) / max(float(equity), 1.0)
    relative = profit / max(abs(float(position.cost)), 1.0)
    return relative * leverage if profit > 0 else relative / max(leverage, 1e-9)
