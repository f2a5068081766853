"""From a step file's `config` dict to `StepConfig`: aliases, unknown keys, what a type needs."""

from typing import Any

import msgspec

from tidegate.contract import Batch, RateLimit, Retry, StepConfig
from tidegate.definition.keys import as_keys, spelled_anew
from tidegate.definition.rules import check
from tidegate.errors import Misconfigured

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
