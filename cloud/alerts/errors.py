"""Errors of a delivery. Each class says who acts.

DeliveryError
├── Transient   the runtime tries again, not before `retry_after_s` when the target named one
└── Rejected    the operator: the target will not take this however often it is sent
"""


class DeliveryError(Exception):
    """Root of what can go wrong when a notice is sent."""


class Transient(DeliveryError):
    """The target did not take the notice now; another attempt may succeed."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Rejected(DeliveryError):
    """The target or its settings must change before the notice can be sent."""
