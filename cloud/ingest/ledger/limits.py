"""How much the ledger keeps; what is beyond makes room, the oldest first. Data only."""

from dataclasses import dataclass

# Of a device: how many of its boots are told apart.
MAX_BOOTS = 64
MAX_LETTERS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of rows, and bytes of dead letters' payloads; `outcomes` are of HTTP requests."""

    boots_of_a_device: int = MAX_BOOTS
    letters: int = MAX_LETTERS
    letter_bytes: int = 256 * 1024 * 1024
    outcomes: int = 200_000
    outcomes_of_a_device: int = 10_000


SHIPPED = Limits()
