"""Errors of the simulator.

SimulatorError
├── BadInput        the user must correct a file or an option: exit code 2
└── NotDelivered    the broker did not take everything in time: exit code 1, running again is safe
"""


class SimulatorError(Exception):
    """Root of the simulator's errors."""


class BadInput(SimulatorError):
    """A file or an option is unusable; the message says what to do."""


class NotDelivered(SimulatorError):
    """The broker refused us, or did not acknowledge for too long."""
