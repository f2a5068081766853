"""The agent behind a proxy that damages what the broker says."""

from pathlib import Path

import anyio
import pytest

from edge_agent.agent import Agent
from edge_agent.settings import AgentSource, HostSource, Mqtt, Settings, Sources
from tests.support.proxy import Proxy
from tests.support.servers import Mosquitto
from wire.messages import Value

pytestmark = pytest.mark.anyio

_WAIT_S = 20.0


class Fixed:
    """A source of one metric."""

    name = "fixed"
    interval_s = 0.1

    def read(self, now_s: float) -> dict[str, Value]:
        """Return the same at every time."""
        return {"level": 1.0}


def _agent(folder: Path, port: int) -> Agent:
    mqtt = Mqtt(port=port, keepalive_s=5, puback_timeout_s=2.0, reconnect_min_s=0.1)
    sources = Sources(HostSource(enabled=False), AgentSource(enabled=False))
    settings = Settings(data=folder, tenant="acme", device="pump", mqtt=mqtt, sources=sources)
    return Agent(settings, sources=[Fixed()])


async def test_agent_connects_anew_when_a_length_was_damaged(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """The packet that never ends swallows every answer: without PUBACKs the connection is over."""
    async with Proxy(own_mosquitto.port) as proxy:
        # Ping answers that take their time keep paho's own check content.
        proxy.to_client.latency_s = 0.3
        agent = _agent(tmp_path, proxy.port)
        agent.start()
        try:
            with anyio.fail_after(_WAIT_S):
                while not agent.is_connected:  # noqa: ASYNC110 - the agent has threads, no events
                    await anyio.sleep(0.05)
                proxy.to_client.corrupt_at = 1
                while proxy.accepted < 2 or not agent.is_connected:  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.05)
        finally:
            await anyio.to_thread.run_sync(agent.stop)

    assert proxy.to_client.corrupt_at is None
