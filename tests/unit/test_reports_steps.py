"""The steps of the reports, called as plain functions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cloud.reports.steps import (
    daily_report_step,
    get_report_step,
    list_reports_step,
    queue_report_step,
    render_report_step,
    request_report_step,
)
from cloud.settings import Reports, Settings, Site
from cloud.timeseries.memory import Memory
from cloud.timeseries.port import Latest, StoreAway
from tests.support.fake_context import FakeClock, FakeContext
from tidegate.errors import HTTPError, NonRetriable
from tidegate.http.request import Request
from wire.events import ReportQueued, ReportRequested
from wire.records import REPORTS, Report

pytestmark = pytest.mark.anyio

BERLIN = Settings(site=Site(timezone="Europe/Berlin"))


class NoLedger:
    """A ledger that is never asked."""

    async def view(self, device: object) -> Any:
        """Fail: nothing was stored."""
        raise AssertionError(device)


class AwayStore(Memory):
    """A store that does not answer."""

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Refuse."""
        raise StoreAway("connection refused")


async def ordered(ctx: FakeContext, **body: object) -> str:
    """Order a report and return its id."""
    answer = await request_report_step.handler(Request(body=body), ctx)
    return str(answer["body"]["report_id"])


async def get(ctx: FakeContext, file: str, data_dir: Path) -> Any:
    """Ask for a report's file."""
    return await get_report_step.handler(
        Request(path_params={"file": file}), ctx, data_dir=data_dir
    )


async def render(ctx: FakeContext, store: Memory, data_dir: Path) -> None:
    """Handle the newest order."""
    event = ctx.take_emitted("report.queued")[-1]
    await render_report_step.handler(
        event, ctx, telemetry=store, ledger=NoLedger(), settings=Settings(), data_dir=data_dir
    )


async def test_request_report_queues_and_says_where_the_pdf_will_be() -> None:
    """The order is accepted at once: 202, a Location, an event with the same range."""
    ctx = FakeContext()

    answer = await request_report_step.handler(
        Request(body={"last": "1h", "tenant": "acme", "device": "pump"}), ctx
    )

    report_id = answer["body"]["report_id"]
    [event] = ctx.take_emitted("report.queued")
    now_ms = ctx.clock.now_ms()
    assert answer["status"] == 202
    assert answer["headers"]["Location"] == f"/api/v1/reports/{report_id}.pdf"
    assert event == ReportQueued(report_id)
    kept = msgspec.convert(await ctx.state.get(REPORTS, report_id), Report)
    assert (kept.from_ms, kept.to_ms) == (now_ms - 3_600_000, now_ms)
    assert (kept.tenant, kept.device, kept.status) == ("acme", "pump", "queued")


async def test_queue_report_makes_the_record_of_what_another_service_asks_for() -> None:
    """A report that was asked for by event is like one that was asked for by the API."""
    ctx = FakeContext()
    now_ms = ctx.clock.now_ms()

    await queue_report_step.handler(ReportRequested(now_ms - 5, now_ms, "acme", "pump"), ctx)

    [event] = ctx.take_emitted("report.queued")
    [kept] = msgspec.convert(await ctx.state.get_group(REPORTS), list[Report])
    assert kept == Report(event.report_id, now_ms - 5, now_ms, now_ms, "acme", "pump")


async def test_queue_report_refuses_a_bad_period() -> None:
    """Trying again cannot help; nothing is queued."""
    ctx = FakeContext()

    with pytest.raises(NonRetriable, match="before"):
        await queue_report_step.handler(ReportRequested(5, 5), ctx)

    assert ctx.emitted == []


async def test_request_report_refuses_a_bad_period() -> None:
    """422 with what to give instead; nothing is queued."""
    ctx = FakeContext()

    with pytest.raises(HTTPError, match="such as") as refused:
        await request_report_step.handler(Request(body={"last": "soon"}), ctx)

    assert refused.value.status == 422
    assert ctx.emitted == []


async def test_get_report_answers_by_how_far_it_is(tmp_path: Path) -> None:
    """404 unknown, 202 queued, 500 given up after an hour; with and without `.pdf`."""
    ctx = FakeContext()
    report_id = await ordered(ctx, last="1h")

    with pytest.raises(HTTPError) as unknown:
        await get(ctx, "other.pdf", tmp_path)
    waiting = await get(ctx, report_id, tmp_path)
    ctx.clock.pass_s(3_601)
    with pytest.raises(HTTPError, match="dead letters") as given_up:
        await get(ctx, f"{report_id}.pdf", tmp_path)

    assert unknown.value.status == 404
    assert waiting["status"] == 202
    assert waiting["headers"]["Retry-After"] == "2"
    assert given_up.value.status == 500


async def test_get_report_gives_only_the_file_that_the_record_names(tmp_path: Path) -> None:
    """A path in place of an id finds no record, hence no file; a removed file is 404."""
    ctx = FakeContext()
    report_id = await ordered(ctx, last="1h")
    kept = await ctx.state.get("reports", report_id)
    ready = {**kept, "status": "ready", "file_name": f"{report_id}.pdf"}
    await ctx.state.set("reports", report_id, ready)

    for file in ("../../etc/passwd", f"{report_id}.pdf"):
        with pytest.raises(HTTPError) as missing:
            await get(ctx, file, tmp_path)
        assert missing.value.status == 404
    (tmp_path / "reports").mkdir()
    path = tmp_path / "reports" / f"{report_id}.pdf"
    path.write_bytes(b"%PDF")

    assert await get(ctx, f"{report_id}.pdf", tmp_path) == path


async def test_list_reports_gives_the_newest_first() -> None:
    """Each report comes with its status and its address."""
    ctx = FakeContext()
    first = await ordered(ctx, last="1h")
    ctx.clock.pass_s(1)
    second = await ordered(ctx, last="2h")

    answer = await list_reports_step.handler(Request(), ctx)

    listed = answer["body"]["reports"]
    assert [report["report_id"] for report in listed] == [second, first]
    assert listed[0]["url"] == f"/api/v1/reports/{second}.pdf"


async def test_render_report_lets_the_runtime_retry_an_absent_store(tmp_path: Path) -> None:
    """The store may come back: only the last attempt marks the report failed."""
    ctx = FakeContext()
    report_id = await ordered(ctx, last="1h")
    [event] = ctx.take_emitted("report.queued")
    parts: dict[str, Any] = {
        "telemetry": AwayStore(),
        "ledger": NoLedger(),
        "settings": Settings(),
        "data_dir": tmp_path,
    }

    with pytest.raises(StoreAway):
        await render_report_step.handler(event, ctx, **parts)
    ctx.attempt = 5
    await render_report_step.handler(event, ctx, **parts)

    [finished] = ctx.take_emitted("report.finished")
    assert "did not answer" in finished.error
    with pytest.raises(HTTPError, match="did not answer") as failed:
        await get(ctx, f"{report_id}.pdf", tmp_path)
    assert failed.value.status == 500


async def test_render_report_ignores_what_has_its_fate_and_what_nobody_ordered(
    tmp_path: Path,
) -> None:
    """A second delivery of the same event changes nothing."""
    ctx = FakeContext()
    report_id = await ordered(ctx, last="1h")
    kept = await ctx.state.get("reports", report_id)
    await ctx.state.set("reports", report_id, {**kept, "status": "failed", "error": "x"})

    await render(ctx, AwayStore(), tmp_path)
    await render_report_step.handler(
        ReportQueued("../../x"),
        ctx,
        telemetry=AwayStore(),
        ledger=NoLedger(),
        settings=Settings(),
        data_dir=tmp_path,
    )

    assert ctx.take_emitted("report.finished") == []


async def test_render_report_never_writes_outside_of_its_folder(tmp_path: Path) -> None:
    """A record whose id is a path is refused for good."""
    ctx = FakeContext()
    record = {"report_id": "../x", "from_ms": 0, "to_ms": 1, "created_at_ms": 0}
    await ctx.state.set("reports", "../x", record)

    with pytest.raises(NonRetriable):
        await render_report_step.handler(
            ReportQueued("../x"),
            ctx,
            telemetry=Memory(),
            ledger=NoLedger(),
            settings=Settings(),
            data_dir=tmp_path,
        )


async def test_render_report_keeps_the_newest_and_clears_away_the_rest(tmp_path: Path) -> None:
    """Beyond `keep`, finished reports and their files go; a queued one stays."""
    ctx = FakeContext()
    folder = tmp_path / "reports"
    folder.mkdir()
    ids = []
    for _ in range(3):
        ids.append(await ordered(ctx, last="1h"))
        ctx.clock.pass_s(1)
    for report_id in ids[1:]:
        (folder / f"{report_id}.pdf").write_bytes(b"%PDF")
        kept = await ctx.state.get("reports", report_id)
        ready = {**kept, "status": "ready", "file_name": f"{report_id}.pdf"}
        await ctx.state.set("reports", report_id, ready)
    newest = await ordered(ctx, last="1h")
    ctx.attempt = 5

    await render_report_step.handler(
        ctx.take_emitted("report.queued")[-1],
        ctx,
        telemetry=AwayStore(),
        ledger=NoLedger(),
        settings=Settings(reports=Reports(keep=2)),
        data_dir=tmp_path,
    )

    left = {report["report_id"] for report in await ctx.state.get_group("reports")}
    assert left == {ids[0], ids[2], newest}
    assert [path.name for path in folder.iterdir()] == [f"{ids[2]}.pdf"]


async def test_daily_report_is_ordered_once_about_the_day_before() -> None:
    """A first start orders nothing; the next morning orders one report of the local day."""
    ctx = FakeContext(FakeClock(datetime(2026, 10, 25, 12, tzinfo=UTC)))

    await daily_report_step.handler(ctx, settings=BERLIN)
    assert ctx.emitted == []
    for _ in range(20):
        ctx.clock.pass_s(3_600)
        await daily_report_step.handler(ctx, settings=BERLIN)

    [event] = ctx.take_emitted("report.queued")
    [kept] = msgspec.convert(await ctx.state.get_group(REPORTS), list[Report])
    assert kept.report_id == event.report_id
    assert kept.to_ms - kept.from_ms == 25 * 3_600_000
    assert datetime.fromtimestamp(kept.to_ms / 1000, UTC) == datetime(2026, 10, 25, 23, tzinfo=UTC)
