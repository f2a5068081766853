"""Errors of the simulator.

SimulatorError
├── BadInput        the user must correct a file or an option: exit code 2
├── NotDelivered    the broker did not take everything: exit code 1, running again sends all anew
└── Refused         the link: it tries again, or gives up with NotDelivered
"""


class SimulatorError(Exception):
    """Root of the simulator's errors."""


class BadInput(SimulatorError):
    """A file or an option is unusable; the message says what to do."""


class NotDelivered(SimulatorError):
    """The broker refused us, or did not acknowledge for too long."""


class Refused(SimulatorError):
    """The broker did not take a message and said why; `may_pass` when waiting may help."""

    def __init__(self, reason: str, *, may_pass: bool) -> None:
        super().__init__(reason)
        self.may_pass = may_pass
