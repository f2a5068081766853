"""Run a program that ends with the process that started it (Linux); run as a file, not imported.

    python tether.py PARENT_PID PROGRAM ARGUMENT...

`prctl(PR_SET_PDEATHSIG)` survives `execv`, so this process becomes the program under the same pid.
Calling it here, and not between fork and exec of the parent, is safe in a parent with threads.
"""

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Bind this process to its parent's life and become the program."""
    parent_pid, program, *rest = arguments
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent_pid):
            return  # The parent was killed before we could ask to be told.
    os.execv(program, [program, *rest])  # noqa: S606 - the broker's path, resolved by the parent


if __name__ == "__main__":
    main(sys.argv[1:])
