"""deploy/telegraf/telegraf.conf: what a Telegraf with it sends is taken by the real platform."""

import gzip
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from tests.support.instances import ROOT, eventually, tidegate_json
from tests.support.ports import unused_port

CONF = ROOT / "deploy" / "telegraf" / "telegraf.conf"
_AT_NS = 1_700_000_000_000_000_000
GUIDE = ROOT / "docs" / "how-to" / "send-by-http.md"
_TAKEN = '{"accepted":1,"rejected":[]}'
_KINDS = ("influxdb_v2", "influxdb")
_AGENT = "Telegraf/1.32.1 Go/1.23.2"
# One flush, as Telegraf's serializer writes it: tags sorted, integers with `i`.
_FLUSH = "".join(
    f"{line} {_AT_NS}\n"
    for line in (
        "cpu,cpu=cpu0,host=edge usage_idle=98.4,usage_user=1.1",
        "cpu,cpu=cpu-total,host=edge usage_idle=97.9,usage_user=1.3",
        "disk,device=sda1,fstype=ext4,host=edge,mode=rw,path=/ free=3i,used_percent=71.2",
        "disk,device=sda2,fstype=ext4,host=edge,mode=rw,path=/var/My\\ Data free=4i",
        "diskio,host=edge,name=sda reads=104i,writes=22i",
        "mem,host=edge available_percent=63.2,total=8219820032i",
        "net,host=edge,interface=eth0 bytes_recv=1i,bytes_sent=2i",
        'system,host=edge uptime_format=" 1:02",load1=0.03',
    )
)
_METRICS = {
    "cpu.usage_idle{cpu=cpu0}": 98.4,
    "cpu.usage_user{cpu=cpu0}": 1.1,
    "cpu.usage_idle{cpu=cpu-total}": 97.9,
    "cpu.usage_user{cpu=cpu-total}": 1.3,
    "disk.free{path=/}": 3.0,
    "disk.used_percent{path=/}": 71.2,
    "disk.free{path=/var/My Data}": 4.0,
    "diskio.reads{name=sda}": 104.0,
    "diskio.writes{name=sda}": 22.0,
    "mem.available_percent": 63.2,
    "mem.total": 8219820032.0,
    "net.bytes_recv{interface=eth0}": 1.0,
    "net.bytes_sent{interface=eth0}": 2.0,
    "system.uptime_format": " 1:02",
    "system.load1": 0.03,
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run `tidegate up`; gives its address and its data folder."""
    folder, port = tmp_path_factory.mktemp("up"), unused_port()
    command = [sys.executable, "-c", "from tidegate.cli import main; main()", "up"]
    command += ["--data", str(folder / "data"), "--port", str(port)]
    command += ["--mqtt-port", str(unused_port()), "--no-agent", "--no-simulator"]
    address = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: _is_ready(address, process), timeout_s=40)
        yield address, folder / "data"
    finally:
        process.terminate()
        process.wait(timeout=15)
    assert "secret-of-nobody" not in (folder / "up.log").read_text()


def _is_ready(address: str, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None
    try:
        return httpx.get(f"{address}/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _output(kind: str, **variables: str) -> dict[str, Any]:
    """Return an output of the configuration, with its environment variables filled in."""
    text = re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], CONF.read_text("utf-8"))
    (output,) = tomllib.loads(text)["outputs"][kind]
    found: dict[str, Any] = output
    return found


def _request(kind: str, output: dict[str, Any]) -> httpx.Request:
    """Return the request that Telegraf's output makes of a flush; its body has no length."""
    headers = {"User-Agent": _AGENT, "Content-Type": "text/plain; charset=utf-8"}
    headers["Content-Encoding"] = output["content_encoding"]
    (url,) = output["urls"]
    if kind == "influxdb_v2":
        url += f"/api/v2/write?bucket={output['bucket']}&org={output['organization']}"
        headers["Authorization"] = f"Token {output['token']}"
    else:
        url += f"/write?db={output['database']}"
    packed = gzip.compress(_FLUSH.encode())
    return httpx.Request("POST", url, headers=headers, content=iter([packed[:100], packed[100:]]))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", _KINDS)
def test_telegraf_writes_with_the_shipped_configuration(
    platform: tuple[str, Path], kind: str
) -> None:
    """Each of its outputs starts, is answered 204, and its readings are the device's."""
    address, data = platform
    device = f"edge-{kind}"
    token = tidegate_json("device", "add", "acme", device, "--data", data)["http_token"]
    output = _output(kind, TIDEGATE_URL=address, TIDEGATE_TOKEN=token)
    basic = None if kind == "influxdb_v2" else (output["username"], output["password"])
    admin = {"Authorization": f"Bearer {(data / 'admin.token').read_text().strip()}"}
    with httpx.Client(auth=basic, timeout=20) as client:
        if basic:
            form = {"q": f'CREATE DATABASE "{output["database"]}"'}
            eventually(
                lambda: client.post(f"{address}/query", data=form).status_code == 200, timeout_s=10
            )
        written = client.send(_request(kind, output))
        names: dict[str, str | int] = {"tenant": "acme", "device": device, "from": 0, "to": 2**42}
        series = client.get(
            f"{address}/api/v1/series", params=names, headers=admin, auth=httpx.Auth()
        ).json()["series"]

    assert (written.status_code, written.content) == (204, b"")
    assert {one["metric"]: one["points"] for one in series} == {
        metric: [[_AT_NS // 1_000_000, value]] for metric, value in _METRICS.items()
    }


@pytest.mark.timeout(60)
def test_how_to_send_by_http_is_true(platform: tuple[str, Path]) -> None:
    """Its command is answered as it says, also the second time, and is counted once."""
    address, data = platform
    (command,) = re.findall(
        r"^```sh run\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    token = tidegate_json("device", "add", "acme", "guided", "--data", data)["http_token"]
    shell = {**os.environ, "TOKEN": token}
    script = command.replace("http://127.0.0.1:8080", address)
    eventually(lambda: _said(script, shell) == _TAKEN, timeout_s=10)
    again = _said(script, shell)
    admin = {"Authorization": f"Bearer {(data / 'admin.token').read_text().strip()}"}
    ledger = httpx.get(f"{address}/api/v1/devices/acme/guided/ledger", headers=admin).json()

    assert again == _TAKEN
    assert json.dumps(json.loads(_TAKEN)) in GUIDE.read_text("utf-8")
    assert (ledger["received"], ledger["stored"]) == (1, 1)


def _said(script: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=20,
        check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.timeout(60)
def test_telegraf_is_described_by_openapi_and_stopped_without_a_token(
    platform: tuple[str, Path],
) -> None:
    """The paths stand in the document; a wrong token is 401 in InfluxDB's words, and not logged."""
    address, data = platform
    admin = {"Authorization": f"Bearer {(data / 'admin.token').read_text().strip()}"}

    document = httpx.get(f"{address}/openapi.json", headers=admin, timeout=20).json()
    refused = [
        httpx.post(f"{address}{path}?p=secret-of-nobody", headers=headers, content=b"m f=1")
        for path, headers in (
            ("/write", {}),
            ("/api/v2/write", {"Authorization": "Token secret-of-nobody"}),
        )
    ]

    validate(document)
    assert {"/write", "/api/v2/write", "/ping", "/query"} <= document["paths"].keys()
    assert {"bearer": []} in document["paths"]["/write"]["post"]["security"]
    assert [one.status_code for one in refused] == [401, 401]
    assert [set(one.json()) for one in refused] == [{"error"}, {"code", "message"}]
    assert httpx.head(f"{address}/ping").status_code == 204
    assert httpx.get(f"{address}/health", headers=admin).status_code == 200


def test_telegraf_outputs_share_no_metric() -> None:
    """What goes out by one output does not go out by the other: nothing is counted twice."""
    newer, older = (_output(k, TIDEGATE_URL="u", TIDEGATE_TOKEN="t") for k in _KINDS)

    assert newer["namedrop"] == older["namepass"]
