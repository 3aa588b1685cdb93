"""The venue: one loop of six stages. Knows no agents and no Mesa.

1. market (`market`): last trades, outside world and clock become the `MarketState`.
2. margin policy (`margin`): the `MarketState` becomes the `MarginRequirement`.
3. accounts (`accounts`): ledger and requirement become margin calls and liquidatable accounts.
4. decisions (`spirals.agents`, `liquidation`): what each actor may see becomes orders and liquidation orders.
5. trading (`order_book`): orders in arrival order become trades.
6. settlement (`accounts`, `liquidation`): trades and losses become the ledger, the loss waterfall and a new mark.

The new mark of stage 6 is what stage 1 hands on in the next step: there the loop closes. The step
itself is `Simulation.step` in `simulation.py`; what a run leaves behind is read by `measures`.
"""
