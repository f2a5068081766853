"""Settings of the edge agent: one TOML file, environment over it, the defaults under both.

`sample.toml` shows every key with its default and unit.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge_agent.filters import Filter
from tidegate.configuration import Secret, load
from tidegate.errors import Misconfigured
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id
from wire.topics import account_name

Positive = Annotated[float, msgspec.Meta(gt=0)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]

_MIB = 1024 * 1024
_DAY_S = 86_400.0


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker, the account at it, and how messages are sent.

    `username` is by default `{tenant}/{device}`; it is the client id too. Without a password
    the agent connects without an account.
    """

    host: str = "127.0.0.1"
    port: Port = 1883
    username: str | None = None
    password: Secret | None = None
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    version: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=65_535)] = 60
    connect_timeout_s: Positive = 5.0
    batch_readings: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    max_payload_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=_MIB)] = 65_536
    window_messages: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 10
    puback_timeout_s: Positive = 30.0
    ack_timeout_s: Positive = 15.0
    ack_timeout_max_s: Positive = 300.0
    reconnect_min_s: Positive = 1.0
    reconnect_max_s: Positive = 60.0


class OutboxLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much the outbox keeps; beyond either bound the oldest readings are dropped."""

    max_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024)] = 64 * _MIB
    max_age_s: Positive = 7 * _DAY_S


class HostSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Metrics of the machine itself."""

    enabled: bool = True
    interval_s: Positive = 2.0
    per_core: bool = False
    disk: Path = Path("/")


class AgentSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Metrics of the agent: its outbox, its memory."""

    enabled: bool = True
    interval_s: Positive = 30.0


class Sources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is read, each source at its own interval."""

    host: HostSource = HostSource()
    agent: AgentSource = AgentSource()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that `tidegate edge` can be told."""

    tenant: str = "default"
    device: str = "edge"
    data: Path = Path("edge-data")
    mqtt: Mqtt = Mqtt()
    outbox: OutboxLimits = OutboxLimits()
    sources: Sources = Sources()
    filters: list[Filter] = []

    @property
    def key(self) -> DeviceKey:
        """The device as whom the agent publishes."""
        return DeviceKey(tenant_id(self.tenant), device_id(self.device))

    @property
    def client_id(self) -> str:
        """The MQTT client id: the user name, whether or not there is a password."""
        return self.mqtt.username or account_name(self.key)


def load_settings(path: Path | None, data: Path | None = None) -> Settings:
    """Read the settings; `data` overrides the folder. Raise `Misconfigured`."""
    settings = load(Settings, path)
    if data is not None:
        settings = msgspec.structs.replace(settings, data=data)
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Raise `Misconfigured` for what types alone cannot refuse."""
    try:
        _ = settings.key
    except Malformed as exc:
        raise Misconfigured(f"configuration: {exc}; correct 'tenant' or 'device'") from exc
    mqtt = settings.mqtt
    if mqtt.reconnect_max_s < mqtt.reconnect_min_s:
        raise Misconfigured("configuration: mqtt.reconnect_max_s is below mqtt.reconnect_min_s")
    if mqtt.ack_timeout_max_s < mqtt.ack_timeout_s:
        raise Misconfigured("configuration: mqtt.ack_timeout_max_s is below mqtt.ack_timeout_s")
    if (mqtt.cert_file is None) != (mqtt.key_file is None):
        raise Misconfigured("configuration: mqtt.cert_file and mqtt.key_file go together")
    for file in (mqtt.ca_file, mqtt.cert_file, mqtt.key_file):
        if file is not None and not file.is_file():
            raise Misconfigured(f"configuration: {file}: no such file; correct [mqtt]")
