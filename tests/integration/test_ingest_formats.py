"""Other people's topics and formats, through a real broker into a store."""

from pathlib import Path

import anyio.to_thread
import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Ingest as Settings
from cloud.settings import Topic
from cloud.timeseries.memory import Memory
from tests.support.broker_clients import Client
from tests.support.ingestion import Running, running, until
from tests.support.servers import Mosquitto

pytestmark = pytest.mark.anyio

_RULES = [
    Topic(topic="shellies/{device}/#", tenant="home", format="shelly"),
    Topic(topic="boilers/{device}/{circuit}", tenant="home", format="boiler"),
]
_BOILER = """
name = "boiler"
[[metrics]]
path = ""
name = "{circuit}_c"
"""


_MESSAGES: list[tuple[str, bytes, str | None]] = [
    ("shellies/plug/relay/0/power", b"12.5", None),
    ("boilers/cellar/flow", b"56.1", None),
    (
        "t/home/meter/telemetry",
        msgspec.msgpack.encode({"boot": "k", "seq": 1, "values": {"packed": 4}}),
        "application/msgpack",
    ),
    (
        "t/home/meter/telemetry",
        b'[{"bn":"m:","n":"old","v":3,"t":-60},{"n":"new","v":4}]',
        "application/senml+json",
    ),
    ("shellies/plug/announce", b"{}", None),
]


def _publish_all(port: int) -> None:
    with Client(port, protocol=paho.MQTTv5) as client:
        for topic, payload, content_type in _MESSAGES:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # of paho
            if content_type is not None:
                properties.ContentType = content_type
            sent = client.paho.publish(topic, payload, qos=1, properties=properties)
            sent.wait_for_publish(timeout=5)


async def _stored(run: Running) -> dict[tuple[str, str], int]:
    return {(key, str(value)): ts_ms for key, ts_ms, value in await run.points()}


async def test_formats_follow_topics_and_content_types(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Shelly's bare values, a mapping file of one's own, SenML and MessagePack are all stored."""
    file = tmp_path / "boiler.toml"
    file.write_text(_BOILER, "utf-8")
    settings = Settings(topics=_RULES, mappings=[file], batch_wait_s=0.02)
    access = BrokerAccess(own_mosquitto.host, own_mosquitto.port, mqtt5=True)
    async with running(tmp_path, Memory(), broker=access, settings=settings) as run:
        await anyio.to_thread.run_sync(_publish_all, own_mosquitto.port)
        await until(lambda: run.number("messages_total") == 5)
        stored = await _stored(run)
        fates = run.ledger.totals()

    assert set(stored) == {
        ("relay:0.power_w", "12.5"),
        ("flow_c", "56.1"),
        ("packed", "4.0"),
        ("old", "3.0"),
        ("new", "4.0"),
    }
    gap_ms = stored["new", "4.0"] - stored["old", "3.0"]
    assert 60_000 <= gap_ms < 60_100
    assert (fates.stored, fates.filtered, fates.dead) == (5, 1, 0)
