"""`python -m bench NAME [--json]`: run one measurement."""

import argparse
import importlib

from bench.report import Report, show
from bench.servers import Unprepared

BENCHES = {"dashboard": "bench.dashboard", "ingest": "bench.ingest", "steps": "bench.steps"}
_PARTS = {
    "ingest": ("rates", "losses", "batched", "waits"),
    "steps": ("chains", "http", "hot", "growth"),
}


def main() -> None:
    """Parse the command line, run the measurement, print its report."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    for name in BENCHES:
        one = names.add_parser(name)
        one.add_argument("--json", action="store_true", help="print only the JSON line")
        if name not in _PARTS:
            continue
        one.add_argument("--only", choices=_PARTS[name], help="measure only this part")
        one.add_argument(
            "--scale", type=_scale, default=1.0, help="less than 1: a quick try of that size"
        )
    names.choices["dashboard"].add_argument(
        "--points", type=int, default=10_000_000, help="how many points are stored"
    )
    options = vars(parser.parse_args())
    name, only_json = options.pop("name"), options.pop("json")
    try:
        report: Report = importlib.import_module(BENCHES[name]).run(**options)
    except Unprepared as exc:
        parser.exit(2, f"{parser.prog}: {exc}\n")
    show(report, only_json=only_json)


def _scale(text: str) -> float:
    scale = float(text)
    if not 0 < scale <= 1:
        raise argparse.ArgumentTypeError("must be above 0 and at most 1")
    return scale


if __name__ == "__main__":
    main()
