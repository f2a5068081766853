"""What is to be seen: the printed lines, the page, the machine's own metrics, alerts, reports."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from scripts.newcomer.api import Api, now_ms, page_after_login
from scripts.newcomer.checks import CheckFailed, check, require, until
from scripts.newcomer.visit import OPERATOR, TIMEZONE, Visit

_SEEN_TIMEOUT_S = 30.0
_ALERT_TIMEOUT_S = 30.0
_FLEET = 20
_HOUR_MS = 3_600_000
_HOST_METRICS = ("cpu_used_pct", "memory_used_pct", "disk_used_pct")
_OWN_TENANT = "local"


def look_around(visit: Visit, api: Api) -> None:
    """See the printed lines, this machine's metrics, the fleet and the page."""
    with check("it printed the page's address, the login, where the data lies, how to connect"):
        for text in (visit.base_url, "Login", str(visit.data), "mosquitto_pub"):
            _wait_until_printed(visit, text)
    with check("this machine's own metrics read by GET /api/v1/series"):
        machine = until(
            lambda: this_machine(api),
            timeout_s=_SEEN_TIMEOUT_S,
            what=f"a device of tenant {_OWN_TENANT!r} has {', '.join(_HOST_METRICS)}",
        )
        visit.devices.append(machine)
    with check(f"a simulated fleet of {_FLEET} devices"):
        until(
            lambda: sum(tenant != _OWN_TENANT for tenant, _ in api.devices()) >= _FLEET,
            timeout_s=_SEEN_TIMEOUT_S,
            what=f"GET /api/v1/devices lists {_FLEET}",
        )
    with check("without a token nothing is told"), Api(visit.base_url) as stranger:
        for path in ("/api/v1/devices", "/api/v1/alerts", "/api/v1/series?from=0&to=1"):
            require(stranger.status_of(path) == 401, f"{path} answers a stranger")
    with check("the page, after login, shows the devices"):
        _see_the_page(visit, api)


def this_machine(api: Api) -> tuple[str, str] | None:
    """Return tenant and name of the machine that everything runs on, once it was heard twice."""
    for tenant, device in sorted(api.devices()):
        if tenant == _OWN_TENANT:
            metrics = api.points(tenant, device, to_ms=now_ms() + _HOUR_MS)
            if all(len(metrics.get(name, [])) > 1 for name in _HOST_METRICS):
                return tenant, device
    return None


def use_the_printed_line(visit: Visit, api: Api) -> None:
    """Run the `mosquitto_pub` line as it was printed and find its value."""
    with check("the printed mosquitto_pub line works as printed"):
        line = _line_with(visit.installation.said(), "mosquitto_pub ")
        topic = re.search(r"t/([^/\s'\"]+)/([^/\s'\"]+)/telemetry", line)
        if topic is None:
            raise CheckFailed(f"the line names no telemetry topic: {line}")
        tenant, device = topic.groups()
        visit.installation.run("sh", "-c", line)
        until(
            lambda: api.points(tenant, device, to_ms=now_ms() + _HOUR_MS),
            timeout_s=_SEEN_TIMEOUT_S,
            what=f"a value of {tenant}/{device} reads back",
        )


def be_told(visit: Visit, about: tuple[str, ...], status: str) -> None:
    """Wait for the webhook and the mail about something."""
    until(
        lambda: visit.webhooks.about(*about, status),
        timeout_s=_ALERT_TIMEOUT_S,
        what=f"a webhook about {about}, {status}",
    )
    mail = until(
        lambda: visit.mails.about(*about, status.upper()),
        timeout_s=_ALERT_TIMEOUT_S,
        what=f"a mail about {about}, {status}",
    )
    require(OPERATOR in str(mail["To"]), f"the mail goes to {mail['To']}")
    require(visit.webhooks.unsigned == 0, "a webhook came without a valid signature")


def read_report(text: str, *, device: str, from_ms: int, to_ms: int) -> None:
    """Find the device and both ends of the range, in the site's time, in a report's text."""
    require(device in text, f"the report does not name {device}: {text[:500]}")
    for ms in (from_ms, to_ms):
        local = datetime.fromtimestamp(ms / 1_000, UTC).astimezone(ZoneInfo(TIMEZONE))
        minute = local.strftime("%H:%M")
        require(minute in text, f"the report does not say {minute}: {text[:500]}")


def _wait_until_printed(visit: Visit, text: str) -> None:
    until(
        lambda: text in visit.installation.said(),
        timeout_s=_SEEN_TIMEOUT_S,
        what=f"`make run` prints {text!r}",
    )


def _see_the_page(visit: Visit, api: Api) -> None:
    token = (visit.data / "admin.token").read_text().strip()
    mode = (visit.data / "admin.token").stat().st_mode & 0o777
    require(mode == 0o600, f"admin.token has mode {mode:o}, expected 600")
    password = _printed_password(visit.installation.said()) or token
    html = page_after_login(visit.base_url, username="admin", password=password)
    names = [device for _, device in api.devices()]
    absent = [name for name in names if name not in html]
    require(not absent, f"the page does not show {absent}")


def _printed_password(said: str) -> str | None:
    found = re.search(r"Login\s+admin / (\S+)", said)
    return found[1] if found else None


def _line_with(said: str, text: str) -> str:
    for line in said.splitlines():
        if text in line:
            return line[line.index(text) :]
    raise CheckFailed(f"`make run` printed no line with {text!r}")
