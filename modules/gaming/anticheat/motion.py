"""Speed, turning and acceleration between two inputs. Pure."""

import math

from modules.gaming.anticheat.observed import Observed

_HALF_TURN = 180.0


def calculate_distance(before: Observed, now: Observed) -> float | None:
    """Return the distance in units, or None when a position is unknown."""
    if before.position is None or now.position is None:
        return None
    return math.dist(before.position, now.position)


def calculate_speed(before: Observed, now: Observed, interval_ms: float) -> float | None:
    """Return units per second; None without positions or when no time has passed."""
    distance = calculate_distance(before, now)
    if distance is None or interval_ms <= 0:
        return None
    return distance / interval_ms * 1000


def calculate_direction_change(before: Observed, now: Observed) -> float | None:
    """Return by how many degrees the aim turned, 0 to 180; None without aims."""
    if before.aim_deg is None or now.aim_deg is None:
        return None
    turn = abs(now.aim_deg - before.aim_deg) % (2 * _HALF_TURN)
    return min(turn, 2 * _HALF_TURN - turn)


def calculate_acceleration(
    speed_before: float | None, speed_now: float | None, interval_ms: float
) -> float | None:
    """Return units per second squared; None when a speed is unknown or no time has passed."""
    if speed_before is None or speed_now is None or interval_ms <= 0:
        return None
    return (speed_now - speed_before) / interval_ms * 1000
