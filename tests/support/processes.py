"""Child processes that tests end the hard way."""

import subprocess
from collections.abc import Callable, Sequence


def kill_when_it_says(command: Sequence[str], enough: Callable[[str], bool]) -> list[str]:
    """Run a command, kill it (SIGKILL) at the first line that is enough; return all its lines."""
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            if enough(lines[-1]):
                process.kill()
                break
        rest = process.stdout.read().splitlines()
    # A line cut off in the middle was not said.
    return lines + [line.strip() for line in rest if line]
