"""Settings of the cloud side: `tidegate.toml`, environment over it, defaults under both."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from tidegate.configuration import Secret
from tidegate.errors import Misconfigured
from wire.events import Severity

Positive = Annotated[float, msgspec.Meta(gt=0)]
# How long one delivery may take; the step that delivers is given 120 s.
DeliveryTimeout = Annotated[float, msgspec.Meta(gt=0, le=100)]
Days = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where this installation stands; reports and pages show its name and times in its zone."""

    name: str = "Tidegate"
    timezone: str = "UTC"


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The address of pages and API."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = None


class Broker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The MQTT broker: one of ours, started with us, or with `url` an external one.

    `url` is `mqtt://user:password@host:port`; its accounts are the operator's.
    """

    url: Secret | None = None
    host: str = "127.0.0.1"
    port: Port = 1883
    kind: Literal["auto", "mosquitto", "amqtt"] = "auto"


class TimeSeriesStore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where telemetry is kept: by default in a file below the data folder.

    `url` is `duckdb:///FILE`, `influx://user:password@host:port/database` (InfluxDB 1.6 to 1.8),
    `influx://:TOKEN@host:port/bucket?org=ORG` (2 and 3; `influxs://` through TLS) or
    `victoria://host:port`.

    Points older than `retention_days` are dropped, their rollups after `rollup_retention_days`,
    which needs the former and is not shorter; without, they are kept for ever. DuckDB holds at
    most `memory_mb` for its tables and works in `threads` (default: one a core).
    """

    url: Secret | None = None
    retention_days: Days | None = None
    rollup_retention_days: Days | None = None
    memory_mb: Annotated[int, msgspec.Meta(ge=128)] = 1024
    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Telemetry on topics that are not ours, and the format of its payloads.

    `topic` names its levels: `tele/{device}/SENSOR`, `sites/{tenant}/{device}/#`. Whoever may
    publish there is believed to be that device: see to it in the broker's ACL.
    """

    topic: str
    format: str
    tenant: str | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one message, one device and one tenant may bring; the rest becomes a dead letter.

    Formats bound what they read by themselves, too: no more than the defaults. A series counts
    from when it is first heard until its telemetry is deleted: a tenant of more than 33,000
    devices with three values each needs more than the default. `max_past_days` is how old a time
    may be on arrival, and not older than `timeseries.retention_days` keeps.
    """

    max_payload_bytes: Annotated[int, msgspec.Meta(ge=1, le=1_048_576)] = 1_048_576
    max_readings: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10_000
    max_values: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1_000
    max_name_chars: Annotated[int, msgspec.Meta(ge=1, le=120)] = 120
    max_text_chars: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 4_096
    max_series_per_device: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    max_series_per_tenant: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    max_past_days: Annotated[int, msgspec.Meta(ge=1)] = 3_650


class Spool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept on disk while the telemetry store is away, before anything is acknowledged.

    The store is tried for `after_s` first. The spool grows to `max_bytes` (0: there is none) and
    leaves `keep_free_bytes` of the disk free; when it is full, nothing is acknowledged.
    """

    max_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1024 * 1024 * 1024
    after_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    keep_free_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 * 1024 * 1024


class IngestHttp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often one device's token and one address may send over HTTP; beyond it 429.

    Behind a proxy all clients have its address: let it limit them, and raise ours.
    """

    per_token_per_s: Positive = 500.0
    per_token_burst: Annotated[int, msgspec.Meta(ge=1)] = 2_000
    per_address_per_s: Positive = 2_000.0
    per_address_burst: Annotated[int, msgspec.Meta(ge=1)] = 8_000


class Sparkplug(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sparkplug B: edge nodes whose messages come on `spBv1.0/…`, groups being tenants.

    `host_id` is what the nodes know us as: their primary host. A message that is missing may
    still come for `reorder_timeout_s`; then the node is asked for its births, at most once in
    `rebirth_interval_s`.
    """

    enabled: bool = False
    host_id: str = "tidegate"
    reorder_timeout_s: Positive = 5.0
    rebirth_interval_s: Positive = 30.0


class Ingest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How messages are received, and gathered into batches before they are stored.

    `shared_group`: several ingesters that share the work, one message to one of them; each then
    needs a `client_id` of its own (default: the broker's user name) and an external broker.
    `mappings` are files that say how JSON of other devices becomes metrics, each a format of its
    own beside those that come with us.

    A reading is late when it is more than `late_after_s` older than the newest of its boot, or
    arrives that much after its time, by the device's clock.
    """

    topics: list[Topic] = []
    shared_group: str | None = None
    client_id: str | None = None
    mappings: list[Path] = []
    spool: Spool = Spool()
    http: IngestHttp = IngestHttp()
    sparkplug: Sparkplug = Sparkplug()

    batch_readings: Annotated[int, msgspec.Meta(ge=1)] = 20_000
    batch_wait_s: Positive = 0.2
    queue_messages: Annotated[int, msgspec.Meta(ge=1)] = 20_000
    max_future_s: Positive = 600.0
    late_after_s: Positive = 60.0
    limits: Limits = Limits()


class Analytics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The detectors."""

    enabled: bool = True
    queue_batches: Annotated[int, msgspec.Meta(ge=1)] = 256
    max_series: Annotated[int, msgspec.Meta(ge=1)] = 100_000


class AlertRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One alert rule.

    `threshold` needs `metric` and one of `above`, `below`; it clears at `clear` (default: the
    threshold itself). `anomaly` fires on `anomaly.detected` and clears after `quiet_s` without
    another. `offline` fires when a device was not heard for `after_s`. `loss` fires when the
    broker lost messages (`data.lost`) and clears after `quiet_s` without another loss.
    """

    name: str
    type: Literal["threshold", "anomaly", "offline", "loss"]
    metric: str | None = None
    tenant: str | None = None
    device: str | None = None
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    for_s: Annotated[float, msgspec.Meta(ge=0)] = msgspec.field(default=0.0, name="for")
    quiet_s: Positive = 300.0
    after_s: Positive = 60.0
    severity: Severity = "warning"


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where alerts are posted, signed after Standard Webhooks when a secret is given."""

    url: str
    secret: Secret | None = None
    allow_private: bool = False
    timeout_s: DeliveryTimeout = 15.0


def _default_rules() -> list[AlertRule]:
    return [
        AlertRule(name="device-offline", type="offline"),
        AlertRule(name="anomaly", type="anomaly"),
        AlertRule(name="data-lost", type="loss", severity="critical", quiet_s=3_600.0),
        AlertRule(
            name="disk-nearly-full",
            type="threshold",
            metric="disk_used_pct",
            above=95.0,
            for_s=60.0,
        ),
    ]


class Alerts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules and where their alerts go. Mails go to `email_to` through `[smtp]`."""

    rules: list[AlertRule] = msgspec.field(default_factory=_default_rules)
    webhooks: list[Webhook] = []
    email_to: list[str] = []


class Smtp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mail server. Without `host` mails are kept as `.eml` files in the outbox."""

    host: str | None = None
    port: Port = 587
    username: str | None = None
    password: Secret | None = None
    starttls: Literal["required", "opportunistic", "off"] = "required"
    sender: str = "tidegate@localhost"
    timeout_s: DeliveryTimeout = 30.0


class Reports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PDF reports: when the daily one is made (in the site's time zone), how long one may take."""

    daily_at: str = "06:00"
    timeout_s: Positive = 120.0
    keep: Annotated[int, msgspec.Meta(ge=1)] = 100


class Simulator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The simulated fleet that `tidegate up` runs beside the real devices."""

    devices: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 20
    interval_s: Positive = 2.0
    seed: int = 7


class Steps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Folders of your own steps: every `**/*_step.py` in them runs beside ours."""

    roots: list[Path] = []


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that `tidegate up` can be told."""

    data: Path = Path("data")
    site: Site = Site()
    http: Http = Http()
    broker: Broker = Broker()
    timeseries: TimeSeriesStore = TimeSeriesStore()
    ingest: Ingest = Ingest()
    analytics: Analytics = Analytics()
    alerts: Alerts = msgspec.field(default_factory=Alerts)
    smtp: Smtp = Smtp()
    reports: Reports = Reports()
    simulator: Simulator = Simulator()
    steps: Steps = Steps()


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of that name; raise `Misconfigured` when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise Misconfigured(
            f"[site] timezone {name!r} is unknown: give one such as Europe/Berlin"
        ) from exc
