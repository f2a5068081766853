"""Simulated players of a shooter: what the server keeps of their inputs, honest ones and cheats.

The server stamps every input when it arrives; the network delays each by a few ms and, for some
players, holds several back and delivers them at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

MAX_SPEED = 12.0
INPUTS = 240


@dataclass(frozen=True)
class Style:
    """How one plays: times in ms, speed as a share of what the rules allow, chances 0 to 1."""

    pace_ms: float
    unsteady: float
    speed: float
    accuracy: float
    reaction_ms: float
    network_ms: float
    lag_bursts: float = 0.0
    flick_ms: float = 170.0
    guess: float = 0.12
    snaps: bool = False
    rhythm_ms: tuple[float, ...] = ()


def honest(rng: Random) -> Style:
    """Return a person: slow or quick, a poor or a very good shot, on a good or a bad line."""
    bad_line = rng.random() < 0.15
    return Style(
        pace_ms=rng.uniform(120, 420),
        unsteady=rng.uniform(0.12, 0.5),
        speed=rng.uniform(0.4, 1.0),
        accuracy=rng.betavariate(4, 5),
        reaction_ms=rng.gauss(260, 35),
        network_ms=rng.uniform(1, 40 if bad_line else 8),
        lag_bursts=0.02 if bad_line else 0.0,
        flick_ms=rng.uniform(110, 260),
        guess=rng.uniform(0.02, 0.25),
    )


def speed_hack(rng: Random) -> Style:
    """Return one who moves 1.5 to 3 times as fast as the rules allow."""
    return replace(honest(rng), speed=rng.uniform(1.5, 3.0))


def aim_bot(rng: Random) -> Style:
    """Return one whose aim jumps onto the target within one input."""
    return replace(honest(rng), snaps=True, accuracy=rng.uniform(0.85, 1.0), reaction_ms=60)


def macro(rng: Random) -> Style:
    """Return one whose key is pressed by a program, always after the same pauses."""
    rhythm = tuple(rng.uniform(60, 300) for _ in range(rng.randrange(1, 5)))
    return replace(honest(rng), rhythm_ms=rhythm, network_ms=rng.uniform(1, 4), lag_bursts=0.0)


def wall_hack(rng: Random) -> Style:
    """Return one who knows where those are whom he cannot see."""
    return replace(honest(rng), guess=rng.uniform(0.75, 0.98))


CHEATS: dict[str, Callable[[Random], Style]] = {
    "speed_hack": speed_hack,
    "aim_bot": aim_bot,
    "macro": macro,
    "wall_hack": wall_hack,
}


def recorded(style: Style, rng: Random, *, count: int = INPUTS) -> list[dict[str, Any]]:
    """Return what `player_inputs` holds of a session of that many inputs."""
    records, sent, x, y, aim, held_until = [], 1_000_000.0, 0.0, 0.0, 0.0, 0.0
    for number in range(count):
        pause = _pause_ms(style, rng, number)
        sent += pause
        distance = MAX_SPEED * style.speed * rng.uniform(0.7, 1.0) * pause / 1000
        x, y = (x + distance, y) if rng.random() < 0.5 else (x, y + distance)
        entry, aim, sent = _action(style, rng, aim=aim, sent=sent)
        entry["input"]["position"] = {"x": x, "y": y}
        if rng.random() < style.lag_bursts:
            held_until = sent + rng.uniform(200, 900)
        arrived = max(sent + abs(rng.gauss(0, style.network_ms)), held_until)
        records.append({**entry, "sequence": number + 1, "timestamp": round(arrived)})
    return sorted(records, key=lambda record: record["timestamp"])


def _pause_ms(style: Style, rng: Random, number: int) -> float:
    if style.rhythm_ms:
        return style.rhythm_ms[number % len(style.rhythm_ms)]
    return max(15.0, style.pace_ms * rng.lognormvariate(0, style.unsteady))


def _action(
    style: Style, rng: Random, *, aim: float, sent: float
) -> tuple[dict[str, Any], float, float]:
    """Return an input without its place, where the aim is then, and when it was sent."""
    kind = rng.random()
    if kind < 0.12:
        reaction = max(40.0, rng.gauss(style.reaction_ms, style.reaction_ms * 0.18))
        return {"input": {"type": "reaction", "reactionTime": reaction, "aim": aim}}, aim, sent
    if kind < 0.45:
        return _shot(style, rng, aim=aim, sent=sent)
    aim += rng.gauss(0, 12)
    return {"input": {"type": "move", "aim": aim % 360}}, aim, sent


def _shot(
    style: Style, rng: Random, *, aim: float, sent: float
) -> tuple[dict[str, Any], float, float]:
    turn = rng.choice((-1, 1)) * abs(rng.gauss(0, 60))
    if style.snaps:
        # The program turns at once and fires a few ms after the last input.
        sent -= 0.9 * _since_last(style)
    elif not style.rhythm_ms and abs(turn) > 30:
        sent += style.flick_ms * abs(turn) / 180
    hidden = rng.random() < 0.18
    hit = rng.random() < (style.guess if hidden else style.accuracy)
    shot: dict[str, Any] = (
        {"type": "shoot"} if hidden else {"type": "shoot", "aim": (aim + turn) % 360}
    )
    return {"input": shot, "hit": hit, "targetVisible": not hidden}, aim + turn, sent


def _since_last(style: Style) -> float:
    return style.pace_ms * 0.9
