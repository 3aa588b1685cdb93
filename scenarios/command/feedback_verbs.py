"""The verbs that measure feedback: ``probe``, ``critical``, ``tail`` and ``map``."""

import argparse
from typing import Any

__all__ = ["add_feedback_verbs"]

KEPT = "; with --out everything finished is kept, and asked again it goes on"


def add_feedback_verbs(add: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Register the verbs.

    Parameters
    ----------
    add : callable
        ``add_parser`` of the command.
    parents : list of ArgumentParser
        Options common to verbs that answer about a scenario.
    """
    _add_probe(add, parents)
    _add_critical(add, parents)
    _add_tail(add, parents)
    _add_map(add, parents)


def _add_probe(add: Any, parents: list[argparse.ArgumentParser]) -> None:
    verb = add("probe", parents=parents, help="loop gain and impulse responses: what a sale and a purchase set off")
    verb.add_argument("scenario", metavar="SCENARIO", help="name of the catalogue, or a TOML file")
    verb.add_argument("--at", metavar="SECONDS[,SECONDS]", help="moments (default: the middle of the scenario)")
    verb.add_argument("--side", choices=("both", "sell", "buy"), default="both", help="of the probe (default both)")
    verb.add_argument("--size", metavar="SHARE", default="0.05",
                      help="of the probe, as a share of the opening open interest (default 0.05)")
    verb.add_argument("--over", metavar="SECONDS", default="5", help="time over which it trades (default 5)")
    verb.add_argument("--horizon", metavar="SECONDS", default="120", help="of the response (default 120)")
    verb.add_argument("--path", action="store_true",
                      help="forks follow the outside path to come instead of a price that stands still")
    verb.add_argument("--branches", metavar="N", default="2", help="pairs of forks per state (default 2)")
    verb.add_argument("--replications", metavar="N", default="8", help="seeds (default 8)")
    verb.add_argument("--seed", default="0", metavar="N", help="whole number of at least 0 (default 0)")
    verb.add_argument("--workers", metavar="N", help="processes; the answer is the same (default: the cores)")
    verb.add_argument("--out", metavar="DIR", help="folder for response.csv, response.svg, probe.json")
    verb.set_defaults(verb=_probe, interrupted=KEPT)


def _add_critical(add: Any, parents: list[argparse.ArgumentParser]) -> None:
    verb = add("critical", parents=parents, help="smallest shock at which a loss beyond a tolerance becomes likely")
    verb.add_argument("scenario", metavar="SCENARIO", help="name of the catalogue, or a TOML file")
    verb.add_argument("--shock", metavar="PATH=LOW:HIGH", required=True,
                      help="lever from the smallest shock to the largest, e.g. shocks.0.size=-0.02:-0.3")
    verb.add_argument("--loss", metavar="OUTCOME", default="bad_debt_gross",
                      help="name of spirals list measures (default bad_debt_gross)")
    verb.add_argument("--tolerance", metavar="X", required=True, help="more than this is too much, in the loss's unit")
    verb.add_argument("--probability", metavar="P", default="0.5", help="how likely too much must be (default 0.5)")
    verb.add_argument("--points", metavar="N", default="9", help="shocks of the first scan (default 9)")
    verb.add_argument("--replications", metavar="N", default="20", help="seeds per shock (default 20)")
    verb.add_argument("--seed", default="0", metavar="N", help="whole number of at least 0 (default 0)")
    verb.add_argument("--workers", metavar="N", help="processes; the answer is the same (default: the cores)")
    verb.add_argument("--out", metavar="DIR", help="folder for curve.csv, curve.svg, curve.png, critical.json")
    verb.set_defaults(verb=_critical, interrupted=KEPT)


def _add_tail(add: Any, parents: list[argparse.ArgumentParser]) -> None:
    verb = add("tail", parents=parents, help="probability of a rare outcome by splitting, beside plain runs")
    verb.add_argument("scenario", metavar="SCENARIO", help="name of the catalogue, or a TOML file")
    verb.add_argument("--score", metavar="OUTCOME", default="bad_debt_gross",
                      help="bad_debt_gross (default), drawdown_mark, run_up_mark, forced_notional, margin_calls or "
                      "fund_draw")
    verb.add_argument("--level", metavar="X", required=True, help="the event: the score reaches X, in its unit")
    verb.add_argument("--guide", metavar="OUTCOME", default="",
                      help="another score, which ranks runs while the first is still zero")
    verb.add_argument("--particles", metavar="N", default="100", help="runs of one population (default 100)")
    verb.add_argument("--replications", metavar="N", default="10",
                      help="populations; they give the interval (default 10)")
    verb.add_argument("--every", metavar="SECONDS", default="10", help="between two looks at the score (default 10)")
    verb.add_argument("--seed", default="0", metavar="N", help="whole number of at least 0 (default 0)")
    verb.add_argument("--workers", metavar="N", default="1",
                      help="processes; the answer is the same (default 1: each holds a population, 7 MB a run)")
    verb.add_argument("--out", metavar="DIR", help="folder for tail.json")
    verb.set_defaults(verb=_tail, interrupted=KEPT)


def _add_map(add: Any, parents: list[argparse.ArgumentParser]) -> None:
    verb = add("map", parents=parents, help="but-for share or loop gain over two levers, with the line of stability")
    verb.add_argument("scenario", metavar="SCENARIO", help="name of the catalogue, or a TOML file")
    verb.add_argument("--x", metavar="PATH=A:B[:log]", required=True, help="first lever, e.g. margin.pi=0:1")
    verb.add_argument("--y", metavar="PATH=A:B[:log]", required=True, help="second lever")
    verb.add_argument("--quantity", metavar="NAME", default="but_for", help="but_for (default), gain, closed, growth")
    verb.add_argument("--cells", metavar="N", default="4", help="squares per lever before refinement (default 4)")
    verb.add_argument("--refinements", metavar="N", default="1",
                      help="times that squares on the boundary are cut (default 1)")
    verb.add_argument("--at", metavar="SECONDS", help="moment of the probe (default: the middle of the scenario)")
    verb.add_argument("--side", choices=("sell", "buy"), default="sell", help="side of the probe (default sell)")
    verb.add_argument("--probe", metavar="SHARE",
                      help="size of the probe as a share of the opening open interest (default 0.05)")
    verb.add_argument("--horizon", metavar="SECONDS", help="of the response (default 60)")
    verb.add_argument("--replications", metavar="N", default="8", help="seeds per point (default 8)")
    verb.add_argument("--seed", default="0", metavar="N", help="whole number of at least 0 (default 0)")
    verb.add_argument("--workers", metavar="N", help="processes; the answer is the same (default: the cores)")
    verb.add_argument("--out", metavar="DIR", required=True,
                      help="folder for map.csv, boundary.csv, map.json, map.svg, map.png")
    verb.set_defaults(verb=_map, interrupted=KEPT)


def _probe(options: argparse.Namespace) -> int:
    from spirals.scenarios.command.impulse_verb import probe_verb

    return probe_verb(options)


def _critical(options: argparse.Namespace) -> int:
    from spirals.scenarios.command.critical_verb import critical_verb

    return critical_verb(options)


def _tail(options: argparse.Namespace) -> int:
    from spirals.scenarios.command.tail_verb import tail_verb

    return tail_verb(options)


def _map(options: argparse.Namespace) -> int:
    from spirals.scenarios.command.map_verb import map_verb

    return map_verb(options)
