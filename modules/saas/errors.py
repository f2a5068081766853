"""Errors of the SaaS module. Each class says who acts.

SaasError
├── Rejected           nobody retries: the event is dead-lettered with this reason (`NonRetriable`)
├── PrintFailed        the runtime retries: the PDF could not be made this time
└── PrintUnavailable   the operator: the PDF libraries are missing (also a `Misconfigured`)
"""

from tidegate.errors import Misconfigured, NonRetriable


class SaasError(Exception):
    """Root of what can go wrong in the SaaS module."""


class Rejected(SaasError, NonRetriable):
    """An event or a tenant's record is wrong; the text says what to correct before a redrive."""


class PrintFailed(SaasError):
    """The PDF of an invoice could not be made."""


class PrintUnavailable(SaasError, Misconfigured):
    """The PDF libraries are not installed; the text is the command that installs them."""
