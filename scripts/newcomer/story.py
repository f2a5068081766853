"""What a newcomer does and sees: the first visit, then restarts on the same data."""

from pathlib import Path
from typing import Any

import httpx

from scripts.newcomer import sights
from scripts.newcomer.api import Api, now_ms
from scripts.newcomer.checks import check, require, until
from scripts.newcomer.installation import mosquitto_pub
from scripts.newcomer.recorded import replay_a_fault
from scripts.newcomer.visit import TIMEZONE, Device, Visit

_INSTALL_TIMEOUT_S = 180.0
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 5.0
_SEEN_TIMEOUT_S = 20.0
_REPORT_TIMEOUT_S = 90.0
_HOUR_MS = 3_600_000
_SETTLED_MS = 10_000
_POSTED = 10


class Kept(dict[str, Any]):
    """What was there before an end of the process, by what it is called in a check."""


def first_visit(visit: Visit, repository: Path) -> None:
    """Install, start, look, connect a device, be told of a fault, get a report."""
    mosquitto_pub()
    with check("git clone"):
        visit.installation.fetch(repository)
    with check("make run installs everything and is ready"):
        visit.start(timeout_s=_INSTALL_TIMEOUT_S)
    with visit.api() as api:
        sights.look_around(visit, api)
        press = _connect_a_device(visit, api)
        sights.use_the_printed_line(visit, api)
        _be_refused(visit, api, press)
        _be_alerted(visit, api, press)
        replay_a_fault(visit, api)
        visit.report = _get_a_report(api, press)
    visit.devices += [(press.tenant, press.name), ("acme", "pump-7")]


def later_visits(visit: Visit) -> None:
    """Stop, start again, kill, start again, press Ctrl-C: nothing may be lost or left behind."""
    before = _remember(visit)
    with check(f"SIGTERM ends everything within {_STOP_TIMEOUT_S:.0f} s, exit code 0"):
        code = visit.installation.terminate(timeout_s=_STOP_TIMEOUT_S)
        require(code == 0, f"exit code {code}")
    with check("started again on the same data"):
        visit.start(timeout_s=_START_TIMEOUT_S)
    _compare(visit, before)
    before = _kill_after_a_promise(visit)
    with check("after kill -9 started again on the same data"):
        visit.start(timeout_s=_START_TIMEOUT_S)
    _compare(visit, before)
    _see_the_promise_kept(visit)
    with check("Ctrl-C ends everything"):
        visit.installation.interrupt(timeout_s=_STOP_TIMEOUT_S)


def _connect_a_device(visit: Visit, api: Api) -> Device:
    with check("a device added by `tidegate device add` publishes with mosquitto_pub"):
        press = visit.add_device("acme", "press-1")
        visit.publish(press, {"values": {"oil_temperature_c": 61.5}})
        until(
            lambda: _values(api, press, "oil_temperature_c") == [61.5],
            timeout_s=_SEEN_TIMEOUT_S,
            what="its value reads back by GET /api/v1/series",
        )
    return press


def _be_refused(visit: Visit, api: Api, press: Device) -> None:
    with check("a malformed payload is dead-lettered with its reason"):
        visit.publish(press, '{"values": {"oil_temperature_c": ')
        letters = until(
            lambda: api.dead_letters(press.tenant, press.name),
            timeout_s=_SEEN_TIMEOUT_S,
            what="GET /api/v1/dead-letters shows it",
        )
        require(letters[0]["reason"], f"the dead letter gives no reason: {letters[0]}")
        ledger = api.ledger(press.tenant, press.name)
        require(ledger["dead"] == 1, f"the ledger counts {ledger['dead']} dead, expected 1")
    with check("a device publishing as another, or with a wrong password, is refused"):
        other = ("acme", "press-2")
        _, told = visit.publish(press, {"values": {"x": 1}}, topic="t/acme/press-2/telemetry")
        require("authori" in told, f"mosquitto_pub was not told: {told!r}")
        code, _ = visit.publish(press, {"values": {"x": 1}}, password="wrong")
        require(code != 0, "mosquitto_pub with a wrong password ended with code 0")
        require(other not in api.devices(), "the foreign message made a device")
        with Api(visit.base_url, press.credentials.http_token) as device:
            status = device.status_of("/api/v1/devices")
            require(status in (401, 403), f"a device's token may read devices: {status}")
    with check("and nothing else was lost: the next good value arrives"):
        visit.publish(press, {"values": {"oil_temperature_c": 62.0}})
        until(
            lambda: _values(api, press, "oil_temperature_c") == [61.5, 62.0],
            timeout_s=_SEEN_TIMEOUT_S,
            what="it reads back",
        )


def _be_alerted(visit: Visit, api: Api, press: Device) -> None:
    with check("a hot press fires, a cool one resolves: signed webhooks and mails"):
        for value, status in ((97.0, "firing"), (55.0, "resolved")):
            visit.publish(press, {"values": {"oil_temperature_c": value}})
            sights.be_told(visit, ("press-too-hot", press.name), status)
        statuses = {a["rule"]: a["status"] for a in api.alerts() if a["device"] == press.name}
        require(statuses.get("press-too-hot") == "resolved", f"GET /api/v1/alerts: {statuses}")


def _get_a_report(api: Api, press: Device) -> str:
    with check("a report names the device, its range and the time zone"):
        to_ms = now_ms()
        scope = {"tenant": press.tenant, "device": press.name}
        answer = api.post(
            "/api/v1/reports",
            {**scope, "from": to_ms - _HOUR_MS, "to": to_ms},
            expect=httpx.codes.ACCEPTED,
        )
        location = answer.headers["location"]
        text = until(
            lambda: api.pdf_text(location), timeout_s=_REPORT_TIMEOUT_S, what="the PDF is there"
        )
        sights.read_report(text, device=press.name, from_ms=to_ms - _HOUR_MS, to_ms=to_ms)
        require(TIMEZONE in text, f"the report does not name {TIMEZONE}: {text[:500]}")
    return location


def _remember(visit: Visit) -> Kept:
    """Return what must be the same after a restart, as far as it is older than ten seconds."""
    visit.seen_until_ms = now_ms() - _SETTLED_MS
    return _kept(visit)


def _kept(visit: Visit) -> Kept:
    with visit.api() as api:
        kept = Kept(devices=sorted(api.devices()), report=api.pdf_text(visit.report))
        kept["alerts"] = sorted(
            (a["alert_id"], a["status"], a["started_at_ms"])
            for a in api.alerts()
            if a["tenant"] == "acme"
        )
        for tenant, device in visit.devices:
            points = api.points(tenant, device, to_ms=visit.seen_until_ms)
            kept[f"points of {device}"] = {metric: len(rows) for metric, rows in points.items()}
            kept[f"dead letters of {device}"] = [d["id"] for d in api.dead_letters(tenant, device)]
    return kept


def _compare(visit: Visit, before: Kept) -> None:
    with check("everything is there again: devices, points, dead letters, alerts, report"):
        now = _kept(visit)
        for what, was in before.items():
            require(now[what] == was, f"{what} was\n{was}\nand is\n{now[what]}")


def _kill_after_a_promise(visit: Visit) -> Kept:
    with check("kill -9 right after a 202"):
        lathe = visit.add_device("acme", "lathe-1")
        before = _remember(visit)
        points = [{"seq": n, "values": {"turns": n}, "ts": now_ms() + n} for n in _numbers()]
        with Api(visit.base_url, lathe.credentials.http_token) as device:
            told = device.post("/api/v1/telemetry", {"boot": "b1", "points": points}, expect=202)
        visit.installation.kill()
        require(told.json()["accepted"] == _POSTED, f"accepted: {told.text}")
    return before


def _see_the_promise_kept(visit: Visit) -> None:
    with check("what was acknowledged before the kill is there, once"), visit.api() as api:
        turns = api.points("acme", "lathe-1", to_ms=now_ms() + _HOUR_MS)["turns"]
        require([value for _, value in turns] == list(_numbers()), f"points: {turns}")
        stored = api.ledger("acme", "lathe-1")["stored"]
        require(stored == _POSTED, f"the ledger counts {stored} stored, expected {_POSTED}")


def _numbers() -> range:
    return range(1, _POSTED + 1)


def _values(api: Api, device: Device, metric: str) -> list[float]:
    points = api.points(device.tenant, device.name, to_ms=now_ms() + _HOUR_MS).get(metric, [])
    return [value for _, value in points]
