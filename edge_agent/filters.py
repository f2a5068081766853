"""Report by exception: leave out values that did not change enough. Pure; off by default."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from wire.messages import Value

Name = TypeVar("Name", bound=str)


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a metric whose name matches the pattern is sent.

    A number is sent when it differs by more than `deadband` from the last one sent, any other
    value when it differs; an unchanged one is sent every `heartbeat_s` seconds.
    """

    metric: str
    deadband: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    heartbeat_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0


class _Sent(NamedTuple):
    value: Value
    at_s: float


class Deadband:
    """Remembers what each metric last sent; as many metrics as the sources have."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = filters
        self._sent: dict[str, _Sent] = {}
        self.suppressed = 0

    def apply(self, values: Mapping[Name, Value], now_s: float) -> dict[Name, Value]:
        """Return the values to send; `now_s` is monotonic seconds."""
        return {name: value for name, value in values.items() if self._passes(name, value, now_s)}

    def _passes(self, name: str, value: Value, now_s: float) -> bool:
        rule = next((rule for rule in self._filters if fnmatchcase(name, rule.metric)), None)
        if rule is None:
            return True
        sent = self._sent.get(name)
        if sent is None or now_s - sent.at_s >= rule.heartbeat_s or _moved(rule, sent.value, value):
            self._sent[name] = _Sent(value, now_s)
            return True
        self.suppressed += 1
        return False


def _moved(rule: Filter, before: Value, after: Value) -> bool:
    if isinstance(before, float) and isinstance(after, float):
        return abs(after - before) > rule.deadband
    return before != after
