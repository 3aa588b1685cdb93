"""The venue: one loop of six stages. Knows no agents and no Mesa.

| stage           | folder                              | turns                           | into                                |
|-----------------|-------------------------------------|---------------------------------|-------------------------------------|
| 1 market        | `simulation/market`                 | trades, outside world, clock    | `MarketState`                       |
| 2 margin policy | `simulation/margin`                 | `MarketState`                   | `MarginRequirement`                 |
| 3 accounts      | `simulation/accounts`               | ledger, requirement             | margin calls, liquidatable accounts |
| 4 decisions     | `agents`, `simulation/liquidation`  | what each actor may see         | orders, liquidation orders          |
| 5 trading       | `simulation/order_book`             | orders in arrival order         | trades                              |
| 6 settlement    | `simulation/accounts`, `simulation/liquidation` | trades, losses      | ledger, loss waterfall, new mark    |

The new mark of stage 6 is what stage 1 hands on in the next step: there the loop closes. The step
itself is `Simulation.step` in `simulation/simulation.py`.
"""
