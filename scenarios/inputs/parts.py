"""The catalogue of pluggable parts: for every slot its base class and the classes that fill it.

A literal, so that names can be listed and checked without importing anything. A scenario may also
name a class by file (``type = "my_policy.py:MyPolicy"``) or module (``"package.module:MyPolicy"``).
To add a part: write its file, add its line here.
"""

__all__ = ["BASES", "SLOTS"]

BASES: dict[str, str] = {
    "Depth": "spirals.simulation.market.depth",
    "MarginPolicy": "spirals.simulation.margin.policy",
    "OutsideWorld": "spirals.simulation.market.outside_world",
    "Shock": "spirals.simulation.market.shocks",
}

SLOTS: dict[str, dict[str, str]] = {
    "Arbitrageurs": {"Arbitrageurs": "spirals.agents.arbitrageur"},
    "BackgroundFlow": {"BackgroundFlow": "spirals.agents.background"},
    "BasisTraders": {"BasisTraders": "spirals.agents.basis_trader"},
    "Depth": {
        "FileDepth": "spirals.simulation.market.depth",
        "FittedDepth": "spirals.simulation.market.depth",
        "GappedDepth": "spirals.simulation.market.depth",
        "LinearDepth": "spirals.simulation.market.depth",
        "PowerDepth": "spirals.simulation.market.depth",
        "SquareRootDepth": "spirals.simulation.market.depth",
    },
    "Entries": {"Entries": "spirals.agents.entry"},
    "Engine": {"Engine": "spirals.simulation.engine"},
    "Funding": {"Funding": "spirals.simulation.market.funding"},
    "Instrument": {"Instrument": "spirals.simulation.contracts"},
    "LiquidationMechanism": {"LiquidationMechanism": "spirals.simulation.liquidation.mechanism"},
    "LossWaterfall": {"LossWaterfall": "spirals.simulation.liquidation.waterfall"},
    "MarginCalls": {"MarginCalls": "spirals.simulation.accounts.margin_calls"},
    "MarginPolicy": {
        "AppliesTo": "spirals.simulation.margin.applies_to",
        "Buffer": "spirals.simulation.margin.buffer",
        "Cap": "spirals.simulation.margin.bounds",
        "Floor": "spirals.simulation.margin.bounds",
        "Grandfather": "spirals.simulation.margin.grandfather",
        "Notice": "spirals.simulation.margin.notice",
        "Procyclicality": "spirals.simulation.margin.procyclicality",
        "Ramp": "spirals.simulation.margin.ramp",
        "SpeedLimit": "spirals.simulation.margin.speed_limit",
        "Static": "spirals.simulation.margin.static",
        "StressedWeight": "spirals.simulation.margin.stressed_weight",
        "Tiered": "spirals.simulation.margin.tiered",
        "UpdateInterval": "spirals.simulation.margin.update_interval",
        "VolatilityScaled": "spirals.simulation.margin.volatility_scaled",
    },
    "MarketMakers": {"MarketMakers": "spirals.agents.market_maker"},
    "OutsideWorld": {
        "ClusteredVolatility": "spirals.simulation.market.clustered_volatility",
        "ConstantPrice": "spirals.simulation.market.constant",
        "FrozenPath": "spirals.simulation.market.frozen_path",
        "GeometricBrownian": "spirals.simulation.market.geometric_brownian",
        "Heston": "spirals.simulation.market.heston",
        "HistoricalBars": "spirals.simulation.market.historical_bars",
        "JumpDiffusion": "spirals.simulation.market.jump_diffusion",
    },
    "Population": {"Population": "spirals.agents.population"},
    "OutsideHedges": {"OutsideHedges": "spirals.agents.hedging"},
    "PriceFeed": {"PriceFeed": "spirals.simulation.market.price_feed"},
    "Scenario": {"Scenario": "spirals.scenarios.inputs.scenario"},
    "Shock": {
        "DepthWithdrawal": "spirals.simulation.market.shocks",
        "OracleLag": "spirals.simulation.market.shocks",
        "OrderFlow": "spirals.simulation.market.shocks",
        "PriceJump": "spirals.simulation.market.shocks",
        "RandomCrash": "spirals.simulation.market.random_crash",
        "VolatilityShock": "spirals.simulation.market.shocks",
    },
    "Study": {"Study": "spirals.scenarios.inputs.study"},
    "UserAgents": {"UserAgents": "spirals.agents.user"},
    "VolatilityEstimator": {"VolatilityEstimator": "spirals.simulation.market.volatility"},
}
