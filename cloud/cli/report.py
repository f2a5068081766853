"""`tidegate report`: a PDF of a period, from the running instance or straight from the data."""

import time
from pathlib import Path
from typing import Annotated

import anyio
import httpx
import typer

from cloud.alerts.register import as_alerts
from cloud.cli.configured import read_settings
from cloud.data_folder import DataFolder
from cloud.ingest.ledger import Ledger
from cloud.reports.build import build_report
from cloud.reports.errors import BadPeriod, ReportFailed, ReportsUnavailable
from cloud.reports.period import last_period
from cloud.settings import Settings
from cloud.timeseries.open import open_timeseries
from tidegate.engine import values
from tidegate.errors import Misconfigured
from tidegate.store.sqlite import open_sqlite

_HTTP_TIMEOUT_S = 10.0
_POLL_S = 0.5


def report(  # noqa: PLR0917 - typer calls it by names
    last: Annotated[str, typer.Option(help="How far back: 1h, 24h, 7d.")] = "24h",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the PDF goes.")] = Path(
        "report.pdf"
    ),
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    device: Annotated[str | None, typer.Option(help="Only this device of the tenant.")] = None,
    config: Annotated[Path | None, typer.Option(help="The configuration file.")] = None,
    data: Annotated[Path | None, typer.Option(help="The data folder.")] = None,
) -> None:
    """Make a PDF report."""
    settings = read_settings(config, data)
    folder = DataFolder(settings.data)
    try:
        address = folder.address_of_running()
        if address:
            pdf = _ask(address, folder.admin_token(), _order(last, tenant, device), settings)
        else:
            pdf = anyio.run(_build, settings, folder, last, tenant, device)
    except (BadPeriod, ReportFailed, ReportsUnavailable) as exc:
        raise Misconfigured(str(exc)) from exc
    output.write_bytes(pdf)
    print(f"{output}: {len(pdf)} bytes")


def _order(last: str, tenant: str | None, device: str | None) -> dict[str, str]:
    asked = {"last": last, "tenant": tenant, "device": device}
    return {name: value for name, value in asked.items() if value is not None}


def _ask(address: str, token: str, order: dict[str, str], settings: Settings) -> bytes:
    """Order the report from the running instance, and wait until it is drawn."""
    headers = {"Authorization": f"Bearer {token}"}
    deadline = time.monotonic() + settings.reports.timeout_s + _HTTP_TIMEOUT_S
    with httpx.Client(base_url=address, headers=headers, timeout=_HTTP_TIMEOUT_S) as client:
        place = _checked(client.post("/api/v1/reports", json=order)).headers["location"]
        while (answer := _checked(client.get(place))).status_code == httpx.codes.ACCEPTED:
            if time.monotonic() > deadline:
                raise ReportFailed("the report was not ready in time; see the reports page")
            anyio.run(anyio.sleep, _POLL_S)
        return answer.content


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise Misconfigured(f"the running instance answers: {answer.json().get('detail')}")
    return answer


async def _build(
    settings: Settings, folder: DataFolder, last: str, tenant: str | None, device: str | None
) -> bytes:
    """Make the report from the data of an instance that does not run."""
    folder.prepare()
    now_ms = time.time_ns() // 1_000_000
    period = last_period(last, now_ms)
    with folder.locked():
        async with (
            open_sqlite(folder.state) as state,
            open_timeseries(settings.timeseries.url, data_dir=folder.path) as telemetry,
            Ledger(folder.ingest) as ledger,
        ):
            rows = await state.read_group("alerts", None, now_ms)
            alerts = as_alerts(values.decode(row.data) for _, row in rows if row.data is not None)
            return await build_report(
                telemetry, ledger, alerts, settings,
                from_ms=period.from_ms, to_ms=period.to_ms, made_at_ms=now_ms,
                tenant=tenant, device=device,
            )  # fmt: skip
