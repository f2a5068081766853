"""Errors of the reports. Each class says who acts.

ReportsError
├── BadPeriod            the caller: the request is answered with 422
├── ReportFailed         nobody retries: the report is marked failed with this reason
└── ReportsUnavailable   the operator: libraries are missing (also a `Misconfigured`: exit code 2)
"""

from tidegate.errors import Misconfigured


class ReportsError(Exception):
    """Root of what can go wrong with a report."""


class BadPeriod(ReportsError):
    """The period asked for cannot be reported; the text says why."""


class ReportFailed(ReportsError):
    """The PDF could not be made, and making it again would fail the same way."""


class ReportsUnavailable(ReportsError, Misconfigured):
    """The PDF libraries are not installed; the text is the command that installs them."""
