"""The pages, rendered by their steps from a memory store and fakes."""

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from cloud.dashboard.live import LiveHub
from cloud.dashboard.pages import HEADERS
from cloud.dashboard.steps import (
    alerts_page_step,
    change_dead_events_step,
    dead_event_page_step,
    dead_events_page_step,
    dead_letters_page_step,
    device_page_step,
    home_step,
    login_page_step,
    mail_page_step,
    replay_by_form_step,
    reports_page_step,
    request_report_step,
    steps_page_step,
)
from cloud.settings import Settings, Site
from cloud.timeseries.memory import Memory
from cloud.timeseries.port import Latest, StoreAway
from tests.support.fake_context import FakeContext
from tests.support.step_desk import FakeDesk, dead_event, facts
from tidegate.contract import StepConfig
from tidegate.engine.schemas import Checker, InvalidData
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.events import ReportRequested
from wire.ids import DeviceId, DeviceKey, MetricName, SeriesKey, TenantId
from wire.points import PointBatch
from wire.records import REPORTS

pytestmark = pytest.mark.anyio

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

    async def view(self, device: DeviceKey) -> Any:
        """Return the account of any device."""
        boots = [SimpleNamespace(boot=HOSTILE, first=1, last=10, missing=[(4, 5)])]
        counts = dict.fromkeys(("received", "duplicate", "filtered", "in_flight"), 0)
        return SimpleNamespace(**counts, stored=8, dead=1, boots=boots)

    async def totals(self) -> Any:
        """Return the counts of all devices."""
        return SimpleNamespace(stored=1_284_301, dead=1)

    async def dead_letters(
        self, tenant: str | None, device: str | None, *, limit: int, before: int | None
    ) -> Sequence[Any]:
        """Return a full page of letters."""
        self.asked = (tenant, device, before)
        return [LETTER] * limit


class FakeGateway:
    """Takes letters, or refuses them with a status."""

    def __init__(self, refusal: int | None = None) -> None:
        self.refusal = refusal
        self.taken: list[str] = []

    async def replay_letter(self, letter_id: str) -> None:
        """Take a letter."""
        if self.refusal is not None:
            raise HTTPError(self.refusal, "not this one")
        self.taken.append(letter_id)


class AwayStore(Memory):
    """A store that does not answer."""

    async def latest(self, tenant: str | None = None, device: str | None = None) -> list[Latest]:
        """Refuse."""
        raise StoreAway("connection refused")


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


def hostile_desk() -> FakeDesk:
    """Return a desk on which every name, error and payload is hostile."""
    step = StepConfig("event", HOSTILE, subscribes=(HOSTILE,), emits=(HOSTILE,), flows=(HOSTILE,))
    dead = dead_event(
        17, HOSTILE, topic=HOSTILE, error=HOSTILE, stack=HOSTILE, data={HOSTILE: HOSTILE}
    )
    steps = [facts(step, about=HOSTILE, outcomes={HOSTILE: 1})]
    return FakeDesk(dead, dead_event(16, "tidegate.waits", is_loaded=False), steps=steps)


async def step_pages() -> list[dict[str, Any]]:
    """Return the answers of the pages on steps, filled with hostile texts."""
    ctx, desk, narrowed = FakeContext(), hostile_desk(), Request(query_params={"step": HOSTILE})
    asked = {"do": "redrive:all", "step": HOSTILE}
    return [
        await steps_page_step.handler(narrowed, ctx, step_desk=desk, settings=SETTINGS),
        await dead_events_page_step.handler(narrowed, ctx, step_desk=desk, settings=SETTINGS),
        *[
            await dead_event_page_step.handler(
                Request(path_params={"id": dead_id}), ctx, step_desk=desk, settings=SETTINGS
            )
            for dead_id in ("17", HOSTILE)
        ],
        await change_dead_events_step.handler(
            Request(body=asked), ctx, step_desk=desk, settings=SETTINGS
        ),
    ]


async def every_page(data_dir: Path) -> list[dict[str, Any]]:
    """Return the answers of all pages, filled with hostile texts."""
    ctx = await filled_context()
    nothing = Request(query_params={})
    return [
        await render_home(await filled_store(ctx.clock.now_ms())),
        await render_device(EVIL),
        await render_device(DeviceKey(EVIL.tenant, DeviceId("<b>nobody"))),
        await alerts_page_step.handler(nothing, ctx, settings=SETTINGS),
        await reports_page_step.handler(
            Request(query_params={"error": HOSTILE}),
            ctx,
            registry=FakeRegistry(),
            settings=SETTINGS,
        ),
        await render_mail(data_dir),
        await render_mail(data_dir, file="1.eml"),
        await render_mail(data_dir, file="../secret"),
        await dead_letters_page_step.handler(
            Request(query_params={"device": HOSTILE}), ctx, ledger=FakeLedger(), settings=SETTINGS
        ),
        *await step_pages(),
        await login_page_step.handler(
            Request(query_params={"next": f"/{HOSTILE}"}), ctx, settings=SETTINGS
        ),
    ]


async def test_every_page_is_well_built(tmp_path: Path) -> None:
    """Each page has a language, a title, one first heading and a way to its content."""
    for answer in await every_page(tmp_path):
        page = Page(answer)
        headings = page.all("h1")
        ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]

        assert page.all("html") == [{"lang": "en"}]
        assert page.html.partition("</head>")[0].count("<title>") == 1
        assert len(headings) == 1
        assert {"class": "skip", "href": "#main"} in page.all("a")
        assert any(attributes.get("id") == "main" for attributes in page.all("main"))
        assert len(ids) == len(set(ids))
        assert "Europe/Berlin, UTC+01:00" in page.text


async def test_every_page_but_the_login_has_the_navigation(tmp_path: Path) -> None:
    """From everywhere all pages and the way out are one step away."""
    *pages, login = [Page(answer) for answer in await every_page(tmp_path)]
    wanted = {"/", "/alerts", "/reports", "/mail", "/dead-letters", "/steps"}

    for page in pages:
        assert wanted <= {link.get("href") for link in page.all("a")}
        assert any(form.get("action") == "/logout" for form in page.all("form"))
    assert not login.all("nav")


async def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """No name, value, reason, mail or error of another's making becomes markup."""
    for answer in await every_page(tmp_path):
        page = Page(answer)

        assert "<script>alert" not in page.html
        assert all("alert(1)" not in (a.get("src") or "") for a in page.all("script"))
        assert not page.all("b")
        assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


async def test_pages_obey_their_own_policy(tmp_path: Path) -> None:
    """Every page sends the security headers, and holds no inline script or style."""
    for answer in await every_page(tmp_path):
        page = Page(answer)

        assert answer["headers"].items() >= HEADERS.items()
        assert all(attributes.get("src") for attributes in page.all("script"))
        assert not page.all("style")
        assert not any("style" in attributes for _, attributes in page.tags)
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_every_control_has_a_name(tmp_path: Path) -> None:
    """Each input has a label and each button words, for those who do not see the page."""
    for answer in await every_page(tmp_path):
        page = Page(answer)
        labelled = {label.get("for") for label in page.all("label")}
        inputs = [*page.all("input"), *page.all("select")]

        assert all(i.get("id") in labelled for i in inputs if i.get("type") != "hidden")
        assert not re.search(r"<button[^>]*>\s*</button>", page.html)


async def test_home_shows_the_site_at_a_glance() -> None:
    """The overview tells devices, readings, this machine, the fleet and how to connect."""
    ctx = FakeContext()

    page = Page(await render_home(await filled_store(ctx.clock.now_ms())))

    assert "Harbour works" in page.text
    assert "1\u202f284\u202f301" in page.text
    assert "This machine" in page.text
    assert "12.0 %" in page.text
    assert "3 s ago" in page.text
    assert "mosquitto_pub -m '{\"values\": {}}'" in page.text
    assert any(link.get("href") == "/api/v1/reports/r1.pdf" for link in page.all("a"))
    assert [row.get("data-device") for row in page.all("tr") if row.get("data-device")]


async def test_home_finds_a_device_by_a_part_of_its_name() -> None:
    """The search narrows the fleet, regardless of case."""
    found = Page(await render_home(Memory(), q="WORKB"))
    lost = Page(await render_home(Memory(), q="<nothing>"))

    assert len([row for row in found.all("tr") if row.get("data-device")]) == 1
    assert "No device has “<nothing>” in its name." in lost.text


async def test_home_survives_the_store_being_away() -> None:
    """While telemetry cannot be read the page says so and shows all the rest."""
    answer = await render_home(AwayStore())

    assert answer["status"] == 200
    assert "The telemetry store does not answer" in Page(answer).text


async def test_device_page_shows_values_ledger_and_alerts() -> None:
    """A device's page has a chart for each number, every value, the account and its alerts."""
    page = Page(await render_device(EVIL, range="6h"))

    (chart,) = [figure for figure in page.all("figure") if figure.get("class") == "chart"]
    assert chart["data-range-ms"] == "21600000"
    assert chart["data-step-ms"] == "30000"
    assert "80.00 % complete" in page.text
    assert "4\N{EN DASH}5" in page.text
    assert "21.50" in page.text
    live = page.all("body")[0]["data-live"]
    assert live is not None
    assert live.startswith("/live?device=plant%2F%3Cscript%3E")


async def test_unknown_device_is_a_page_with_404() -> None:
    """An address of no device answers with a page that leads back."""
    answer = await render_device(DeviceKey(TenantId("plant"), DeviceId("nobody")))

    assert answer["status"] == 404
    assert "No such device" in Page(answer).text


async def test_dead_letters_are_narrowed_and_paged() -> None:
    """The ledger is asked for one device's letters, and the next page begins below the last."""
    ledger = FakeLedger()
    query: dict[str, Any] = {"tenant": "plant", "device": "pump", "before": 99}

    answer = await dead_letters_page_step.handler(
        Request(query_params=query), FakeContext(), ledger=ledger, settings=SETTINGS
    )

    assert ledger.asked == ("plant", "pump", 99)
    links = [link.get("href") for link in Page(answer).all("a")]
    assert "/dead-letters?tenant=plant&device=pump&before=17" in links


@pytest.mark.parametrize("before", [0, -1, 2**63, 10**400])
def test_dead_letters_of_an_impossible_id_are_refused(before: int) -> None:
    """A number that no id can be is the caller's mistake (422), not ours."""
    with pytest.raises(InvalidData):
        Checker(dead_letters_page_step.config["queryParams"]).check({"before": before})


async def test_mail_never_leaves_its_folder(tmp_path: Path) -> None:
    """A file name that leads elsewhere finds nothing, even when the file exists."""
    (tmp_path / "secret.eml").write_text(EML.format(subject="secret"), "utf-8")

    answers = [
        await render_mail(tmp_path, file=name)
        for name in ("../secret.eml", "/etc/passwd", "1.eml/", ".")
    ]

    assert [answer["status"] for answer in answers] == [404, 404, 404, 404]


async def test_report_form_asks_for_a_report() -> None:
    """The form only asks: the record is made by the reports, and the list waits for it."""
    ctx = FakeContext()
    fields = {"subject": "plant/pump", "range": "1h"}

    answer = await request_report_step.handler(
        Request(body=fields, headers={}), ctx, settings=SETTINGS
    )

    now_ms = ctx.clock.now_ms()
    asked = ReportRequested(now_ms - 3_600_000, now_ms, "plant", "pump")
    assert ctx.emitted == [("report.requested", asked)]
    assert await ctx.state.get_group(REPORTS) == []
    assert (answer["status"], answer["headers"]["Location"]) == (303, "/reports?asked=1")


async def test_reports_page_looks_again_soon_for_a_report_that_was_just_asked_for() -> None:
    """Its record may take a moment; the page says so and asks every few seconds."""
    pages = [
        Page(
            await reports_page_step.handler(
                Request(query_params=query),
                FakeContext(),
                registry=FakeRegistry(),
                settings=SETTINGS,
            )
        )
        for query in ({}, {"asked": "1"})
    ]

    assert [page.all("body")[0]["data-refresh-s"] for page in pages] == ["30", "3"]
    assert "The report is being made" in pages[1].text


async def test_report_form_says_what_to_correct() -> None:
    """A bad period queues nothing and leads back with the reason."""
    ctx = FakeContext()

    answer = await request_report_step.handler(
        Request(body={"range": "custom"}, headers={}), ctx, settings=SETTINGS
    )

    assert answer["headers"]["Location"].startswith("/reports?error=Give%20the%20day")
    assert ctx.emitted == []


async def replay(letter_id: str, gateway: FakeGateway) -> Any:
    """Press the replay button of a letter; return where it leads."""
    answer = await replay_by_form_step.handler(
        Request(path_params={"id": letter_id}), FakeContext(), gateway=gateway
    )
    return answer["headers"]["Location"]


@pytest.mark.parametrize(
    ("refusal", "told"), [(None, "replayed"), (404, "gone"), (409, "busy"), (422, "refused")]
)
async def test_replay_button_tells_on_the_list_how_it_went(refusal: int | None, told: str) -> None:
    """A letter goes through ingestion once; why it did not is told where the person came from."""
    gateway = FakeGateway(refusal)

    location = await replay("17", gateway)
    page = Page(
        await dead_letters_page_step.handler(
            Request(query_params={"done": told}),
            FakeContext(),
            ledger=FakeLedger(),
            settings=SETTINGS,
        )
    )

    assert location == f"/dead-letters?done={told}"
    assert "letter" in next(p.text for p in [page] if page.all("p"))
    assert gateway.taken == ([] if refusal else ["17"])


async def test_replay_button_does_not_hide_that_ingestion_is_away() -> None:
    """What is nobody's mistake and may pass is answered as what it is."""
    with pytest.raises(HTTPError) as away:
        await replay("17", FakeGateway(503))

    assert away.value.status == 503


@pytest.mark.parametrize(
    "step", [change_dead_events_step, replay_by_form_step, request_report_step]
)
def test_forms_are_only_for_our_own_pages(step: Any) -> None:
    """`pageMiddleware` refuses a session's form that another site has sent."""
    assert step.config["middleware"] == ["pageMiddleware"]
