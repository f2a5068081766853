"""Replays a recorded series whose one fault is known, and waits to be told of just that fault."""

from scripts.newcomer import sights
from scripts.newcomer.api import Api, now_ms
from scripts.newcomer.checks import CheckFailed, check, require, until
from scripts.newcomer.visit import Visit

_ROWS, _FAULT_AT, _FAULT_ROWS = 600, 500, 60
_METRIC = "flow_m3_per_h"
_REPLAY_TIMEOUT_S = 60.0
_HOUR_MS = 3_600_000


def replay_a_fault(visit: Visit, api: Api) -> None:
    """Replay through MQTT as a device of its own; the alert must lie in the fault's rows."""
    pump = visit.add_device("acme", "pump-7")
    recording = visit.data.parent / "recording.csv"
    with check(f"a recording of {_ROWS} rows replays through MQTT, each acknowledged"):
        _record(visit, str(recording))
        visit.installation.tidegate(
            *("replay", str(recording), "--speed", "0", "--metric", _METRIC),
            *("--username", pump.credentials.mqtt_username),
            *("--password", pump.credentials.mqtt_password),
            *("--port", str(visit.mqtt_port)),
            timeout_s=_REPLAY_TIMEOUT_S,
        )
        times = until(
            lambda: _times_of_all_rows(api, pump.name), timeout_s=20.0, what="all rows read back"
        )
    with check("its known fault is told by webhook and mail"):
        sights.be_told(visit, ("anomaly", pump.name), "firing")
        told = visit.webhooks.about("anomaly", pump.name, "firing")
        started_ms = _started_ms(told)
        first, last = times[_FAULT_AT], times[_FAULT_AT + _FAULT_ROWS]
        where = f"began at {started_ms}, the fault lasted from {first} to {last}"
        require(first <= started_ms <= last, f"the alert is not about the fault: {where}")


def _record(visit: Visit, file: str) -> None:
    python = str(visit.installation.clone / ".venv/bin/python")
    recorder = ("-m", "devices.simulator.recording", file)
    visit.installation.run(
        python, *recorder, "--points", str(_ROWS), "--kind", "shift", "--at", str(_FAULT_AT)
    )


def _times_of_all_rows(api: Api, device: str) -> list[int] | None:
    rows = api.points("acme", device, to_ms=now_ms() + _HOUR_MS).get(_METRIC, [])
    return [ts_ms for ts_ms, _ in rows] if len(rows) == _ROWS else None


def _started_ms(post: object) -> int:
    data = post.get("data") if isinstance(post, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("started_at_ms"), int):
        raise CheckFailed(f"the webhook does not say when the alert began: {post}")
    return int(data["started_at_ms"])
