"""The printing process: `python -m tidegate.printing.confined MODULE:FUNCTION SECONDS BYTES`.

The function is given what comes as msgpack on standard input, decoded to the type of its
parameter. The answer on standard output is the PDF that it returns (exit code 0), or on standard
error why there is none: code 3 when a library is missing.
"""

import contextlib
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any

import msgspec

from tidegate.printing.errors import PrintUnavailable

UNAVAILABLE = 3
PACKAGES = "pip install 'tidegate[reports]'"
_LIBRARIES = "sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
_GRACE_S = 5


def main() -> int:
    """Print once; return the exit code."""
    target, timeout_s, memory_bytes = sys.argv[1:]
    _confine(float(timeout_s), int(memory_bytes))
    answer = os.dup(sys.stdout.fileno())
    # Libraries print at will: from here on that is no part of the answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        content = draw(target, sys.stdin.buffer.read())
    except PrintUnavailable as exc:
        sys.stdout.flush()  # what a library printed must not come after the reason
        sys.stderr.write(f"\n{exc}\n")
        return UNAVAILABLE
    with open(answer, "wb") as stream:  # noqa: PTH123 - a descriptor, not a path
        stream.write(content)
    return 0


def draw(target: str, encoded: bytes) -> bytes:
    """Load the function, and with it the PDF libraries; return the PDF that it makes.

    Raises:
        PrintUnavailable: a library is missing; the text is the command that installs it.
    """
    function = _load(target)
    [parameter] = signature(function, eval_str=True).parameters.values()
    return function(msgspec.msgpack.decode(encoded, type=parameter.annotation))


def _load(target: str) -> Callable[[Any], bytes]:
    module, _, name = target.partition(":")
    try:
        function: Callable[[Any], bytes] = getattr(import_module(module), name)
    except ImportError as exc:
        raise PrintUnavailable(f"PDFs need {exc.name}: {PACKAGES}") from exc
    except OSError as exc:  # a shared library that cffi does not find
        raise PrintUnavailable(f"PDFs need the library Pango: {_LIBRARIES}") from exc
    return function


def _confine(timeout_s: float, memory_bytes: int) -> None:
    """Bound memory and time, the latter also for when our parent was killed."""
    signal.alarm(math.ceil(timeout_s) + _GRACE_S)
    with contextlib.suppress(ValueError, OSError):  # a stricter limit holds already
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    sys.exit(main())
