"""How much the ledger keeps; what is beyond makes room, the oldest first. Data only."""

from dataclasses import dataclass

# Of a device: how many of its boots are told apart.
MAX_BOOTS = 64
MAX_LETTERS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of rows, and bytes of dead letters' payloads; `outcomes` are of HTTP requests.

    `notes` are what the journal says of a device in a page: so many at least, and `pending` devices
    at most, before all are settled, `share` at least with each batch.
    """

    boots_of_a_device: int = MAX_BOOTS
    letters: int = MAX_LETTERS
    letter_bytes: int = 256 * 1024 * 1024
    outcomes: int = 200_000
    outcomes_of_a_device: int = 10_000
    notes: int = 5_000
    pending: int = 200_000
    share: int = 500


SHIPPED = Limits()
