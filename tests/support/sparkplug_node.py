"""A small Sparkplug edge node with devices below it, for tests of the host application."""

import queue
import threading
from types import TracebackType
from typing import Any, Self

from tests.support.broker_clients import WAIT_S, Client
from wire.codecs.sparkplug import Metric, Payload, decode, encode, sent
from wire.codecs.sparkplug_types import DataType
from wire.sparkplug.session import REBIRTH

TS_MS = 1_700_000_000_000
_ALIASES_A_DEVICE = 10


class EdgeNode:
    """Publishes births and data with aliases, answers rebirth requests, leaves a will.

    Each device, and the node itself (""), has the metrics `temp` (Float) and `count` (Int16).
    """

    def __init__(
        self, port: int, *, devices: tuple[str, ...] = (), bd_seq: int = 0, answers: bool = True
    ) -> None:
        self._devices = ("", *devices)
        self._bd_seq = bd_seq
        self._seq = 0
        self._ts_ms = TS_MS
        self._answers = answers
        self._publishing = threading.RLock()
        self.requests: queue.Queue[Payload] = queue.Queue()
        death = encode(Payload([self._bd_seq_metric()]))
        self.client = Client(port, will=(self._topic("NDEATH", ""), death))
        self.client.paho.on_message = self._on_command

    def __enter__(self) -> Self:
        """Connect, listen for commands, and be born."""
        self.client.__enter__()
        self.client.subscribe("spBv1.0/plant/NCMD/edge")
        self.births()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave without a word; the broker drops the will."""
        self.client.__exit__(kind, error, trace)

    def births(self) -> None:
        """Publish the births of the node and of all devices."""
        with self._publishing:
            self._seq = 0
            for device in self._devices:
                metrics = [
                    sent("temp", 0.0, DataType.FLOAT, alias=self._alias(device, 0)),
                    sent("count", -1, DataType.INT16, alias=self._alias(device, 1)),
                ]
                if not device:
                    rebirth = sent(REBIRTH, value=False, datatype=DataType.BOOLEAN)
                    metrics += [self._bd_seq_metric(), rebirth]
                self._publish("DBIRTH" if device else "NBIRTH", device, metrics)

    def data(self, temp: float, device: str = "", *, qos: int = 0) -> None:
        """Publish a value, by its alias alone."""
        metric = Metric(alias=self._alias(device, 0), kind="float", raw=temp)
        with self._publishing:
            self._publish("DDATA" if device else "NDATA", device, [metric], qos=qos)

    def lose(self) -> None:
        """Count on as if a message had been sent that never arrives."""
        with self._publishing:
            self._seq = (self._seq + 1) % 256

    def device_death(self, device: str) -> None:
        """Say that a device has left."""
        with self._publishing:
            self._publish("DDEATH", device, [])

    def kill(self) -> None:
        """Lose the connection: the broker publishes the will."""
        self.client.drop()

    def request(self) -> Payload:
        """Return the next rebirth request; fail when none comes."""
        return self.requests.get(timeout=2 * WAIT_S)

    def _publish(self, kind: str, device: str, metrics: list[Metric], *, qos: int = 0) -> None:
        payload = encode(Payload(metrics, self._ts_ms, self._seq))
        self._seq = (self._seq + 1) % 256
        self._ts_ms += 1
        self.client.paho.publish(self._topic(kind, device), payload, qos=qos)

    def _on_command(self, _client: Any, _data: object, message: Any) -> None:
        self.requests.put(decode(bytes(message.payload)))
        if self._answers:
            self.births()

    def _topic(self, kind: str, device: str) -> str:
        return f"spBv1.0/plant/{kind}/edge" + (f"/{device}" if device else "")

    def _alias(self, device: str, number: int) -> int:
        return self._devices.index(device) * _ALIASES_A_DEVICE + number

    def _bd_seq_metric(self) -> Metric:
        return sent("bdSeq", self._bd_seq, DataType.INT64)
