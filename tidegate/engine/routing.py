"""Which steps an emitted event goes to, when, and in which lane. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tidegate.contract import Step, StepConfig
from tidegate.definition.topics import matches
from tidegate.engine.pointers import Pointer
from tidegate.engine.transaction import Emission

_MAX_KNOWN_TOPICS = 4096


class Destination(NamedTuple):
    """An address to be, before it is known whether it is handled here at once."""

    step: str
    due_at_ms: int
    lane: str | None


class _Subscriber(NamedTuple):
    config: StepConfig
    key: Pointer | None

    def lane_of(self, emission: Emission) -> str | None:
        """Return the lane: the step's own key wins, then the emission's; fifo needs none."""
        lane = self.key.text_in(emission.data) if self.key else emission.key
        in_order = self.config.fifo or self.config.type == "cron"
        return "" if lane is None and in_order else lane

    def destination_of(self, emission: Emission, now_ms: int) -> Destination:
        due_at = now_ms if emission.due_at_ms is None else emission.due_at_ms
        due_at += round(self.config.delay * 1000)
        return Destination(self.config.name, due_at, self.lane_of(emission))


class Router:
    """Knows every step of the application, also those that another process runs."""

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self._subscribers = {
            name: _Subscriber(config, Pointer(config.key) if config.key else None)
            for name, step in steps.items()
            if (config := step.config).type in ("event", "mqtt", "cron")
        }
        self._by_topic: dict[str, list[_Subscriber]] = {}

    def destinations(self, emission: Emission, now_ms: int) -> Iterable[Destination]:
        """Return where an event of this topic goes."""
        for subscriber in self._subscribers_of(emission.topic):
            yield subscriber.destination_of(emission, now_ms)

    def hearers(self, topic: str) -> list[str]:
        """Return the names of the steps that an event of this topic goes to."""
        return [one.config.name for one in self._subscribers_of(topic)]

    def _subscribers_of(self, topic: str) -> list[_Subscriber]:
        known = self._by_topic.get(topic)
        if known is None:
            known = [one for one in self._subscribers.values() if _subscribes(one.config, topic)]
            if len(self._by_topic) < _MAX_KNOWN_TOPICS:
                self._by_topic[topic] = known
        return known


def own_topic(config: StepConfig) -> str:
    """Return the topic on which a cron or mqtt step alone gets its input."""
    return f"tidegate.{config.type}/{config.name}"


def _subscribes(config: StepConfig, topic: str) -> bool:
    if config.type != "event":
        return topic == own_topic(config)
    # The runtime's own topics are for whom they name.
    return not topic.startswith("tidegate.") and any(
        matches(pattern, topic) for pattern in config.subscribes
    )
