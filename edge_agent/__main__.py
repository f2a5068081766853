"""`python -m edge_agent`: the agent in a process that loads nothing else.

The options are those of `tidegate edge`. They are parsed by the standard library here, because
typer loads pydantic when it runs a command: 10 MB, which would make 44 of the agent's 35.
"""

import argparse
import sys
from pathlib import Path

from edge_agent.process import run

_WHAT = "Read this machine's metrics and publish them over MQTT until SIGTERM or Ctrl-C."


def main() -> int:
    """Parse the options and run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m edge_agent", description=_WHAT)
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="where readings are kept until the cloud has them"
    )
    parser.add_argument(
        "--stop-on-eof", action="store_true", help="stop when standard input ends too"
    )
    options = parser.parse_args()
    return run(options.config, options.data, stop_on_eof=options.stop_on_eof)


if __name__ == "__main__":
    sys.exit(main())
