"""`python -m bench NAME [--json]`: run one measurement."""

import argparse
import importlib

from bench.report import Report, show

BENCHES = {"ingest": "bench.ingest"}


def main() -> None:
    """Parse the command line, run the measurement, print its report."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHES))
    parser.add_argument("--json", action="store_true", help="print only the JSON line")
    arguments = parser.parse_args()
    report: Report = importlib.import_module(BENCHES[arguments.name]).run()
    show(report, only_json=arguments.json)


if __name__ == "__main__":
    main()
