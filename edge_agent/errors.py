"""Errors of the edge agent. Each class says who acts.

EdgeError
├── OutboxUnusable   the operator (it is also a `Misconfigured`): stop at the start, exit code 2
├── OutboxFailed     the agent: what was to be kept is lost and counted, the next try may work
└── BrokerAway       the agent: it tries again after a growing delay
"""

from tidegate.errors import Misconfigured


class EdgeError(Exception):
    """Root of the agent's errors."""


class OutboxUnusable(EdgeError, Misconfigured):
    """The outbox cannot be opened: its folder is not writable or another agent holds it."""


class OutboxFailed(EdgeError):
    """The outbox could not be read or written, for example because the disk is full."""


class BrokerAway(EdgeError):
    """The broker cannot be reached or does not answer."""
