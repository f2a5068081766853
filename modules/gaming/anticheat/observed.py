"""A kept input as the detectors read it; what is missing or wrong in it is simply unknown. Pure."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class Observed(msgspec.Struct, frozen=True):
    """One input: when it came (ms), where the player stood, where he aimed (degrees).

    `hit` and `target_visible` are the server's own findings about a shot, None for no shot.
    """

    at_ms: float
    position: tuple[float, float, float] | None = None
    aim_deg: float | None = None
    reaction_ms: float | None = None
    hit: bool | None = None
    target_visible: bool | None = None


def observed(records: Iterable[Any]) -> list[Observed]:
    """Return the inputs in order of time; records without a time are left out."""
    found = [_one(record) for record in records if isinstance(record, Mapping)]
    return sorted((one for one in found if one is not None), key=lambda one: one.at_ms)


def _one(record: Mapping[str, Any]) -> Observed | None:
    at_ms = _number(record.get("timestamp"))
    if at_ms is None:
        return None
    sent = record.get("input")
    sent = sent if isinstance(sent, Mapping) else {}
    return Observed(
        at_ms=at_ms,
        position=_position(sent.get("position")),
        aim_deg=_number(sent.get("aim")),
        reaction_ms=_reaction_ms(record, sent, at_ms),
        hit=_truth(record.get("hit")),
        target_visible=_truth(record.get("targetVisible")),
    )


def _reaction_ms(record: Mapping[str, Any], sent: Mapping[str, Any], at_ms: float) -> float | None:
    """Return the reaction time: the server's own measure, else what the client claims."""
    began = _number(record.get("turnBeganAt"))
    if began is not None:
        return max(0.0, at_ms - began)
    claimed = _number(sent.get("reactionTime")) if sent.get("type") == "reaction" else None
    return None if claimed is None or claimed < 0 else claimed


def _position(value: object) -> tuple[float, float, float] | None:
    if isinstance(value, Mapping):
        parts = [_number(value.get(axis, 0.0 if axis == "z" else None)) for axis in "xyz"]
    elif isinstance(value, (list, tuple)) and len(value) in (2, 3):
        parts = [_number(part) for part in (*value, 0.0)[:3]]
    else:
        return None
    x, y, z = parts
    return None if x is None or y is None or z is None else (x, y, z)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # An integer may be too large for a float; nobody stands there.
    return float(value) if abs(value) < 1e18 and math.isfinite(value) else None  # noqa: PLR2004


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
