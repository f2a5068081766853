"""Messages that the broker answered with a no: aiomqtt takes every PUBACK for a yes."""

from typing import Any, Protocol

from devices.simulator.errors import Refused

_FAILURE = 0x80
_QUOTA_EXCEEDED = 0x97


class MqttClient(Protocol):
    """What is needed of the paho client inside aiomqtt's: its callback for PUBACKs."""

    on_publish: Any


class Refusals:
    """Listens to a client's PUBACKs beside aiomqtt; made once for each connection.

    Brokers with MQTT 5 say that they refuse a message; with 3.1.1 they have no word for it.
    """

    def __init__(self, client: MqttClient) -> None:
        self._next = client.on_publish
        self._refused: Any = None
        client.on_publish = self._heard

    def check(self, topic: str) -> None:
        """Raise `Refused` when the broker refused what was published since the last check."""
        code, self._refused = self._refused, None
        if code is not None:
            raise Refused(f"{topic} ({code})", may_pass=code.value == _QUOTA_EXCEEDED)

    def _heard(self, client: object, data: object, mid: int, code: Any, properties: object) -> None:
        if code.value >= _FAILURE:
            self._refused = code
        self._next(client, data, mid, code, properties)
