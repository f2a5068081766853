"""From a step file's `config` dict to `StepConfig`: aliases, unknown keys, what a type needs."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tidegate.contract import Batch, RateLimit, Retry, StepConfig
from tidegate.definition.keys import as_keys, spelled_anew
from tidegate.definition.rules import check
from tidegate.errors import Misconfigured

_KEPT_TYPES = (bytes, bytearray, datetime, date, Decimal)
_KEYS = (*StepConfig.__struct_fields__, "infrastructure")
_OF_SECTIONS = {
    "retry": Retry.__struct_fields__,
    "batch": Batch.__struct_fields__,
    "rate_limit": RateLimit.__struct_fields__,
}
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
    "topic",
)


def normalise(config: object) -> StepConfig:
    """Check a step's config and fill its defaults; camelCase and snake_case are the same key.

    Raises:
        Misconfigured: the message names the key and the nearest known one.
    """
    if isinstance(config, StepConfig):
        check(config, given=())
        return config
    if not isinstance(config, dict):
        raise Misconfigured("config must be a dict")
    keys = spelled_anew(as_keys(config, _KEYS))
    for key, known in _OF_SECTIONS.items():
        if isinstance(keys.get(key), dict):
            keys[key] = as_keys(keys[key], known, within=key)
    try:
        step = msgspec.convert(keys, StepConfig)
    except msgspec.ValidationError as exc:
        raise Misconfigured(f"config: {exc}") from exc
    check(step, given=set(keys))
    return step


def outline(step: StepConfig) -> dict[str, Any]:
    """Return what lists of steps show: the type, the name, and the keys that the step uses."""
    fields = msgspec.structs.asdict(step)
    return {key: fields[key] for key in _OUTLINED if fields[key] or key in ("type", "name")}


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
    """Turn Structs and models in an event's data into plain dicts; Decimal and datetime stay."""
    return msgspec.to_builtins(data, builtin_types=_KEPT_TYPES, enc_hook=as_plain_value)


def is_model_instance(value: object) -> bool:
    """Tell whether a value is an instance of a pydantic model, or of what behaves like one."""
    return hasattr(type(value), "model_dump")


def as_plain_value(value: Any) -> Any:
    """Turn what numpy computed (numbers, arrays) into plain numbers and lists, a model into a dict.

    Handlers compute with numpy, check with pydantic, and keep what comes of it; neither is needed
    for this.

    Raises:
        TypeError: it is something else.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if is_model_instance(value):
        return value.model_dump()
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")
