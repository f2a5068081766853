"""Errors of the wire format.

WireError
└── Malformed      the sender must correct it; the receiver dead-letters with the reason
    └── Oversized  it must send less at a time
"""


class WireError(ValueError):
    """Root of what can be wrong with something that travels."""


class Malformed(WireError):
    """The bytes or names break the format; sending them again unchanged cannot help."""


class Oversized(Malformed):
    """What was sent is, unpacked, larger than it may be; in smaller parts it is taken."""
