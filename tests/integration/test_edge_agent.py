"""The agent as a process against a real Mosquitto: nothing is lost, whatever is killed."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.outbox_file import open_outbox
from edge_agent.settings import OutboxLimits
from tests.support.decoding import decoded_json
from tests.support.servers import Mosquitto
from wire.codecs.json import decode_status, encode
from wire.messages import Ack, Status

_WAIT_S = 20.0
_REPOSITORY = Path(__file__).parents[2]
_CONFIG = """
tenant = "{tenant}"
device = "pump"
[mqtt]
host = "{host}"
port = {port}
ack_timeout_s = 1.0
reconnect_min_s = 0.1
reconnect_max_s = 0.5
[sources.host]
interval_s = {interval_s}
[sources.agent]
interval_s = 1.0
"""


class Cloud:
    """Stands where the cloud's ingester stands: remembers readings, acknowledges if told to."""

    def __init__(self, broker: Mosquitto, tenant: str, *, acknowledges: bool) -> None:
        self._acknowledges = acknowledges
        self._base = f"t/{tenant}/pump"
        self._changed = threading.Condition()
        self.seen: dict[str, set[int]] = {}
        self.statuses: list[Status] = []
        self.metrics: set[str] = set()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.connect(broker.host, broker.port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_until(self, is_true: Callable[[], object]) -> None:
        """Return when something is true of what was received; fail after a while."""
        with self._changed:
            assert self._changed.wait_for(is_true, _WAIT_S), (self.seen, self.statuses)

    def highest(self) -> int:
        """Return the highest sequence seen."""
        return max((max(seqs) for seqs in self.seen.values()), default=0)

    def wait_for_more(self, count: int) -> None:
        """Return when the highest sequence has grown by so many."""
        target = self.highest() + count
        self.wait_until(lambda: self.highest() >= target)

    def _on_connect(
        self, client: Client, _u: object, _f: ConnectFlags, _c: ReasonCode, _p: Properties | None
    ) -> None:
        client.subscribe(f"{self._base}/telemetry", qos=1)
        client.subscribe(f"{self._base}/status", qos=1)

    def _on_message(self, client: Client, _u: object, message: MQTTMessage) -> None:
        with self._changed:
            if message.topic.endswith("/status"):
                self.statuses.append(decode_status(bytes(message.payload)))
            else:
                self._remember(client, bytes(message.payload))
            self._changed.notify_all()

    def _remember(self, client: Client, payload: bytes) -> None:
        decoded = decoded_json(payload)
        for reading in decoded.readings:
            assert reading.boot is not None
            assert reading.seq is not None
            self.seen.setdefault(reading.boot, set()).add(reading.seq)
            self.metrics.update(reading.values)
        if self._acknowledges:
            boot = decoded.readings[0].boot or ""
            seq = (decoded.first or 1) - 1
            while seq + 1 in self.seen[boot]:
                seq += 1
            client.publish(f"{self._base}/ack", encode(Ack(boot, seq)), qos=1)


class AgentProcess:
    """`python -m edge_agent` with a folder of its own."""

    def __init__(self, broker: Mosquitto, tenant: str, folder: Path, interval_s: float) -> None:
        self.data = folder / "data"
        self.log = folder / "agent.log"
        self._config = folder / "edge.toml"
        self._config.write_text(
            _CONFIG.format(tenant=tenant, host=broker.host, port=broker.port, interval_s=interval_s)
        )

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run it; kill it at the end if the test has not ended it."""
        command = [sys.executable, "-m", "edge_agent", "--config", str(self._config)]
        environ = {**os.environ, "PYTHONPATH": str(_REPOSITORY)}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*command, "--data", str(self.data), "--stop-on-eof"],
                env=environ,
                stdin=subprocess.PIPE,
                stderr=log,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait(_WAIT_S)
            assert process.stdin is not None
            process.stdin.close()

    def held(self) -> list[int | None]:
        """Return the sequences in the outbox of the agent, which must have ended."""
        outbox = open_outbox(self.data, OutboxLimits())
        try:
            return [reading.seq for reading in outbox.read(0, 100_000)]
        finally:
            outbox.close()


@pytest.fixture
def make_agent(tmp_path: Path, unique_name: str) -> Callable[[Mosquitto, float], AgentProcess]:
    """Make an agent of a tenant of its own."""
    return lambda broker, interval_s: AgentProcess(broker, unique_name, tmp_path, interval_s)


MakeAgent = Callable[[Mosquitto, float], AgentProcess]


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    assert process.wait(6.0) == 0


def _is_whole(seqs: set[int]) -> bool:
    return seqs == set(range(1, max(seqs) + 1))


def test_agent_delivers_real_host_metrics(
    mosquitto: Mosquitto, unique_name: str, make_agent: MakeAgent
) -> None:
    """Readings of this machine arrive in sequence; birth and farewell frame them."""
    with Cloud(mosquitto, unique_name, acknowledges=True) as cloud:
        with make_agent(mosquitto, 0.2).running() as process:
            cloud.wait_until(lambda: cloud.highest() >= 10)
            _end(process)
        cloud.wait_until(lambda: len(cloud.statuses) >= 2)

    (seqs,) = cloud.seen.values()
    assert _is_whole(seqs)
    assert {"cpu_used_pct", "memory_used_pct", "disk_used_pct", "load_1m"} <= cloud.metrics
    assert [status.state for status in cloud.statuses] == ["online", "offline"]
    assert cloud.statuses[0].boot in cloud.seen


def test_agent_outbox_is_emptied_by_acknowledgements_only(
    mosquitto: Mosquitto, unique_name: str, make_agent: MakeAgent
) -> None:
    """A broker's PUBACK lets nothing go; the cloud's acknowledgement lets everything go."""
    agent = make_agent(mosquitto, 0.2)
    with Cloud(mosquitto, unique_name, acknowledges=False) as cloud, agent.running() as process:
        cloud.wait_until(lambda: cloud.highest() >= 5)
        _end(process)
    unacknowledged = agent.held()

    with Cloud(mosquitto, unique_name, acknowledges=True) as cloud, agent.running() as process:
        cloud.wait_until(lambda: cloud.highest() >= len(unacknowledged) + 5)
        _end(process)

    assert unacknowledged == list(range(1, len(unacknowledged) + 1))
    # The last reading's acknowledgement may come when the agent has already gone.
    assert len(agent.held()) <= 2


def test_agent_killed_without_warning_loses_nothing(
    mosquitto: Mosquitto, unique_name: str, make_agent: MakeAgent
) -> None:
    """After kill -9 and restart, every sequence ever given out arrives, under one boot."""
    agent = make_agent(mosquitto, 0.05)
    with Cloud(mosquitto, unique_name, acknowledges=True) as cloud:
        for _ in range(3):
            with agent.running() as process:
                cloud.wait_for_more(15)
                process.kill()
        with agent.running() as process:
            cloud.wait_for_more(15)
            _end(process)

    (seqs,) = cloud.seen.values()
    assert _is_whole(seqs)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_agent_recovers_from_a_broker_restart(
    own_mosquitto: Mosquitto, unique_name: str, make_agent: MakeAgent, how: str
) -> None:
    """What is measured while the broker is away arrives when it is back."""
    agent = make_agent(own_mosquitto, 0.1)
    with Cloud(own_mosquitto, unique_name, acknowledges=True) as cloud, agent.running() as process:
        cloud.wait_until(lambda: cloud.highest() >= 5)
        getattr(own_mosquitto, how)()
        before = cloud.highest()
        threading.Event().wait(1.0)
        own_mosquitto.start()
        cloud.wait_until(lambda: cloud.highest() >= before + 20)
        cloud.wait_until(lambda: all(map(_is_whole, cloud.seen.values())))
        _end(process)

    log = agent.log.read_text()
    assert log.count("broker.failed") == 1
    assert log.count("broker.recovered") == 1


def test_agent_is_declared_offline_by_its_last_will(
    mosquitto: Mosquitto, unique_name: str, make_agent: MakeAgent
) -> None:
    """An agent that dies is offline for everybody who asks, without a farewell of its own."""
    with Cloud(mosquitto, unique_name, acknowledges=True) as cloud:
        with make_agent(mosquitto, 1.0).running() as process:
            cloud.wait_until(lambda: cloud.highest() >= 1)
            process.kill()
        cloud.wait_until(lambda: cloud.statuses and cloud.statuses[-1].state == "offline")


def test_agent_stops_with_its_parent(
    mosquitto: Mosquitto, unique_name: str, make_agent: MakeAgent
) -> None:
    """When the other end of its standard input goes away, the agent leaves in order."""
    with Cloud(mosquitto, unique_name, acknowledges=True) as cloud:
        with make_agent(mosquitto, 1.0).running() as process:
            cloud.wait_until(lambda: cloud.highest() >= 1)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(6.0) == 0
        cloud.wait_until(lambda: cloud.statuses[-1].state == "offline")


def test_agent_stops_in_time_while_the_broker_is_away(
    own_mosquitto: Mosquitto, make_agent: MakeAgent
) -> None:
    """SIGTERM ends an agent within 5 s though there is nobody to say goodbye to."""
    agent = make_agent(own_mosquitto, 0.1)
    own_mosquitto.stop()
    with agent.running() as process:
        _wait_for_text(agent.log, "broker.failed")
        process.terminate()
        assert process.wait(5.0) == 0

    assert agent.held()


def test_agent_with_a_broken_configuration_says_so(tmp_path: Path) -> None:
    """A wrong key is one line on stderr and exit code 2."""
    config = tmp_path / "edge.toml"
    config.write_text("[mqtt]\nprot = 1884\n")

    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "--config", str(config)],
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=_WAIT_S,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "did you mean 'port'?" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_agent_stays_within_its_memory(
    mosquitto: Mosquitto, unique_name: str, make_agent: MakeAgent
) -> None:
    """A running agent takes at most 36 MB."""
    with (
        Cloud(mosquitto, unique_name, acknowledges=True) as cloud,
        make_agent(mosquitto, 0.1).running() as process,
    ):
        cloud.wait_until(lambda: cloud.highest() >= 20)
        status = Path(f"/proc/{process.pid}/status").read_text()
        _end(process)

    (resident_kib,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
    assert int(resident_kib) <= 36 * 1024


def _wait_for_text(file: Path, text: str) -> None:
    for _ in range(int(_WAIT_S / 0.05)):
        if file.exists() and text in file.read_text():
            return
        threading.Event().wait(0.05)
    pytest.fail(f"{text} not in {file}")
