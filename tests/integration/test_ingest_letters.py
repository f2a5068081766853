"""`tidegate letters` against a running instance, as the guide for lost data shows it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from urllib.parse import urlencode

import httpx

from tests.support.instances import tidegate, tidegate_json
from tests.support.ports import unused_port

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "find-lost-data.md"
_UP = (sys.executable, "-c", "from tidegate.cli import main; main()", "up")
_SOON_S = 30.0
_JUNK, _BYTES, _GOOD = b"<xml/>", b"\xff\x01", b'{"boot":"k","seq":3,"values":{"t":1}}'


@contextmanager
def _up(data: Path) -> Iterator[httpx.Client]:
    """Run the platform until the context is left; yields a client with its token."""
    port, mqtt_port = unused_port(), unused_port()
    line = [*_UP, "--data", str(data), "--port", str(port), "--mqtt-port", str(mqtt_port)]
    process = subprocess.Popen([*line, "--no-agent", "--no-simulator"], stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            until = monotonic() + _SOON_S
            while not _is_ready(client) and monotonic() < until:
                assert process.poll() is None, "it ended before it was ready"
            token = (data / "admin.token").read_text().strip()
            client.headers["Authorization"] = f"Bearer {token}"
            yield client
    finally:
        process.terminate()
        process.wait(timeout=20)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready", timeout=1.0).is_success
    except httpx.TransportError:
        return False


def _send(client: httpx.Client, device: str, payload: bytes) -> int:
    query = urlencode({"tenant": "acme", "device": device})
    return client.post(f"/api/v1/telemetry?{query}", content=payload).status_code


def test_letters_are_listed_shown_and_replayed(tmp_path: Path) -> None:
    """By device and reason; text as text, bytes in hexadecimal; and nothing to do is said."""
    data = tmp_path / "data"
    with _up(data) as client:
        statuses = [_send(client, "pump-1", payload) for payload in (_JUNK, _BYTES, _GOOD)] + [
            _send(client, "fan", _JUNK)
        ]

        listed = tidegate_json("letters", "list", "--device", "pump-1", "--data", data)
        text = tidegate("letters", "show", 1, "--data", data).stdout
        hexadecimal = tidegate("letters", "show", 2, "--data", data).stdout
        lines = tidegate("letters", "list", "--reason", "MALFORMED", "--data", data).stdout
        again = tidegate_json("letters", "replay", "--device", "fan", "--data", data)
        everything = tidegate("letters", "replay", "--all", "--data", data)
        unclear = tidegate("letters", "replay", "--data", data)
        nobody = tidegate("letters", "show", 99, "--data", data)
        ledger = client.get("/api/v1/devices/acme/pump-1/ledger").json()

    assert statuses == [400, 400, 202, 400]
    assert [one["id"] for one in listed["dead_letters"]] == [2, 1]
    assert text.endswith("<xml/>\n")
    assert hexadecimal.endswith("ff 01\n")
    assert lines.count("t/acme/") >= 2
    assert (again["letters"], again["refused"], again["accepted"]) == (1, 1, 0)
    assert "3 letters, 0 readings stored, 3 letters refused again" in everything.stdout
    assert (unclear.returncode, nobody.returncode) == (2, 2)
    assert "--all" in unclear.stderr
    assert "no letter 99" in nobody.stderr
    assert (ledger["received"], ledger["stored"], ledger["dead"]) == (3, 1, 2)
    assert ledger["last_gap"]["missing"] == 2


def test_guide_names_what_there_is() -> None:
    """Every command of the guide exists."""
    guide = GUIDE.read_text("utf-8")
    commands = {
        line.split()[2] for line in guide.splitlines() if line.startswith("tidegate letters")
    }

    helped = tidegate("letters", "--help").stdout

    assert commands == {"list", "show", "replay"}
    assert all(command in helped for command in commands)
