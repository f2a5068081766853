"""What runs in the drawing process: it loads the PDF libraries, and only it does."""

import math
import signal

from cloud.reports.errors import ReportsUnavailable
from cloud.reports.model import ReportModel

# The pool keeps an idle process for good; with the PDF libraries loaded that is 200 MB.
_IDLE_S = 60
_GRACE_S = 5
_LIBRARIES = "sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
_PACKAGES = "pip install 'tidegate[reports]'"


def draw(model: ReportModel, timeout_s: float) -> bytes:
    """Return the PDF; end this process when it takes too long or nothing else is asked of it.

    The alarm also ends a process whose parent was killed.

    Raises:
        ReportsUnavailable: a library is missing; the text is the command that installs it.
    """
    signal.alarm(math.ceil(timeout_s) + _GRACE_S)
    try:
        return _typeset(model)
    finally:
        signal.alarm(_IDLE_S)


def _typeset(model: ReportModel) -> bytes:
    try:
        from cloud.reports.document import typeset  # noqa: PLC0415 - loads the PDF libraries
    except ImportError as exc:
        raise ReportsUnavailable(f"PDF reports need {exc.name}: {_PACKAGES}") from exc
    except OSError as exc:  # a shared library that cffi does not find
        raise ReportsUnavailable(f"PDF reports need the library Pango: {_LIBRARIES}") from exc
    return typeset(model)
