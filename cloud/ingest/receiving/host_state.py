"""What we say of ourselves to Sparkplug nodes: online, and offline as the last will."""

from collections.abc import Callable
from typing import Any

from cloud.ingest.messages import RETAINED, Messages
from cloud.ingest.receiving.client import BulkClient
from wire.errors import Malformed
from wire.sparkplug.topics import State, decode_state, encode_state, state_topic

_QOS = 1


class HostState:
    """The retained state of one host id. For the receiver's thread."""

    def __init__(self, host_id: str, now_ms: Callable[[], int]) -> None:
        self._topic = state_topic(host_id)
        self._topic_bytes = self._topic.encode()
        self._now_ms = now_ms
        self._since_ms = 0

    def leave_will(self, client: BulkClient) -> None:
        """Have the broker say that we are gone; to be called before each connection."""
        self._since_ms = self._now_ms()
        client.will_set(self._topic, self._encoded(online=False), qos=_QOS, retain=True)

    def say_online(self, client: Any) -> None:
        """Say that we are there, with the time of the will: so nodes see which came later."""
        client.publish(self._topic, self._encoded(online=True), qos=_QOS, retain=True)

    def say_offline(self, client: BulkClient) -> None:
        """Say that we leave; the broker drops the will when we disconnect in order."""
        self._since_ms = self._now_ms()
        client.publish(self._topic, self._encoded(online=False), qos=_QOS, retain=True)

    def is_denied(self, messages: Messages) -> bool:
        """Tell whether somebody says that we are offline, as a will of ours that came late."""
        if self._topic_bytes not in messages.topics:
            return False
        return any(
            topic == self._topic_bytes and not flags & RETAINED and _says_offline(payload)
            for topic, payload, flags in zip(
                messages.topics, messages.payloads, messages.flags, strict=True
            )
        )

    def _encoded(self, *, online: bool) -> bytes:
        return encode_state(State(online, self._since_ms))


def _says_offline(payload: bytes) -> bool:
    try:
        return not decode_state(payload).online
    except Malformed:
        return False
