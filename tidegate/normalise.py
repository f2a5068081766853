"""From a step file's `config` dict to `StepConfig`: aliases, unknown keys, what a type needs."""

import difflib
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tidegate.contract import StepConfig
from tidegate.errors import Misconfigured

_KEPT_TYPES = (bytes, bytearray, datetime, date, Decimal)
_KEYS = StepConfig.__struct_fields__
_OUTLINED = (
    "type",
    "name",
    "description",
    "flows",
    "emits",
    "method",
    "path",
    "subscribes",
    "cron",
)
_NEEDED_BY_TYPE = {
    "api": ("path",),
    "event": ("subscribes",),
    "cron": ("cron",),
    "noop": (),
}


def normalise(config: object) -> StepConfig:
    """Check a step's config and fill its defaults; camelCase and snake_case are the same key.

    Raises:
        Misconfigured: the message names the key and the nearest known one.
    """
    if not isinstance(config, dict):
        raise Misconfigured("config must be a dict")
    keys = {_snake(str(key)): value for key, value in config.items()}
    for key in keys:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.5)
            hint = f", did you mean '{close[0]}'?" if close else ""
            raise Misconfigured(f"unknown key '{key}'{hint}")
    try:
        step = msgspec.convert(keys, StepConfig)
    except msgspec.ValidationError as exc:
        raise Misconfigured(f"config: {exc}") from exc
    for key in _NEEDED_BY_TYPE[step.type]:
        if not getattr(step, key):
            raise Misconfigured(f"a step of type '{step.type}' needs the key '{key}'")
    return step


def outline(step: StepConfig) -> dict[str, Any]:
    """Return what lists of steps show: the type, the name, and the keys that the step uses."""
    fields = msgspec.structs.asdict(step)
    return {key: fields[key] for key in _OUTLINED if fields[key] or key in ("type", "name")}


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()


def emits(step: StepConfig, topic: str) -> bool:
    """Tell whether the step may emit the topic; without a list it may emit any."""
    return step.emits is None or any(matches(pattern, topic) for pattern in step.emits)


def matches(pattern: str, topic: str) -> bool:
    """Match a topic against an exact name or `a.*` (exactly one more segment)."""
    if not pattern.endswith(".*"):
        return pattern == topic
    prefix, _, last = topic.rpartition(".")
    return prefix == pattern[:-2] and bool(last)


def as_plain(data: Any) -> Any:
    """Turn Structs in an event's data into plain dicts; Decimal and datetime stay."""
    return msgspec.to_builtins(data, builtin_types=_KEPT_TYPES)
