"""What the keys of a step's `config` may hold, beyond their types. Pure."""

from collections.abc import Collection

from tidegate.contract import StepConfig
from tidegate.errors import Misconfigured

NEEDED = {
    "api": ("path",),
    "event": ("subscribes",),
    "cron": ("cron",),
    "mqtt": ("topic",),
    "noop": (),
}
EVERYWHERE = {"type", "name", "description", "flows", "emits"}
_QUEUED = {"retry", "timeout", "lease", "execution"}
ALLOWED = {
    "api": {
        "method", "path", "body_schema", "query_params", "response_schema", "middleware",
        "websocket", "timeout", "execution",
    },
    "event": _QUEUED | {
        "subscribes", "input", "key", "concurrency", "concurrency_key", "key_concurrency",
        "rate_limit", "batch", "delay", "fifo",
    },
    "cron": _QUEUED | {"cron", "timezone", "overlap", "catch_up"},
    "mqtt": _QUEUED | {
        "topic", "qos", "key", "concurrency", "concurrency_key", "key_concurrency", "rate_limit",
    },
    "noop": {"subscribes"},
}  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")
MAX_S = 30 * 24 * 3600
ABOVE_ZERO_S = ("timeout", "lease", "retry.cap", "rate_limit.per")
FROM_ZERO_S = ("delay", "retry.base", "batch.wait")
MOST = {
    "retry.attempts": 1_000,
    "concurrency": 10_000,
    "key_concurrency": 10_000,
    "batch.size": 10_000,
    "rate_limit.limit": 1_000_000,
}
"""The largest counts; the smallest is 1."""


def check(step: StepConfig, *, given: Collection[str]) -> None:
    """Check a config whose file gives these keys.

    Raises:
        Misconfigured: the message names the key and what it may hold.
    """
    for key in NEEDED[step.type]:
        if not getattr(step, key):
            raise Misconfigured(f"a step of type '{step.type}' needs the key '{key}'")
    for key in sorted(set(given) - EVERYWHERE - ALLOWED[step.type]):
        raise Misconfigured(f"a step of type '{step.type}' has no key '{key}'")
    if not step.name or step.name.startswith("tidegate."):
        raise Misconfigured("name must be a text that does not begin with 'tidegate.'")
    _check_topics(step)
    _check_times(step)
    _check_counts(step)
    _check_pairs(step)


def _check_topics(step: StepConfig) -> None:
    for key, topics in (("subscribes", step.subscribes), ("emits", step.emits or ())):
        for topic in topics:
            name = topic.removesuffix(".*")
            if not name or "*" in name:
                raise Misconfigured(
                    f"{key}: '{topic}' matches nothing; write an exact topic, or one that ends"
                    " with '.*' for exactly one more segment"
                )


def _check_times(step: StepConfig) -> None:
    for name in ABOVE_ZERO_S:
        seconds = _number(step, name)
        if seconds is not None and not 0 < seconds <= MAX_S:
            raise Misconfigured(f"{name} must be seconds, above 0 and at most 30 days")
    for name in FROM_ZERO_S:
        seconds = _number(step, name)
        if seconds is not None and not 0 <= seconds <= MAX_S:
            raise Misconfigured(f"{name} must be seconds, from 0 to 30 days")


def _check_counts(step: StepConfig) -> None:
    for name, most in MOST.items():
        count = _number(step, name)
        is_unused = name == "key_concurrency" and not step.concurrency_key
        if count is not None and not is_unused and not 1 <= count <= most:
            shown = "concurrency.limit" if name == "key_concurrency" else name
            raise Misconfigured(f"{shown} must be a number from 1 to {most}")


def _number(step: StepConfig, name: str) -> float | None:
    """Return what stands at a key or at `section.key`, None when the section is absent."""
    section, _, key = name.rpartition(".")
    holder = getattr(step, section) if section else step
    number: float | None = None if holder is None else getattr(holder, key)
    return number


def _check_pairs(step: StepConfig) -> None:
    if step.method.upper() not in METHODS:
        raise Misconfigured(f"method '{step.method}' is none of {', '.join(METHODS)}")
    if step.qos not in (0, 1):
        raise Misconfigured(
            "qos must be 0 or 1: what is acknowledged is durable, so 2 adds nothing"
        )
    if step.websocket and step.method.upper() != "GET":
        raise Misconfigured("a websocket step needs method 'GET'")
    if step.websocket and step.execution == "process":
        raise Misconfigured("execution 'process' and websocket do not go together: emit an event")
    if step.batch is not None and step.concurrency_key:
        raise Misconfigured("batch and concurrency by key do not go together: use batch.key")
    if step.batch is not None and (step.key or step.fifo):
        raise Misconfigured("batch and key do not go together: a lane has one event at a time")
