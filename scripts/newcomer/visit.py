"""One newcomer's visit: where things are, whom they speak to, what they saw."""

import json
from pathlib import Path
from typing import NamedTuple

import msgspec

from scripts.newcomer.api import Api
from scripts.newcomer.checks import until
from scripts.newcomer.installation import Installation
from scripts.newcomer.receivers import MailReceiver, WebhookReceiver
from tests.support.ports import unused_port

TIMEZONE = "Europe/Berlin"
_ACCOUNT_TIMEOUT_S = 5.0
OPERATOR = "operator@example.com"
_CONFIG = """
[site]
name = "Smoke works"
timezone = "{timezone}"

[smtp]
host = "127.0.0.1"
port = {smtp_port}
starttls = "off"

[alerts]
email_to = ["{operator}"]

[[alerts.rules]]
name = "anomaly"
type = "anomaly"

[[alerts.rules]]
name = "press-too-hot"
type = "threshold"
metric = "oil_temperature_c"
above = 80.0
severity = "critical"

[[alerts.webhooks]]
url = "{webhook_url}"
secret = "{webhook_secret}"
allow_private = true
"""


class Credentials(msgspec.Struct, frozen=True):
    """What `tidegate device add --json` prints."""

    mqtt_username: str
    mqtt_password: str
    http_token: str


class Device(NamedTuple):
    """A device of the newcomer's own."""

    tenant: str
    name: str
    credentials: Credentials

    def topic(self, channel: str = "telemetry") -> str:
        """Return the topic of one of its channels."""
        return f"t/{self.tenant}/{self.name}/{channel}"


class Visit:
    """An installation with its configuration, its addresses and its receivers.

    `devices`, `report` (its URL) and `seen_until_ms` (Unix) are what a restart must show again.
    """

    def __init__(
        self, installation: Installation, webhooks: WebhookReceiver, mails: MailReceiver
    ) -> None:
        self.installation = installation
        self.webhooks = webhooks
        self.mails = mails
        self.port = unused_port()
        self.mqtt_port = unused_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.devices: list[tuple[str, str]] = []
        self.report = ""
        self.seen_until_ms = 0
        self._config = installation.data.parent / "smoke.toml"
        self._config.write_text(
            _CONFIG.format(
                timezone=TIMEZONE,
                operator=OPERATOR,
                smtp_port=mails.port,
                webhook_url=webhooks.url,
                webhook_secret=webhooks.secret,
            )
        )

    def start(self, *, timeout_s: float) -> None:
        """Start, or start again on the same data, and wait until it is ready."""
        self.installation.start(
            f"--config {self._config} --data {self.data} "
            f"--port {self.port} --mqtt-port {self.mqtt_port}"
        )
        with Api(self.base_url) as anybody:
            self.installation.wait_ready(anybody.ready, timeout_s=timeout_s)

    def api(self) -> Api:
        """Return a client with the administrator's token, which the first start wrote."""
        return Api(self.base_url, (self.data / "admin.token").read_text().strip())

    def add_device(self, tenant: str, name: str) -> Device:
        """Add a device by the command line and wait until the broker takes its birth message."""
        said = self.installation.tidegate(
            "device", "add", tenant, name, "--data", str(self.data), "--json"
        )
        device = Device(tenant, name, msgspec.convert(json.loads(said), Credentials))
        until(
            lambda: self.publish(device, {"state": "online"}, topic=device.topic("status"))[0] == 0,
            timeout_s=_ACCOUNT_TIMEOUT_S,
            what=f"the broker accepts the new account {tenant}/{name}",
        )
        return device

    def publish(
        self,
        device: Device,
        payload: object,
        *,
        topic: str | None = None,
        password: str | None = None,
    ) -> tuple[int, str]:
        """Publish with `mosquitto_pub` as the device; return its exit code and what it says.

        MQTT 5, because only there a broker tells the publisher that it refuses a message.
        """
        account = device.credentials
        text = payload if isinstance(payload, str) else json.dumps(payload)
        where = ["-h", "127.0.0.1", "-p", str(self.mqtt_port), "-t", topic or device.topic()]
        who = ["-u", account.mqtt_username, "-P", password or account.mqtt_password]
        return self.installation.attempt(
            "mosquitto_pub", "-V", "mqttv5", "-q", "1", *where, *who, "-m", text
        )

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.installation.data
