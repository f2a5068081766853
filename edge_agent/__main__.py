"""`python -m edge_agent`: the agent in a process that loads nothing else.

The options are those of `tidegate edge`. They are parsed by the standard library here, because
typer brings pydantic along: 10 MB of the memory that an agent may take.
"""

import argparse
import sys
from pathlib import Path

from edge_agent.process import run


def main() -> int:
    """Parse the options and run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m edge_agent", description=__doc__)
    parser.add_argument("--config", type=Path, help="configuration file (TOML)")
    parser.add_argument("--data", type=Path, help="folder of the outbox")
    parser.add_argument("--stop-on-eof", action="store_true", help="stop when stdin ends")
    options = parser.parse_args()
    return run(options.config, options.data, stop_on_eof=options.stop_on_eof)


if __name__ == "__main__":
    sys.exit(main())
