"""`tidegate report`: a PDF of a period, from the running instance or straight from the data."""

import time
from pathlib import Path
from typing import Annotated, NamedTuple

import anyio
import httpx
import typer
from rich.console import Console

from cloud.alerts.register import as_alerts
from cloud.cli.configured import read_settings
from cloud.data_folder import DataFolder
from cloud.ingest.ledger.ledger import Ledger
from cloud.reports.build import build_report
from cloud.reports.errors import BadPeriod, ReportFailed, ReportsUnavailable
from cloud.reports.period import last_period
from cloud.settings import Settings
from cloud.timeseries.open import open_timeseries
from tidegate.engine import values
from tidegate.errors import Misconfigured
from tidegate.store.sqlite.store import open_sqlite
from wire.records import ALERTS

_HTTP_TIMEOUT_S = 10.0
_POLL_S = 0.5


class Order(NamedTuple):
    """What the report is about."""

    last: str
    tenant: str | None
    device: str | None


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
    folder.require()
    order = Order(last, tenant, device)
    address = folder.address_of_running()
    try:
        with Console(stderr=True).status("Drawing the report …"):
            if address:
                pdf = anyio.run(_ask, address, folder.admin_token(), order, settings)
            else:
                pdf = anyio.run(_build, settings, folder, order)
    except (BadPeriod, ReportFailed, ReportsUnavailable) as exc:
        raise Misconfigured(str(exc)) from exc
    except httpx.HTTPError as exc:
        raise Misconfigured(f"the running instance at {address} does not answer: {exc}") from exc
    output.write_bytes(pdf)
    print(f"{output}: {len(pdf)} bytes")


async def _ask(address: str, token: str, order: Order, settings: Settings) -> bytes:
    """Order the report from the running instance, and wait until it is drawn."""
    headers = {"Authorization": f"Bearer {token}"}
    body = {name: value for name, value in order._asdict().items() if value is not None}
    async with httpx.AsyncClient(
        base_url=address, headers=headers, timeout=_HTTP_TIMEOUT_S
    ) as client:
        ordered = _checked(await client.post("/api/v1/reports", json=body))
        with anyio.move_on_after(settings.reports.timeout_s + _HTTP_TIMEOUT_S):
            return await _wait_for(client, ordered.headers["location"])
    raise ReportFailed("the report was not ready in time; see the reports page")


async def _wait_for(client: httpx.AsyncClient, place: str) -> bytes:
    while True:
        answer = _checked(await client.get(place))
        if answer.status_code != httpx.codes.ACCEPTED:
            return answer.content
        await anyio.sleep(_POLL_S)


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise Misconfigured(f"the running instance answers {answer.status_code}: {answer.text}")
    return answer


async def _build(settings: Settings, folder: DataFolder, order: Order) -> bytes:
    """Make the report from the data of an instance that does not run."""
    now_ms = time.time_ns() // 1_000_000
    period = last_period(order.last, now_ms)
    with folder.locked():
        async with (
            open_sqlite(folder.state) as state,
            open_timeseries(
                settings.timeseries.url, data_dir=folder.path, settings=settings.timeseries
            ) as telemetry,
            Ledger(folder.ingest) as ledger,
        ):
            rows = await state.read_group(ALERTS, None, now_ms)
            alerts = as_alerts(values.decode(row.data) for _, row in rows if row.data is not None)
            return await build_report(
                telemetry, ledger, alerts, settings,
                from_ms=period.from_ms, to_ms=period.to_ms, made_at_ms=now_ms,
                tenant=order.tenant, device=order.device,
            )  # fmt: skip
