"""Mosquitto as our child: its start, its deaths and ours, and what is kept over them."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from broker.accounts import INGEST_USERNAME, Account, hash_password, verify_password
from broker.installed import ask_version, find_program
from broker.mosquitto import run_mosquitto
from broker.orphan import _from_ps, find_process
from broker.port import BrokerEnded, BrokerKind
from broker.run import run_broker
from tests.support.broker_clients import Client
from tests.support.ports import wait_for_port
from tests.support.server_process import required
from tidegate.errors import Misconfigured

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"
DEVICE = "acme/pump-1"
PASSWORD = "geheim"
ACCOUNTS = [Account(name, hash_password(PASSWORD)) for name in (INGEST_USERNAME, DEVICE)]
REPOSITORY = Path(__file__).parents[2]
# A program that runs a broker until it is killed.
PARENT = """
import sys, anyio
from pathlib import Path
from broker.accounts import INGEST_USERNAME, Account, hash_password
from broker.run import run_broker

async def main(folder, port):
    accounts = [Account(name, hash_password("geheim")) for name in (INGEST_USERNAME, "acme/pump-1")]
    async with run_broker(
        "mosquitto", host="127.0.0.1", port=port, folder=folder, accounts=accounts
    ):
        print("ready", flush=True)
        await anyio.sleep_forever()

anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
"""


@pytest.fixture
def program() -> str:
    """Return the path of mosquitto; without it skip, in CI fail."""
    return required(find_program(), package="mosquitto")


@pytest.fixture
def fake_mosquitto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a mosquitto in front of the PATH that says its version and cannot start."""
    script = tmp_path / "bin" / "mosquitto"
    script.parent.mkdir()
    script.write_text(
        '#!/bin/sh\n[ "$1" = -h ] && { echo mosquitto version 2.0.99; exit; }\n'
        "echo Error: permission denied >&2\nexit 1\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")


def _start(*command: str | Path, cwd: Path | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(list(command), cwd=cwd)


def _kill_after_ready(folder: Path, port: int, *, queue_a_message: bool) -> int:
    """Run a parent, let its broker keep something, kill it; return the pid of its Mosquitto."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), str(port)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert "ready\n" in iter(parent.stdout.readline, "")
        pid = _pid(folder)
        if queue_a_message:
            _queue_one_message(port)
        parent.kill()
    return pid


def _pid(folder: Path) -> int:
    return int((folder / "mosquitto.pid").read_text().split()[0])


def _ends(pid: int, *, timeout_s: float = 10.0) -> bool:
    waiting = threading.Event()
    for _ in range(int(timeout_s / 0.05)):
        if find_process(pid) is None:
            return True
        waiting.wait(0.05)
    return False


def _queue_one_message(port: int) -> None:
    with Client(port, INGEST_USERNAME, PASSWORD, clean=False, manual_ack=True) as ingest:
        ingest.subscribe("t/+/+/telemetry")
    with Client(port, DEVICE, PASSWORD) as device:
        device.publish(f"t/{DEVICE}/telemetry", b"precious")


async def _queued(port: int) -> list[bytes]:
    def read() -> list[bytes]:
        with Client(port, INGEST_USERNAME, PASSWORD, clean=False, manual_ack=True) as ingest:
            return ingest.received(1)

    return await anyio.to_thread.run_sync(read)


async def _until_answers(port: int) -> None:
    await anyio.to_thread.run_sync(lambda: wait_for_port(port, timeout_s=10.0))


def test_find_process_knows_without_proc_as_well() -> None:
    """Where there is no /proc, ps says the same of a process, and of one that has ended."""
    required(shutil.which("ps"), package="procps")
    with _start("true") as ended:
        pass

    assert _from_ps(os.getpid()) == find_process(os.getpid())
    assert _from_ps(ended.pid) is find_process(ended.pid) is None


@pytest.mark.parametrize("kind", ["mosquitto", "amqtt"])
async def test_port_in_use_is_one_clear_line(
    program: str, tmp_path: Path, kind: BrokerKind
) -> None:
    """The message names the address and what to do."""
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(Misconfigured, match=rf"127\.0\.0\.1:{port} is in use: .*\[broker\]"):
            async with run_broker(kind, host=HOST, port=port, folder=tmp_path, accounts=ACCOUNTS):
                pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_foreign_host_is_one_clear_line(tmp_path: Path, free_port: int, host: str) -> None:
    """An address that is not this machine's is the operator's to correct."""
    with pytest.raises(Misconfigured, match=r"correct \[broker\] host"):
        async with run_broker("amqtt", host=host, port=free_port, folder=tmp_path, accounts=[]):
            pass


async def test_failed_start_quotes_mosquitto(program: str, tmp_path: Path, free_port: int) -> None:
    """When it cannot start, the last line of its log is in the message."""
    (tmp_path / "sessions.db").write_bytes(b"this is no database of mosquitto's")

    with pytest.raises(Misconfigured, match=r"does not start: .*(persist|database|Error)"):
        async with run_broker(
            "auto", host=HOST, port=free_port, folder=tmp_path, accounts=ACCOUNTS
        ):
            pass


@pytest.mark.usefixtures("fake_mosquitto")
async def test_auto_runs_amqtt_when_mosquitto_cannot(tmp_path: Path, free_port: int) -> None:
    """A Mosquitto that the system keeps out of our folder does not keep us from starting."""
    async with run_broker(
        "auto", host=HOST, port=free_port, folder=tmp_path / "data", accounts=ACCOUNTS
    ) as broker:
        assert broker.name.startswith("amqtt ")
        assert not broker.supports_mqtt5


@pytest.mark.usefixtures("fake_mosquitto")
async def test_kind_mosquitto_never_runs_another(tmp_path: Path, free_port: int) -> None:
    """Who asked for Mosquitto gets it or an error."""
    with pytest.raises(Misconfigured, match="does not start: Error: permission denied"):
        async with run_broker(
            "mosquitto", host=HOST, port=free_port, folder=tmp_path / "data", accounts=ACCOUNTS
        ):
            pass


async def test_stop_leaves_nothing_behind(program: str, tmp_path: Path, free_port: int) -> None:
    """After the context no process is left, the port is free, private files are private."""
    async with run_broker(
        "mosquitto", host=HOST, port=free_port, folder=tmp_path, accounts=ACCOUNTS
    ) as broker:
        assert broker.name.startswith("mosquitto 2.")
        pid = _pid(tmp_path)

    assert find_process(pid) is None
    assert not (tmp_path / "mosquitto.pid").exists()
    assert stat.S_IMODE((tmp_path / "accounts").stat().st_mode) == 0o600
    with socket.create_server((HOST, free_port)):
        pass


async def test_queue_survives_a_restart(program: str, tmp_path: Path, free_port: int) -> None:
    """What waits for the gateway waits on over a stop and a start."""
    where = {"host": HOST, "port": free_port, "folder": tmp_path, "accounts": ACCOUNTS}
    async with run_broker("mosquitto", **where):  # type: ignore[arg-type]
        await anyio.to_thread.run_sync(_queue_one_message, free_port)

    async with run_broker("mosquitto", **where):  # type: ignore[arg-type]
        assert await _queued(free_port) == [b"precious"]


async def test_queue_survives_kill_9_of_the_parent(
    program: str, tmp_path: Path, free_port: int
) -> None:
    """Mosquitto ends with a killed parent, saves, and the next start finds everything."""
    pid = _kill_after_ready(tmp_path, free_port, queue_a_message=True)

    async with run_broker(
        "mosquitto", host=HOST, port=free_port, folder=tmp_path, accounts=ACCOUNTS
    ):
        assert _pid(tmp_path) != pid
        assert await _queued(free_port) == [b"precious"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
async def test_mosquitto_ends_with_a_killed_parent(
    program: str, tmp_path: Path, free_port: int
) -> None:
    """Without any next start, too."""
    pid = _kill_after_ready(tmp_path, free_port, queue_a_message=False)

    assert _ends(pid)


async def test_orphan_is_stopped_and_its_queue_taken_over(
    program: str, tmp_path: Path, free_port: int
) -> None:
    """A Mosquitto that outlived its parent does not stand in the way of the next start."""
    where = {"host": HOST, "port": free_port, "folder": tmp_path, "accounts": ACCOUNTS}
    async with run_broker("mosquitto", **where):  # type: ignore[arg-type]
        pass
    orphan = _start(program, "-c", tmp_path / "mosquitto.conf")
    # As if it had been started by a process that is gone: 1 is never a test's pid.
    (tmp_path / "mosquitto.pid").write_text(f"{orphan.pid} 1\n")
    await _until_answers(free_port)
    await anyio.to_thread.run_sync(_queue_one_message, free_port)

    reaper = threading.Thread(target=orphan.wait)
    reaper.start()
    async with run_broker("mosquitto", **where):  # type: ignore[arg-type]
        reaper.join(1)
        assert orphan.returncode == 0
        assert await _queued(free_port) == [b"precious"]


async def test_pid_of_another_program_is_left_alone(
    program: str, tmp_path: Path, free_port: int
) -> None:
    """A pid that was given to somebody else meanwhile is not killed."""
    with _start("sleep", "60") as other:
        (tmp_path / "mosquitto.pid").write_text(f"{other.pid} 1\n")

        async with run_broker(
            "mosquitto", host=HOST, port=free_port, folder=tmp_path, accounts=ACCOUNTS
        ):
            ended = other.poll()
        other.kill()
        assert ended is None


async def test_folder_of_a_running_instance_is_refused(
    program: str, tmp_path: Path, free_port: int
) -> None:
    """Two instances on one folder would take each other's Mosquitto for an orphan."""
    async with run_broker(
        "mosquitto", host=HOST, port=free_port, folder=tmp_path, accounts=ACCOUNTS
    ):
        with pytest.raises(Misconfigured, match="runs a broker in this folder already"):
            async with run_broker(
                "mosquitto", host=HOST, port=free_port, folder=tmp_path, accounts=ACCOUNTS
            ):
                pass

        await _until_answers(free_port)


async def test_killed_mosquitto_is_started_again(
    program: str, tmp_path: Path, free_port: int
) -> None:
    """Its supervisor brings it back, with accounts that were added since."""
    async with run_broker(
        "mosquitto", host=HOST, port=free_port, folder=tmp_path, accounts=ACCOUNTS[:1]
    ) as broker:
        pid = _pid(tmp_path)
        os.kill(pid, signal.SIGKILL)
        await broker.set_accounts(ACCOUNTS)
        with anyio.fail_after(10):
            # The new one answers only after the new pid was written.
            while _pid(tmp_path) == pid:  # noqa: ASYNC110 - a file cannot wake us
                await anyio.sleep(0.02)
        await _until_answers(free_port)

        with anyio.fail_after(10):
            await anyio.to_thread.run_sync(
                lambda: Client(free_port, DEVICE, PASSWORD).__enter__().__exit__(None, None, None)
            )


async def test_wait_ended_tells_when_restarting_is_no_use(
    program: str, tmp_path: Path, free_port: int
) -> None:
    """After the last attempt the reason is raised to whoever waits."""
    async with run_mosquitto(
        await ask_version(program),
        host=HOST,
        port=free_port,
        folder=tmp_path,
        accounts=ACCOUNTS,
        restart_pauses_s=(0.0, 0.0),
    ) as broker:
        (tmp_path / "mosquitto.conf").write_text("nonsense true\n")
        os.kill(_pid(tmp_path), signal.SIGKILL)

        with anyio.fail_after(10), pytest.raises(BrokerEnded, match=r"nonsense|conf"):
            await broker.wait_ended()


async def test_hashes_are_those_of_mosquitto_passwd(tmp_path: Path) -> None:
    """What the tool writes we verify, what we write Mosquitto accepts (test_broker_rules)."""
    tool = required(shutil.which("mosquitto_passwd"), package="mosquitto")
    file = tmp_path / "accounts"

    await anyio.run_process([tool, "-c", "-b", str(file), DEVICE, "gehéim"])

    username, password_hash = file.read_text("utf-8").strip().split(":")
    assert username == DEVICE
    assert verify_password("gehéim", password_hash)


async def test_shipped_conf_runs_as_it_stands(program: str, tmp_path: Path, free_port: int) -> None:
    """With accounts made by mosquitto_passwd, and nothing changed but the port."""
    tool = required(shutil.which("mosquitto_passwd"), package="mosquitto")
    shipped = REPOSITORY / "broker"
    shutil.copy(shipped / "acl", tmp_path)
    conf = (
        (shipped / "mosquitto.conf").read_text().replace("listener 1883", f"listener {free_port}")
    )
    as_root = "user root\n" if os.geteuid() == 0 else ""
    (tmp_path / "mosquitto.conf").write_text(conf + as_root)
    for number, name in enumerate((INGEST_USERNAME, DEVICE)):
        create = ["-c"] if number == 0 else []
        await anyio.run_process([tool, *create, "-b", "accounts", name, PASSWORD], cwd=tmp_path)

    process = _start(program, "-c", "mosquitto.conf", cwd=tmp_path)
    try:
        await _until_answers(free_port)
        await anyio.to_thread.run_sync(_queue_one_message, free_port)
        assert await _queued(free_port) == [b"precious"]
    finally:
        process.terminate()
        process.wait(10)
