"""Errors of the step runtime. Each class says who acts.

TidegateError
├── Misconfigured     the operator: stop at the start, exit code 2
├── UndeclaredEmit    the step's author: the invocation fails
├── NonRetriable      nobody retries: the event is dead-lettered at once
├── RetryAfter        the runtime retries, but not before `seconds`
├── HTTPError         the caller of an api step: answered as a problem document
├── Conflict          the runtime runs the handler again: what it read has changed
└── StoreAway         the runtime retries: the database does not answer
"""

import math


class TidegateError(Exception):
    """Root of the runtime's errors."""


class Misconfigured(TidegateError):
    """Something that the operator must correct before anything starts."""


class UndeclaredEmit(TidegateError):
    """A step emitted a topic that its config does not list."""


class NonRetriable(TidegateError):
    """Raised by a handler: trying this event again cannot help."""


class RetryAfter(TidegateError):
    """Raised by a handler: try again, but not before `seconds` from now."""

    longest_s: float = 30 * 24 * 3600.0

    def __init__(self, seconds: float | str, reason: str = "") -> None:
        """Take seconds, also as a `Retry-After` header spells them; at most 30 days.

        Raises:
            ValueError: they are no number from 0.
        """
        super().__init__(reason or f"retry after {seconds} s")
        self.seconds = float(seconds)
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"RetryAfter needs seconds from 0, not {seconds}")
        self.seconds = min(self.seconds, self.longest_s)


class HTTPError(TidegateError):
    """Raised by an api handler: answer with this status and detail (RFC 9457).

    With 429 and 503 the caller is told to come again after `retry_after_s`.
    """

    retry_after_s: int = 1

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(detail or f"HTTP {status}")
        self.status = status
        self.detail = detail


class Conflict(TidegateError):
    """A value that the transaction read was changed by another before its commit.

    `place` is the value's (group, key), None when it was a list or is not known.
    """

    def __init__(self, reason: str, place: tuple[str, str] | None = None) -> None:
        super().__init__(reason)
        self.place = place


class LeaseLost(Conflict):
    """The delivery that a commit would end was given to another worker meanwhile."""


class StoreAway(TidegateError):
    """The state and event store does not answer."""
