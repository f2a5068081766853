"""Errors of the wire format.

WireError
└── Malformed   the sender must correct it; the receiver dead-letters with the reason
"""


class WireError(ValueError):
    """Root of what can be wrong with something that travels."""


class Malformed(WireError):
    """The bytes or names break the format; sending them again unchanged cannot help."""
