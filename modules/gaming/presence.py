"""Who is connected to a session, and how fast and how wrongly he sends; the values are pure."""

import msgspec

from modules.gaming.queue import plain
from tidegate.contract import State

ACTIVE = "active_players"
TTL_S = 2 * 3600.0
BURST = 5.0
PER_S = 5.0
MAX_STRIKES = 20


class Presence(msgspec.Struct, frozen=True, rename="camel"):
    """A player's one connection to a session; times are Unix ms.

    `tokens` are the messages that may come at once; `strikes` count refused ones in a row.
    """

    session_id: str
    player_id: str
    connection_id: str
    connected_at: int
    last_input: int
    tokens: float = BURST
    strikes: int = 0


def refilled(presence: Presence, now_ms: int) -> Presence:
    """Return the presence with the tokens that came since the last message."""
    since_s = max(0, now_ms - presence.last_input) / 1000
    tokens = min(BURST, presence.tokens + since_s * PER_S)
    return msgspec.structs.replace(presence, tokens=tokens, last_input=now_ms)


def taken(presence: Presence) -> Presence | None:
    """Return the presence with a token less, None when there is none."""
    if presence.tokens < 1:
        return None
    return msgspec.structs.replace(presence, tokens=presence.tokens - 1)


def struck(presence: Presence) -> Presence:
    """Return the presence with a strike more."""
    return msgspec.structs.replace(presence, strikes=presence.strikes + 1)


def key_of(session_id: str, player_id: str) -> str:
    """Return the key of a player's presence in a session."""
    return f"{session_id}:{player_id}"


async def get(state: State, session_id: str, player_id: str) -> Presence | None:
    """Return a player's presence, or None."""
    kept = await state.get(ACTIVE, key_of(session_id, player_id))
    return None if kept is None else msgspec.convert(kept, Presence)


async def put(state: State, presence: Presence) -> None:
    """Keep a presence; one whose process was killed lapses by itself."""
    key = key_of(presence.session_id, presence.player_id)
    await state.set(ACTIVE, key, plain(presence), TTL_S)


async def end(state: State, presence: Presence) -> None:
    """Forget a presence."""
    await state.delete(ACTIVE, key_of(presence.session_id, presence.player_id))
