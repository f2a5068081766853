"""The keys of a step's `config`: their spellings, and older ones. Pure."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.errors import Misconfigured

# Hints for a hosting service that we do not have; they may stay in the file.
_HOSTING = ("ram", "cpu")


def as_keys(given: Mapping[Any, Any], known: Sequence[str], *, within: str = "") -> dict[str, Any]:
    """Return the mapping with its keys in snake_case.

    Raises:
        Misconfigured: a key is not known; the message names the nearest that is. Or it is there
            in two spellings.
    """
    spelled: dict[str, str] = {}
    for written in map(str, given):
        other = spelled.setdefault(snake(written), written)
        if other != written:
            raise Misconfigured(f"'{other}' and '{written}' are the same key: keep one of them")
    keys = {snake(str(key)): value for key, value in given.items()}
    for key in keys:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f", did you mean '{close[0]}'?" if close else ""
            raise Misconfigured(f"unknown key '{f'{within}.' if within else ''}{key}'{hint}")
    return keys


def snake(key: str) -> str:
    """Return a camelCase key in snake_case."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()


def spelled_anew(keys: dict[str, Any]) -> dict[str, Any]:
    """Return the keys with older and nested spellings mapped on the ones that we use.

    `infrastructure.queue` is the older spelling of retry, lease, delay and fifo, and
    `concurrency: {limit, key}` of the two flat keys.
    """
    keys = dict(keys)
    infrastructure = keys.pop("infrastructure", None)
    if infrastructure is not None:
        keys = {**_from_infrastructure(_section(infrastructure, "infrastructure")), **keys}
    if isinstance(keys.get("concurrency"), Mapping):
        nested = as_keys(keys.pop("concurrency"), ("limit", "key"), within="concurrency")
        limit, key = nested.get("limit", 1), nested.get("key")
        spelled = {"concurrency": limit} if key is None else {"concurrency_key": key}
        keys.update(spelled, key_concurrency=limit)
    return keys


def _from_infrastructure(given: Mapping[str, Any]) -> dict[str, Any]:
    sections = as_keys(given, ("handler", "queue"), within="infrastructure")
    handler = as_keys(
        _section(sections.get("handler", {}), "infrastructure.handler"),
        ("timeout", *_HOSTING),
        within="infrastructure.handler",
    )
    found = {key: value for key, value in handler.items() if key not in _HOSTING}
    queue = as_keys(
        _section(sections.get("queue", {}), "infrastructure.queue"),
        ("type", "max_retries", "visibility_timeout", "delay_seconds", "concurrency"),
        within="infrastructure.queue",
    )
    return {**found, **_from_queue(queue)}


def _from_queue(queue: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "visibility_timeout": "lease",
        "delay_seconds": "delay",
        "concurrency": "concurrency",
    }
    found = {names[key]: value for key, value in queue.items() if key in names}
    retries = queue.get("max_retries")
    if retries is not None:
        if not isinstance(retries, int) or retries < 0:
            raise Misconfigured("infrastructure.queue.max_retries must be a number from 0")
        found["retry"] = {"attempts": retries + 1}
    kind = queue.get("type", "standard")
    if kind not in ("standard", "fifo"):
        raise Misconfigured("infrastructure.queue.type must be 'standard' or 'fifo'")
    return {**found, "fifo": kind == "fifo"} if "type" in queue else found


def _section(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Misconfigured(f"{name} must be a dict")
    return value
