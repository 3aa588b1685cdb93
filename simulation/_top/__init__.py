"""liquidation-spirals: leverage, margin policy and an order book in one measured loop."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("liquidation-spirals")
except PackageNotFoundError:  # running from a tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
