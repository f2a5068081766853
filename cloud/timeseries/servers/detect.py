"""Which server it is that we talk to: they answer the same paths in different ways."""

import re
from typing import Literal, NamedTuple

import msgspec

from cloud.timeseries.port import StoreAway
from cloud.timeseries.servers.answers import DENIED, refused
from cloud.timeseries.servers.http import Http

Kind = Literal["influx1", "influx2", "influx3", "victoria"]
_KINDS: dict[str, Kind] = {"1": "influx1", "2": "influx2", "3": "influx3"}
# VictoriaMetrics says so on some paths, to please clients.
_BORROWED = "1.8.0"


class Server(NamedTuple):
    """A server and its version."""

    kind: Kind
    version: str


class _Health(msgspec.Struct):
    version: str = ""


async def detect(http: Http) -> Server:
    """Ask a server what it is.

    Raises:
        StoreAway: it does not answer, refuses us, or is none that we know.
    """
    ping = await http.get("/ping")
    if ping.status in DENIED:
        raise StoreAway(refused(http.address.name, ping))
    if ping.status >= 500:  # noqa: PLR2004 - the server's faults
        raise StoreAway(f"{http.address.name} answers {ping.status}: {ping.text}")
    server = _by_version(ping.version)
    if server is not None and server.version != _BORROWED:
        return server
    metrics = await http.get("/metrics")
    if re.search(rb"^vm_", metrics.body, re.MULTILINE):
        found = re.search(rb'vm_app_version\{[^}]*short_version="([^"]*)"', metrics.body)
        return Server("victoria", found[1].decode() if found else "")
    server = server or _by_version(await _version_in_health(http))
    if server is None:
        raise StoreAway(
            f"{http.address.name} answers, but is neither InfluxDB nor VictoriaMetrics: "
            "correct timeseries.url"
        )
    return server


def _by_version(version: str | None) -> Server | None:
    number = (version or "").lstrip("v")
    kind = _KINDS.get(number.partition(".")[0])
    return None if kind is None else Server(kind, number)


async def _version_in_health(http: Http) -> str | None:
    health = await http.get("/health")
    try:
        return msgspec.json.decode(health.body, type=_Health).version
    except msgspec.MsgspecError:
        return None
