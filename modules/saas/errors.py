"""Errors of the SaaS module. Each class says who acts.

SaasError
└── Rejected   nobody retries: the event is dead-lettered with this reason (`NonRetriable`)

What can go wrong with a PDF is in `tidegate.printing.errors`: the runtime retries `PrintFailed`.
"""

from tidegate.errors import NonRetriable


class SaasError(Exception):
    """Root of what can go wrong in the SaaS module."""


class Rejected(SaasError, NonRetriable):
    """An event or a tenant's record is wrong; the text says what to correct before a redrive."""
