"""The whole fault suite: more than a million messages, every fault, one table: `make faults`.

Runs `tests/faults` with as many messages for each trial as are asked for. Ends with the code of
pytest; the table says what became of every message.
"""

import argparse
import os
import subprocess
import sys

_MESSAGES = 32_000


def main() -> int:
    """Run the suite."""
    parser = argparse.ArgumentParser(description="Fail everything in turn; count every message.")
    parser.add_argument("--messages", type=int, default=_MESSAGES, help="of each trial")
    parser.add_argument("--only", help="only the trials whose names match (as pytest -k)")
    asked = parser.parse_args()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "tests/faults"]
    command += ["-k", asked.only] if asked.only else []
    environment = os.environ | {"FAULTS_MESSAGES": str(asked.messages)}
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
