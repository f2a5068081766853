"""The printing process, `python -m modules.saas.print_worker SECONDS`: invoice in, PDF out.

It takes the invoice as msgpack on standard input and answers on standard output with the PDF
(exit code 0), or on standard error with why there is none: code 3 when a library is missing.
"""

import contextlib
import math
import os
import resource
import signal
import sys

import msgspec

from modules.saas.errors import PrintUnavailable
from modules.saas.invoice import Invoice

UNAVAILABLE = 3
_GRACE_S = 5
_MEMORY_BYTES = 2 * 1024**3
_LIBRARIES = "sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
_PACKAGES = "pip install 'tidegate[reports]'"


def main() -> int:
    """Print one invoice; return the exit code."""
    _confine(float(sys.argv[1]))
    answer = os.dup(sys.stdout.fileno())
    # Libraries print at will: from here on that is no part of the answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    invoice = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Invoice)
    try:
        content = draw(invoice)
    except PrintUnavailable as exc:
        sys.stdout.flush()  # what a library printed must not come after the reason
        sys.stderr.write(f"\n{exc}\n")
        return UNAVAILABLE
    with open(answer, "wb") as stream:  # noqa: PTH123 - a descriptor, not a path
        stream.write(content)
    return 0


def draw(invoice: Invoice) -> bytes:
    """Load the PDF libraries, which only this process does, and return the PDF.

    Raises:
        PrintUnavailable: a library is missing; the text is the command that installs it.
    """
    try:
        from modules.saas.typeset import typeset  # noqa: PLC0415 - loads the PDF libraries
    except ImportError as exc:
        raise PrintUnavailable(f"invoices as PDF need {exc.name}: {_PACKAGES}") from exc
    except OSError as exc:  # a shared library that cffi does not find
        raise PrintUnavailable(f"invoices as PDF need the library Pango: {_LIBRARIES}") from exc
    return typeset(invoice)


def _confine(timeout_s: float) -> None:
    """Bound memory and time, the latter also for when our parent was killed."""
    signal.alarm(math.ceil(timeout_s) + _GRACE_S)
    with contextlib.suppress(ValueError, OSError):  # a stricter limit holds already
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


if __name__ == "__main__":
    sys.exit(main())
