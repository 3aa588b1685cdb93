"""The command ``spirals``: arguments in, exit status out; what each verb does is in ``command_verbs``.

Exit status: 0 done; 1 a run failed; 2 bad input, every problem on one line; 130 interrupted.
"""

import argparse
import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from spirals.scenarios.command import verbs as verbs
from spirals.scenarios.command.feedback_verbs import add_feedback_verbs
from spirals.scenarios.command.listing import KINDS
from spirals.scenarios.inputs.problems import suggestion
from spirals.simulation.errors import InputError

__all__ = ["main"]

DONE, RUN_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
log = logging.getLogger("spirals")


class _Parser(argparse.ArgumentParser):
    """Tells a fault of the command line like any other bad input."""

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            message += suggestion(choice[1], re.findall(r"[\w-]+", choice[2]))
        raise InputError([f"{message} (see {self.prog} --help)"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = None
    try:
        options = _parser().parse_args(arguments)
        _set_up_log(options)
        return int(options.verb(options))
    except InputError as error:
        for line in dict.fromkeys(error.problems):
            print(f"spirals: {' '.join(line.split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"spirals: interrupted{getattr(options, 'interrupted', '')}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has left; keep the interpreter from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        log.debug("", exc_info=True)
        hint = "" if log.isEnabledFor(logging.DEBUG) else " (-vv shows where)"
        print(f"spirals: failed: {type(error).__name__}: {' '.join(str(error).split())}{hint}", file=sys.stderr)
        return RUN_FAILED


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False)
    common.add_argument("-v", "--verbose", action="count", default=argparse.SUPPRESS, help="say more; -vv: everything")
    common.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS,
                        help="errors only, no progress bar")
    json = _Parser(add_help=False)
    json.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else")
    change = _Parser(add_help=False)
    change.add_argument("-s", "--set", metavar="PATH=VALUE", action="append", default=[],
                        help="replace an input, e.g. -s margin.Floor.floor=0.02; may be repeated")
    parser = _Parser(prog="spirals", parents=[common], description="Simulate liquidation spirals and measure them.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    add = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=_Parser).add_parser

    verb = add("list", parents=[common, json], help="names with one line each")
    verb.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    verb.set_defaults(verb=verbs.list_names)

    verb = add("show", parents=[common, change], help="resolved inputs as TOML, with units, ranges and sources")
    verb.add_argument("name", metavar="NAME", help="scenario, study, part, TOML file or results folder")
    verb.set_defaults(verb=verbs.show)

    verb = add("run", parents=[common, json, change], help="run a scenario once")
    verb.add_argument("scenario", metavar="SCENARIO", help="name of the catalogue, or a TOML file")
    verb.add_argument("--seed", default="0", metavar="N", help="whole number of at least 0 (default 0)")
    verb.add_argument("--steps", metavar="N", help="number of steps instead of the scenario's")
    verb.add_argument("--twins", action="store_true",
                      help="run the twins T1, T2, T3 as well, compare, and attribute outcomes to channels")
    verb.add_argument("--channels", metavar="A,B",
                      help="channels of the attribution (default with --twins: mark,margin,depth,index as far as the "
                      "scenario has them); a+b,c: groups for Owen values; none: no attribution")
    verb.add_argument("--causes", action="store_true", help="attribute by cause of forced flow as well")
    verb.add_argument("--out", metavar="DIR", help="folder for outcomes, steps and events")
    verb.set_defaults(verb=verbs.run, interrupted="; nothing of an unfinished run is kept")

    verb = add("sweep", parents=[common, json, change], help="run a study; continues where it was stopped")
    verb.add_argument("study", metavar="STUDY", help="name of the catalogue, or a TOML file")
    verb.add_argument("--workers", metavar="N", help="number of processes (default: the cores of this machine)")
    verb.add_argument("--replications", metavar="N", help="runs per point instead of the study's")
    verb.add_argument("--out", metavar="DIR", help="results folder (default: results/NAME)")
    verb.set_defaults(verb=verbs.sweep, interrupted="; everything finished is kept")

    verb = add("report", parents=[common], help="write the HTML report of a results folder, or of several studies")
    verb.add_argument("folder", metavar="DIR", nargs="+", help="several: one summary over studies of policies")
    verb.add_argument("--out", metavar="FILE", help="file to write (default: report.html in DIR, summary.html beside)")
    verb.set_defaults(verb=verbs.report)

    verb = add("deconvolve", parents=[common, json, change],
               help="exogenous paths that reproduce a scenario's bars, over depth x index feedback")
    verb.add_argument("scenario", metavar="SCENARIO", help="name of the catalogue, or a TOML file, with HistoricalBars")
    verb.add_argument("--price", choices=("mark", "mid", "last"), default="mark",
                      help="simulated price held against the bars (default mark)")
    verb.add_argument("--depths", metavar="A,B",
                      help="classes of depth (default LinearDepth,PowerDepth,SquareRootDepth)")
    verb.add_argument("--kappas", metavar="A,B", help="index feedbacks (default 0,0.4)")
    verb.add_argument("--tolerance-bp", default="20", metavar="BP", help="of high, low and close of a bar (default 20)")
    verb.add_argument("--seed", default="0", metavar="N", help="whole number of at least 0 (default 0)")
    verb.add_argument("--replications", metavar="N",
                      help="one path for each of the first N seeds of a study with --seed")
    verb.add_argument("--workers", metavar="N", help="number of processes (default 1)")
    verb.add_argument("--out", metavar="DIR", help="folder for paths, scenarios on them, figures, deconvolution.json")
    verb.set_defaults(verb=_deconvolve)

    verb = add("fit-event", parents=[common, json, change],
               help="fit behaviour to the order flow of a crash, with what it cannot tell; predict another crash")
    verb.add_argument("event", metavar="EVENT", help="scenario with HistoricalBars that have volume and taker volume")
    verb.add_argument("--transfer", metavar="EVENT", help="another event, predicted with the fitted behaviour")
    verb.add_argument("--seeds", metavar="N", help="seeds of every simulation (default 4, quick 2)")
    verb.add_argument("--quick", action="store_true", help="two iterations on half designs: minutes on one core")
    verb.add_argument("--out", metavar="DIR", help="folder for the page, the figure and all numbers")
    verb.set_defaults(verb=_fit_event)

    verb = add("fit-book", parents=[common, json], help="fit a depth model to a recorded order-book stream")
    verb.add_argument("file", metavar="FILE", help="L2 stream of Binance futures, or the name of a shipped one")
    verb.add_argument("--repair", action="store_true", help="drop what is at fault and say so, instead of refusing")
    verb.add_argument("--out", metavar="DIR", help="folder for the table, a scenario with the depth, and a figure")
    verb.set_defaults(verb=verbs.fit_book)

    verb = add("validate", parents=[common, json, change], help="theory against measurement, with bands")
    verb.add_argument("cases", nargs="*", metavar="CASE", help="names of cases (default: all)")
    verb.add_argument("--full", action="store_true", help="the long form instead of the quick one")
    verb.add_argument("--mutations", action="store_true",
                      help="change mechanisms of the models and show how small a change the checks notice")
    verb.add_argument("--out", metavar="DIR", help="folder for the tables and a figure per case")
    verb.set_defaults(verb=_validate)

    add_feedback_verbs(add, [common, json, change])

    verb = add("bench", parents=[common, json], help="speed, with the plain reference beside it")
    verb.add_argument("--full", action="store_true", help="first compilation and the memory of a day as well")
    verb.set_defaults(verb=verbs.bench)
    return parser


def _deconvolve(options: argparse.Namespace) -> int:
    from spirals.scenarios.command.deconvolve_verb import deconvolve

    return deconvolve(options)


def _fit_event(options: argparse.Namespace) -> int:
    from spirals.scenarios.command.event_fit_verb import fit_event_verb

    return fit_event_verb(options)


def _validate(options: argparse.Namespace) -> int:
    from spirals.scenarios.validation.verb import validate

    return validate(options)


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, *_: object) -> None:
        from spirals import __version__

        print(f"spirals {__version__}")
        raise SystemExit(DONE)


def _set_up_log(options: argparse.Namespace) -> None:
    level = {0: logging.WARNING, 1: logging.INFO}.get(getattr(options, "verbose", 0), logging.DEBUG)
    options.quiet = getattr(options, "quiet", False)
    log.setLevel(logging.ERROR if options.quiet else level)
    log.propagate = False
    for handler in list(log.handlers):
        log.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("spirals: %(message)s"))
    log.addHandler(handler)
