"""A broker that only speaks MQTT 3.1.1: the agent adapts by itself."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from amqtt.broker import Broker

from edge_agent.agent import Agent
from edge_agent.settings import HostSource, Mqtt, Settings, Sources

_WAIT_S = 20.0


@pytest.fixture
def amqtt_port(free_port: int) -> Iterator[int]:
    """Run amqtt in a thread of its own."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    thread = threading.Thread(target=_serve, args=(loop, free_port, ready), daemon=True)
    thread.start()
    assert ready.wait(_WAIT_S)
    yield free_port
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_WAIT_S)


def _serve(loop: asyncio.AbstractEventLoop, port: int, ready: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(config, loop=loop)
    loop.run_until_complete(broker.start())
    ready.set()
    loop.run_forever()
    loop.run_until_complete(broker.shutdown())
    loop.close()


def test_agent_falls_back_to_mqtt_311(amqtt_port: int, tmp_path: Path) -> None:
    """After the refusal of version 5 the agent connects, and its messages are taken."""
    settings = Settings(
        data=tmp_path,
        mqtt=Mqtt(port=amqtt_port, reconnect_min_s=0.1, reconnect_max_s=0.5, connect_timeout_s=0.5),
        sources=Sources(host=HostSource(interval_s=0.1)),
    )
    agent = Agent(settings)

    agent.start()
    try:
        assert _eventually(lambda: agent.is_connected and agent.outbox.state.next_seq > 5)
    finally:
        agent.stop()


def _eventually(is_true: "object") -> bool:
    pause = threading.Event()
    for _ in range(int(_WAIT_S / 0.05)):
        if is_true():  # type: ignore[operator]
            return True
        pause.wait(0.05)
    return False
