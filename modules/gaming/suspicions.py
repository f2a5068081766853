"""What anti-cheat keeps in the step state: samples of brackets, and what was already reported."""

from collections.abc import Iterable
from glob import escape
from typing import Any

import msgspec

from modules.gaming.anticheat.profiles import Profiles
from modules.gaming.presence import key_of
from modules.gaming.queue import STATS, plain
from modules.gaming.ratings import get_skill_bracket, rating_of
from tidegate.contract import State

INPUTS = "player_inputs"
INPUTS_TTL_S = 3600.0
PROFILES = "behavior_profiles"
REPORTED = "cheat_reports"
REPORTED_TTL_S = 24 * 3600.0
CASES = "cheat_cases"
MAX_CASES = 50
MAX_INPUTS = 600


class Reported(msgspec.Struct, frozen=True):
    """Which detectors were reported for a player and a session: as sure, and as a suspicion."""

    sure: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()


async def inputs_of(state: State, session_id: str, player_id: str) -> list[Any]:
    """Return the player's last inputs in a session, in their order."""
    # Names are not ours: a player called `*` must not be judged by everybody's inputs.
    pattern = f"{escape(key_of(session_id, player_id))}:*"
    return (await state.get_pattern(INPUTS, pattern))[-MAX_INPUTS:]


async def bracket_of(state: State, player_id: str) -> str:
    """Return the skill bracket that a player is in."""
    return get_skill_bracket(rating_of(await state.get(STATS, player_id)))


async def profiles_of(state: State, bracket: str) -> Profiles:
    """Return the sample of a bracket."""
    kept = await state.get(PROFILES, bracket)
    return Profiles() if kept is None else msgspec.convert(kept, Profiles)


async def keep_profiles(state: State, bracket: str, profiles: Profiles) -> None:
    """Keep the sample of a bracket."""
    await state.set(PROFILES, bracket, plain(profiles))


async def reported(state: State, session_id: str, player_id: str) -> Reported:
    """Return what was reported before."""
    kept = await state.get(REPORTED, key_of(session_id, player_id))
    return Reported() if kept is None else msgspec.convert(kept, Reported)


async def note_reported(
    state: State, session_id: str, player_id: str, *, sure: Iterable[str], suspected: Iterable[str]
) -> None:
    """Remember what was reported, for a day."""
    noted = Reported(tuple(sorted(set(sure))), tuple(sorted(set(suspected))))
    await state.set(REPORTED, key_of(session_id, player_id), plain(noted), REPORTED_TTL_S)


async def cases_of(state: State, player_id: str) -> list[dict[str, Any]]:
    """Return the reports about a player, oldest first."""
    return await state.get(CASES, player_id) or []


async def add_case(state: State, player_id: str, case: dict[str, Any]) -> None:
    """Keep a report about a player."""
    cases = [*await cases_of(state, player_id), case]
    await state.set(CASES, player_id, cases[-MAX_CASES:])
