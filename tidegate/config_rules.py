"""What the keys of a step's `config` may hold, beyond their types. Pure."""

from collections.abc import Collection

from tidegate.contract import StepConfig
from tidegate.errors import Misconfigured

_NEEDED = {
    "api": ("path",),
    "event": ("subscribes",),
    "cron": ("cron",),
    "mqtt": ("topic",),
    "noop": (),
}
_EVERYWHERE = {"type", "name", "description", "flows", "emits"}
_QUEUED = {"retry", "timeout", "lease", "execution"}
_ALLOWED = {
    "api": {
        "method", "path", "body_schema", "query_params", "response_schema", "middleware",
        "websocket", "timeout",
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
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")
_MAX_BATCH = 10_000
_MAX_RATE = 1_000_000


def check(step: StepConfig, *, given: Collection[str]) -> None:
    """Check a config whose file gives these keys.

    Raises:
        Misconfigured: the message names the key and what it may hold.
    """
    for key in _NEEDED[step.type]:
        if not getattr(step, key):
            raise Misconfigured(f"a step of type '{step.type}' needs the key '{key}'")
    for key in sorted(set(given) - _EVERYWHERE - _ALLOWED[step.type]):
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
    times = {"timeout": step.timeout, "lease": step.lease, "retry.cap": step.retry.cap}
    if step.rate_limit is not None:
        times["rate_limit.per"] = step.rate_limit.per
    for name, seconds in times.items():
        if not 0 < seconds <= 30 * 24 * 3600:
            raise Misconfigured(f"{name} must be seconds, above 0 and at most 30 days")
    waits = {"delay": step.delay, "retry.base": step.retry.base}
    if step.batch is not None:
        waits["batch.wait"] = step.batch.wait
    for name, seconds in waits.items():
        if not 0 <= seconds <= 30 * 24 * 3600:
            raise Misconfigured(f"{name} must be seconds, from 0 to 30 days")


def _check_counts(step: StepConfig) -> None:
    counts = {"retry.attempts": (step.retry.attempts, 1_000)}
    counts["concurrency"] = (step.concurrency, 10_000)
    if step.batch is not None:
        counts["batch.size"] = (step.batch.size, _MAX_BATCH)
    if step.rate_limit is not None:
        counts["rate_limit.limit"] = (step.rate_limit.limit, _MAX_RATE)
    if step.concurrency_key:
        counts["concurrency.limit"] = (step.key_concurrency, 10_000)
    for name, (count, most) in counts.items():
        if not 1 <= count <= most:
            raise Misconfigured(f"{name} must be a number from 1 to {most}")


def _check_pairs(step: StepConfig) -> None:
    if step.method.upper() not in _METHODS:
        raise Misconfigured(f"method '{step.method}' is none of {', '.join(_METHODS)}")
    if step.qos not in (0, 1):
        raise Misconfigured(
            "qos must be 0 or 1: what is acknowledged is durable, so 2 adds nothing"
        )
    if step.websocket and step.method.upper() != "GET":
        raise Misconfigured("a websocket step needs method 'GET'")
    if step.batch is not None and step.concurrency_key:
        raise Misconfigured("batch and concurrency by key do not go together: use batch.key")
    if step.batch is not None and (step.key or step.fifo):
        raise Misconfigured("batch and key do not go together: a lane has one event at a time")
