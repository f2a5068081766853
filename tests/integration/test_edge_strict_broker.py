"""The agent at a broker with TLS, passwords, rights and limits."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.agent import Agent
from edge_agent.outbox import Sample
from edge_agent.settings import AgentSource, HostSource, Mqtt, Settings, Sources
from tests.support.server_process import required
from tests.support.servers import Mosquitto
from tidegate.configuration import Secret
from wire.ids import MetricName
from wire.messages import Value

_WAIT_S = 15.0


class StrictMosquitto(Mosquitto):
    """A broker with more lines in its configuration."""

    def __init__(self, program: str, *, folder: Path, lines: list[str]) -> None:
        super().__init__(program, folder=folder)
        self._lines = lines

    def _conf(self) -> str:
        return super()._conf() + "\n".join([*self._lines, ""])


class Fixed:
    """A source of one metric."""

    name = "fixed"
    interval_s = 0.1

    def read(self, now_s: float) -> dict[str, Value]:
        """Return the same at every time."""
        return {"level": 1.0}


Run = Callable[[list[str]], StrictMosquitto]


@pytest.fixture
def run_broker(own_mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Run]:
    """Run a broker with more lines in its configuration."""
    started: list[StrictMosquitto] = []

    def run(lines: list[str]) -> StrictMosquitto:
        broker = StrictMosquitto(own_mosquitto._program, folder=tmp_path / "strict", lines=lines)
        broker.start()
        started.append(broker)
        return broker

    yield run
    for broker in started:
        broker.stop()


def _settings(folder: Path, mqtt: Mqtt) -> Settings:
    return Settings(
        data=folder / "data",
        tenant="acme",
        device="pump",
        mqtt=mqtt,
        sources=Sources(HostSource(enabled=False), AgentSource(enabled=False)),
    )


def _eventually(is_true: Callable[[], object]) -> bool:
    pause = threading.Event()
    for _ in range(int(_WAIT_S / 0.05)):
        if is_true():
            return True
        pause.wait(0.05)
    return False


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 and its key."""
    openssl = required(shutil.which("openssl"), package="openssl")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-nodes",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
            *subject,
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_agent_publishes_over_tls(
    run_broker: Run, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """With the right authority the agent connects by TLS and its messages are taken."""
    pem, key = certificate
    broker = run_broker([f"certfile {pem}", f"keyfile {key}"])
    mqtt = Mqtt(port=broker.port, tls=True, ca_file=pem)
    agent = Agent(_settings(tmp_path, mqtt), sources=[Fixed()])

    agent.start()
    try:
        assert _eventually(lambda: "acme/pump/telemetry" in broker.log)
    finally:
        agent.stop()


# paho-mqtt leaves closing a socket whose TLS handshake failed to the reference count.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_agent_refuses_a_broker_that_it_cannot_verify(
    run_broker: Run,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A certificate that nobody vouches for gets no reading; it is said once."""
    pem, key = certificate
    broker = run_broker([f"certfile {pem}", f"keyfile {key}"])
    mqtt = Mqtt(port=broker.port, tls=True, reconnect_min_s=0.05, reconnect_max_s=0.1)
    agent = Agent(_settings(tmp_path, mqtt), sources=[Fixed()])

    agent.start()
    try:
        assert _eventually(lambda: broker.log.count("New connection") >= 4)
    finally:
        agent.stop()

    assert not agent.is_connected
    assert caplog.text.count("broker.failed") == 1
    assert "certificate verify failed" in caplog.text


def test_agent_without_the_right_to_publish_says_so_once(
    run_broker: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused PUBACK is logged once, retried, and lets nothing go."""
    acl = tmp_path / "acl"
    acl.write_text("topic read #\npattern write t/acme/pump/status\n")
    acl.chmod(0o644)
    broker = run_broker([f"acl_file {acl}"])
    mqtt = Mqtt(port=broker.port, reconnect_min_s=0.05, reconnect_max_s=0.1)
    agent = Agent(_settings(tmp_path, mqtt), sources=[Fixed()])

    agent.start()
    try:
        assert _eventually(lambda: broker.log.count("Denied PUBLISH") >= 4)
    finally:
        agent.stop()

    assert caplog.text.count("publish.failed") == 1
    assert "Not authorized" in caplog.text


def test_agent_with_a_wrong_password_keeps_trying(
    run_broker: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused password is logged once, without the password, and tried again."""
    passwords = tmp_path / "passwords"
    passwords.touch()
    passwords.chmod(0o644)
    broker = run_broker(["allow_anonymous false", f"password_file {passwords}"])
    mqtt = Mqtt(
        port=broker.port,
        password=Secret("open sesame"),
        reconnect_min_s=0.05,
        reconnect_max_s=0.1,
    )
    agent = Agent(_settings(tmp_path, mqtt), sources=[Fixed()])

    agent.start()
    try:
        assert _eventually(lambda: broker.log.count("not authorised") >= 3)
    finally:
        agent.stop()

    assert caplog.text.count("broker.failed") == 1
    assert "sesame" not in caplog.text


def test_agent_respects_the_brokers_packet_size(run_broker: Run, tmp_path: Path) -> None:
    """A backlog larger than one packet leaves in smaller ones; the broker never hangs up."""
    broker = run_broker(["max_packet_size 2000"])
    settings = _settings(tmp_path, Mqtt(port=broker.port))
    agent = Agent(settings, sources=[Fixed()])
    waiting = [Sample(1, {MetricName("text"): "x" * 300}) for _ in range(50)]
    agent.outbox.append(waiting, now_ms=1)

    agent.start()
    try:
        assert _eventually(lambda: broker.log.count("acme/pump/telemetry") >= 11)
    finally:
        agent.stop()

    assert "packet too large" not in broker.log.lower()
    assert broker.log.count("New client connected") == 1
