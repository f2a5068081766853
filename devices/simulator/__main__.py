"""The fleet as a child process: `python -m devices.simulator < accounts.json`.

The accounts come on standard input, so that no password is seen in the list of processes.
"""

import argparse
import json
import sys

from devices.simulator.accounts import parse_logins
from devices.simulator.cli import run_until_signal
from devices.simulator.fleet import FleetOptions, run_fleet
from devices.simulator.link import Target
from devices.simulator.signals import fleet_names


def main() -> None:
    """Run the fleet until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m devices.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--interval", type=float, default=2.0)
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--mqtt5", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--names", type=int, metavar="N", help="print N device names and end")
    asked = parser.parse_args()
    if asked.names is not None:
        sys.stdout.write(json.dumps(fleet_names(asked.names)) + "\n")
        return

    async def run() -> None:
        target = Target(host=asked.host, port=asked.port, mqtt5=asked.mqtt5)
        options = FleetOptions(seed=asked.seed, interval_s=asked.interval, faults=asked.faults)
        await run_fleet(parse_logins(sys.stdin.buffer.read()), target, options)

    run_until_signal(run)


if __name__ == "__main__":
    main()
