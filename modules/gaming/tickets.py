"""A player's place in the matchmaking queue, and how its search widens with waiting. Pure."""

import msgspec

from modules.gaming.modes import GameMode

FIRST_RANGE = 100
WIDENS_BY = 50
WIDENS_EVERY_S = 5.0
MAX_RANGE = 1000
LIFETIME_S = 300.0


class Ticket(msgspec.Struct, frozen=True, rename="camel"):
    """One player who waits for a match; `created_at` is Unix ms.

    `search_range` is the range at the time of writing; `range_at` says what it is now.
    """

    id: str
    player_id: str
    game_mode: GameMode
    region: str
    skill_rating: float
    search_range: int
    created_at: int

    @property
    def pool(self) -> str:
        """Return who can be matched with whom: the same mode in the same region."""
        return pool_of(self.game_mode, self.region)


def pool_of(game_mode: str, region: str) -> str:
    """Return the name of a pool; ticket ids begin with it."""
    return f"{game_mode}:{region}"


def waited_s(ticket: Ticket, now_ms: int) -> float:
    """Return for how long a ticket has waited, in seconds."""
    return max(0.0, (now_ms - ticket.created_at) / 1000)


def range_at(ticket: Ticket, now_ms: int) -> int:
    """Return how far from the own rating a ticket searches: wider every 5 s, up to a maximum."""
    steps = int(waited_s(ticket, now_ms) // WIDENS_EVERY_S)
    return min(MAX_RANGE, FIRST_RANGE + WIDENS_BY * steps)


def is_over(ticket: Ticket, now_ms: int) -> bool:
    """Tell whether a ticket has waited as long as it may."""
    return waited_s(ticket, now_ms) >= LIFETIME_S
