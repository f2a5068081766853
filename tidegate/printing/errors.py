"""Errors of printing. Each class says who acts.

PrintingError
├── PrintFailed        the caller: it prints again, or gives up with this reason
└── PrintUnavailable   the operator: libraries are missing (also a `Misconfigured`: exit code 2)
"""

from tidegate.errors import Misconfigured


class PrintingError(Exception):
    """Root of what can go wrong with a PDF."""


class PrintFailed(PrintingError):
    """The PDF could not be made; the text says why."""


class PrintUnavailable(PrintingError, Misconfigured):
    """The PDF libraries are not installed; the text is the command that installs them."""
