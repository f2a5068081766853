"""The dashboard's pages, rendered by their steps from a memory store and fakes."""

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from cloud.dashboard.live import LiveHub
from cloud.dashboard.steps import (
    device_page_step,
    home_step,
    mail_page_step,
)
from cloud.settings import Settings, Site
from cloud.timeseries.memory import Memory
from tests.support.fake_context import FakeContext
from tidegate.http.request import Request
from wire.ids import DeviceId, DeviceKey, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

HOSTILE = "<script>alert(1)</script>\"'&"
EVIL = DeviceKey(TenantId("plant"), DeviceId(HOSTILE))
LOCAL = DeviceKey(TenantId("local"), DeviceId("workbench"))
SETTINGS = Settings(site=Site(name="Harbour works", timezone="Europe/Berlin"))
LETTER = SimpleNamespace(
    id=17,
    topic=f"t/{HOSTILE}",
    reason=HOSTILE,
    payload=b"{<b>",
    readings=2,
    is_shortened=False,
    received_at_ms=1,
)
EML = """\
From: tidegate@localhost
To: ops@example.org
Subject: {subject}
Date: Sat, 31 Jan 2026 11:00:00 +0000
Content-Type: text/html; charset=utf-8

<script>alert(1)</script>
"""


class Page(HTMLParser):
    """What a test asks of a page: its tags with attributes, its words."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.html = str(answer["body"])
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep words."""
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


class Known(NamedTuple):
    """A registered device."""

    tenant: str
    device: str


class FakeRegistry:
    """A registry of two devices, one of them with a hostile name."""

    def devices(self, tenant: str | None = None) -> Sequence[Known]:
        """Return them."""
        return [Known(*key) for key in (EVIL, LOCAL) if tenant in (None, key.tenant)]

    def get(self, device: DeviceKey) -> Known | None:
        """Return one of them."""
        return Known(*device) if device in (EVIL, LOCAL) else None


class FakePresence:
    """Nobody was heard since the start."""

    def all(self) -> dict[DeviceKey, Any]:
        """Return nothing."""
        return {}


class FakeLedger:
    """A ledger with one hole and one dead letter."""

    asked: tuple[str | None, str | None, int | None] | None = None
    reason: str | None = None
    letters_dropped = 7

    async def view(self, device: DeviceKey) -> Any:
        """Return the account of any device."""
        boots = [SimpleNamespace(boot=HOSTILE, first=1, last=10, missing=[(4, 5)])]
        counts = dict.fromkeys(("received", "duplicate", "filtered", "in_flight"), 0)
        gap = SimpleNamespace(boot=HOSTILE, first=4, last=5, at_ms=1, missing=2)
        counts |= {"stored": 8, "dead": 1, "late": 3, "skew_ms": 7_400}
        return SimpleNamespace(**counts, boots=boots, last_gap=gap)

    def totals(self) -> Any:
        """Return the counts of all devices."""
        return SimpleNamespace(stored=1_284_301, dead=1, in_flight=4_217)

    async def dead_letters(
        self,
        tenant: str | None,
        device: str | None,
        *,
        limit: int,
        before: int | None,
        reason: str | None = None,
    ) -> Sequence[Any]:
        """Return a full page of letters."""
        self.asked, self.reason = (tenant, device, before), reason
        return [LETTER] * limit


async def filled_context() -> FakeContext:
    """Return a context whose state holds an alert, a delivery and a report."""
    ctx = FakeContext()
    now_ms = ctx.clock.now_ms()
    alert = {
        "alert_id": "a1",
        "rule": HOSTILE,
        "tenant": "plant",
        "device": HOSTILE,
        "metric": HOSTILE,
        "status": "firing",
        "severity": "critical",
        "summary": HOSTILE,
        "started_at_ms": now_ms - 5_000,
    }
    resolved = {**alert, "alert_id": "a2", "status": "resolved", "ended_at_ms": now_ms}
    report = {
        "report_id": "r1",
        "tenant": "plant",
        "device": HOSTILE,
        "from_ms": now_ms - 3_600_000,
        "to_ms": now_ms,
        "status": "ready",
        "file_name": "r1.pdf",
        "error": None,
        "created_at_ms": now_ms,
    }
    delivery = {
        "id": "d1",
        "alert_id": "a1",
        "channel": "webhook",
        "target": HOSTILE,
        "status": "failed",
        "attempts": 2,
        "at_ms": now_ms,
        "error": HOSTILE,
    }
    await ctx.state.set("alerts", "a1", alert)
    await ctx.state.set("alerts", "a2", resolved)
    await ctx.state.set("reports", "r1", report)
    await ctx.state.set("deliveries", "d1", delivery)
    return ctx


async def filled_store(now_ms: int) -> Memory:
    """Return a store with recent points of both devices."""
    batch = PointBatch()
    for age_ms in (30_000, 15_000, 3_000):
        batch.append(SeriesKey(*EVIL, MetricName(HOSTILE)), now_ms - age_ms, 21.5)
        batch.append(SeriesKey(*EVIL, MetricName("mode")), now_ms - age_ms, HOSTILE)
        batch.append(SeriesKey(*LOCAL, MetricName("cpu_used_pct")), now_ms - age_ms, 12.0)
    store = Memory()
    await store.write(batch)
    return store


async def render_home(store: Memory, **query: str) -> dict[str, Any]:
    """Return the answer of the overview."""
    return await home_step.handler(
        Request(query_params=query),
        await filled_context(),
        telemetry=store,
        registry=FakeRegistry(),
        presence=FakePresence(),
        ledger=FakeLedger(),
        live=LiveHub(FakePresence()),
        settings=SETTINGS,
        connect_hint="mosquitto_pub -m '{\"values\": {}}'",
    )


async def render_device(key: DeviceKey, **query: str) -> dict[str, Any]:
    """Return the answer of a device's page."""
    ctx = await filled_context()
    return await device_page_step.handler(
        Request(path_params=key._asdict(), query_params=query),
        ctx,
        telemetry=await filled_store(ctx.clock.now_ms()),
        registry=FakeRegistry(),
        presence=FakePresence(),
        ledger=FakeLedger(),
        settings=SETTINGS,
    )


async def render_mail(data_dir: Path, **query: str) -> dict[str, Any]:
    """Return the answer of the mail page over an outbox of one hostile mail."""
    outbox = data_dir / "outbox"
    outbox.mkdir(exist_ok=True)
    (outbox / "1.eml").write_text(EML.format(subject=HOSTILE), "utf-8")
    return await mail_page_step.handler(
        Request(query_params=query), FakeContext(), settings=SETTINGS, data_dir=data_dir
    )
