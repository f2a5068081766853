"""Real PDFs of synthetic telemetry, read back."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import msgspec
import psutil
import pytest
from pypdf import PdfReader

from cloud.reports.build import build_report
from cloud.reports.compose import Order, compose
from cloud.reports.document import typeset
from cloud.reports.errors import ReportFailed, ReportsUnavailable
from cloud.reports.model import Limits, ReportModel
from cloud.reports.pdf import render
from cloud.reports.period import Period
from cloud.reports.steps import get_report_step, render_report_step, request_report_step
from cloud.settings import Settings, Site
from cloud.timeseries.memory import Memory
from tests.support.fake_context import FakeClock, FakeContext
from tidegate.errors import Misconfigured
from tidegate.http.request import Request
from wire.events import AlertNotice
from wire.ids import DeviceId, DeviceKey, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

TO_MS = round(datetime(2026, 10, 25, 10, tzinfo=UTC).timestamp() * 1000)
FROM_MS = TO_MS - 3_600_000
SITE = Site("Plant <2> & Co", "Europe/Berlin")
SETTINGS = Settings(site=SITE)
LIMITS = Limits()
METRICS = {"outlet_temperature_c": 62.0, "flow_m3_per_h": 12.0, "used_bytes": 5.1e9}
HOSTILE = [
    "<script>alert(1)</script><img src=x>",
    "W" * 64,
    "\u05de\u05d3\u05d7\u05d5\u05dd \u0645\u0636\u062e\u0629",
    "\U0001f6b0 pump \u2603",
    "\ue000 pump",
    "{{ 7*7 }}&amp;\"'",
]


class Hole(msgspec.Struct, frozen=True):
    """One boot of a device with one missing sequence."""

    missing: tuple[tuple[int, int], ...] = ((5, 5),)


class Account(msgspec.Struct, frozen=True):
    """The same account for every device."""

    received: int = 1_000
    stored: int = 999
    duplicate: int = 1
    dead: int = 0
    filtered: int = 0
    in_flight: int = 0
    late: int = 7
    skew_ms: int | None = 9_000
    boots: tuple[Hole, ...] = (Hole(),)


class FakeLedger:
    """A ledger that knows every device."""

    async def view(self, device: DeviceKey) -> Account:
        """Return the account."""
        return Account()


async def filled(names: list[str], *, every_ms: int = 30_000, from_ms: int = FROM_MS) -> Memory:
    """Return a store with three metrics of each device over the period."""
    store, batch = Memory(), PointBatch()
    for name in names:
        for metric, middle in METRICS.items():
            key = SeriesKey(TenantId("acme"), DeviceId(name), MetricName(metric))
            for ts in range(from_ms, TO_MS, every_ms):
                batch.append(key, ts, middle * (1 + math.sin(ts / 4e5) / 10))
    await store.write(batch)
    return store


def notice(device: str) -> AlertNotice:
    """Return an alert that was open for ten minutes."""
    start = FROM_MS + 600_000
    return AlertNotice(
        "a1",
        "hot",
        "acme",
        device,
        "outlet_temperature_c",
        "resolved",
        "critical",
        "It is <b>hot</b>",
        start,
        start + 600_000,
        99.0,
    )


async def model_of(
    store: Memory, *, from_ms: int = FROM_MS, limits: Limits = LIMITS, site: Site = SITE
) -> ReportModel:
    """Return the model of the period."""
    order = Order(Period(from_ms, TO_MS), TO_MS, limits=limits)
    return await compose(store, FakeLedger(), alerts=[], site=site, order=order)


async def pdf_of(store: Memory, *, from_ms: int = FROM_MS, limits: Limits = LIMITS) -> PdfReader:
    """Return the report of the period, drawn in this process and read back."""
    model = await model_of(store, from_ms=from_ms, limits=limits)
    return PdfReader(BytesIO(typeset(model)))


def text_of(reader: PdfReader) -> str:
    """Return all text of a PDF, its lines joined."""
    return " ".join("\n".join(page.extract_text() for page in reader.pages).split())


def structure(node: Any) -> Iterator[Any]:
    """Yield all elements of a PDF's structure tree."""
    node = node.get_object()
    if isinstance(node, list):
        for one in node:
            yield from structure(one)
    elif isinstance(node, dict):
        yield node
        if "/K" in node:
            yield from structure(node["/K"])


async def test_report_says_what_when_and_where() -> None:
    """Names, exact range, zone, units, completeness and alerts can be read in the PDF."""
    store, alerts = await filled(["pump-01", "pump-02"]), [notice("pump-02")]

    pdf = await build_report(
        store, FakeLedger(), alerts, SETTINGS, from_ms=FROM_MS, to_ms=TO_MS, made_at_ms=TO_MS
    )

    reader = PdfReader(BytesIO(pdf))
    text = text_of(reader)
    for expected in (
        "Plant <2> & Co",
        "pump-01",
        "pump-02",
        "2026-10-25 10:00:00 UTC+01:00 \N{EN DASH} 2026-10-25 11:00:00 UTC+01:00",
        "Europe/Berlin",
        "outlet_temperature_c",
        "\N{DEGREE SIGN}C",
        "m\N{SUPERSCRIPT THREE}/h",
        "GB",
        "99.90 %",
        "It is <b>hot</b>",
        "1,000 received = 999 stored + 1 duplicate",
        "7 came late. Its clock is 9 s behind.",
        "1 missing by sequence number",
    ):
        assert expected in text
    assert len(reader.pages) == 2


async def test_report_has_range_zone_and_number_on_every_page() -> None:
    """A page that is taken out of its report still says what it is about."""
    reader = await pdf_of(await filled([f"pump-{n:02d}" for n in range(6)]))

    total = len(reader.pages)
    for number, page in enumerate(reader.pages, start=1):
        text = " ".join(page.extract_text().split())
        assert f"Page {number} of {total}" in text
        assert "11:00:00 UTC+01:00 · Europe/Berlin" in text


async def test_report_is_tagged_and_its_charts_have_words() -> None:
    """PDF/UA: language, title, structure, and an alternative text for every figure."""
    reader = await pdf_of(await filled(["pump-01"]))

    root: Any = reader.trailer["/Root"]
    elements = list(structure(root["/StructTreeRoot"]["/K"]))
    figures = [str(e["/Alt"]) for e in elements if e.get("/S") == "/Figure"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert b"pdfuaid" in root["/Metadata"].get_object().get_data()
    assert "2026-10-25" in str(reader.metadata and reader.metadata.title)
    assert len(figures) == 2 * len(METRICS)
    assert any(alt.startswith("Line chart of flow_m3_per_h: minimum 10.8") for alt in figures)
    assert {"/H1", "/H2", "/Table", "/TH", "/TD"} <= {str(e.get("/S")) for e in elements}


async def test_report_takes_hostile_names_as_names() -> None:
    """Markup, template syntax, very long, right-to-left and emoji names are just text."""
    reader = await pdf_of(await filled(HOSTILE, every_ms=600_000))

    text = text_of(reader)
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}&amp;\"'" in text
    assert "[U+E000] pump" in text
    assert text.replace(" ", "").count("W" * 64) == 2
    assert len(reader.pages) <= 6


async def test_long_period_is_summed_up_in_steps_without_losing_a_spike() -> None:
    """More points than a chart takes: the figures still come from every one of them."""
    from_ms = TO_MS - 86_400_000
    store = await filled(["pump-01"], every_ms=20_000, from_ms=from_ms)
    spike = PointBatch()
    key = SeriesKey(TenantId("acme"), DeviceId("pump-01"), MetricName("outlet_temperature_c"))
    spike.append(key, TO_MS - 50_001, 777.7)
    await store.write(spike)

    text = text_of(await pdf_of(store, from_ms=from_ms))

    assert "777.7" in text
    assert "4,321" in text
    assert "shows steps of 5 min" in text
    assert "2026-10-24 12:00:00 UTC+02:00" in text


async def test_report_says_what_it_leaves_out() -> None:
    """Limits hold, and the reader is told."""
    store = await filled([f"pump-{n:02d}" for n in range(6)], every_ms=600_000)
    limits = Limits(devices=2, rows=4, metrics=2, charts=1)

    text = text_of(await pdf_of(store, limits=limits))

    assert "2 more devices are counted above but not listed" in text
    assert "1 more metrics are not listed" in text
    assert "1 metrics are listed without a chart" in text
    assert "4 devices are not shown in detail" in text


async def test_report_of_nothing_says_so() -> None:
    """An empty store gives a page, not an error."""
    text = text_of(await pdf_of(Memory()))

    assert "No device has reported yet" in text
    assert "No alert was open in this period" in text


async def test_drawing_that_takes_too_long_is_ended() -> None:
    """The drawing process is killed at the time limit, and the reason says what to do."""
    model = await model_of(await filled(["pump-01"]))
    before = psutil.Process().children()

    with pytest.raises(ReportFailed, match=r"longer than 0.3 s"), anyio.fail_after(10):
        await render(model, timeout_s=0.3)

    assert psutil.Process().children() == before


async def test_drawing_that_fails_says_why() -> None:
    """The last line of what the drawing process said becomes the reason."""
    model = await model_of(Memory(), site=Site("Base", "Mars/Base"))

    with pytest.raises(ReportFailed, match="timezone 'Mars/Base' is unknown"):
        await render(model, timeout_s=60)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("raise OSError('cannot load library libpango')", "sudo apt-get install libpango-1.0-0"),
        ("raise ModuleNotFoundError('x', name='weasyprint')", "pip install 'tidegate"),
    ],
)
async def test_missing_libraries_are_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, says: str
) -> None:
    """One line that says what to type, whatever the library itself prints."""
    (tmp_path / "weasyprint.py").write_text(f"print('-----')\n{fault}")
    monkeypatch.syspath_prepend(tmp_path)
    model = await model_of(Memory())

    with pytest.raises(ReportsUnavailable, match=says) as refused:
        await render(model, timeout_s=60)

    assert "\n" not in str(refused.value)
    assert isinstance(refused.value, Misconfigured)


async def test_steps_make_the_file_that_the_location_promised(tmp_path: Path) -> None:
    """Ordered, drawn, fetched: one whole PDF in the folder, drawn once for two deliveries."""
    ctx = FakeContext(FakeClock(datetime(2026, 10, 25, 10, tzinfo=UTC)))
    parts: dict[str, Any] = {
        "telemetry": await filled(["pump-01"]),
        "ledger": FakeLedger(),
        "settings": SETTINGS,
        "data_dir": tmp_path,
    }
    answer = await request_report_step.handler(Request(body={"last": "1h"}), ctx)
    [event] = ctx.take_emitted("report.queued")

    await render_report_step.handler(event, ctx, **parts)
    await render_report_step.handler(event, ctx, **parts)

    file = answer["headers"]["Location"].rpartition("/")[2]
    path = await get_report_step.handler(
        Request(path_params={"file": file}), ctx, data_dir=tmp_path
    )
    assert isinstance(path, Path)
    assert "pump-01" in text_of(PdfReader(path))
    assert [p.name for p in (tmp_path / "reports").iterdir()] == [file]
    assert len(ctx.take_emitted("report.finished")) == 1
    assert ctx.ran == {"draw": 1}


def test_nothing_loads_the_pdf_libraries_before_a_report_is_drawn() -> None:
    """Everything but reports runs without them."""
    code = (
        "import importlib, pathlib, sys, cloud.reports.build\n"
        "for f in pathlib.Path(cloud.reports.__file__).parent.glob('steps/*_step.py'):\n"
        "    importlib.import_module(f'cloud.reports.steps.{f.stem}')\n"
        "print({'weasyprint', 'matplotlib', 'pandas', 'numpy', 'jinja2'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.stdout.strip() == "set()"
