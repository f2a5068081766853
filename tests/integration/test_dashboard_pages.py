"""What every page of the dashboard keeps: structure, names, policy, hostile texts."""

import re
from pathlib import Path
from typing import Any

import pytest

from cloud.dashboard.pages import HEADERS
from cloud.dashboard.steps import (
    alerts_page_step,
    change_dead_events_step,
    dead_event_page_step,
    dead_events_page_step,
    dead_letters_page_step,
    login_page_step,
    replay_by_form_step,
    reports_page_step,
    request_report_step,
    steps_page_step,
)
from tests.support.dashboard import (
    EVIL,
    HOSTILE,
    SETTINGS,
    FakeLedger,
    FakeRegistry,
    Page,
    filled_context,
    filled_store,
    render_device,
    render_home,
    render_mail,
)
from tests.support.fake_context import FakeContext
from tests.support.step_desk import FakeDesk, dead_event, facts
from tidegate.contract import StepConfig
from tidegate.http.request import Request
from wire.ids import INGEST, DeviceId, DeviceKey

pytestmark = pytest.mark.anyio


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


async def test_alerts_page_links_devices_only() -> None:
    """What ingestion says of itself is told without a link: no device's page is behind it."""
    ctx = await filled_context()
    for alert_id in ("a1", "a2"):
        alert = await ctx.state.get("alerts", alert_id)
        await ctx.state.set("alerts", f"{alert_id}i", {**alert, **INGEST._asdict()})

    page = Page(await alerts_page_step.handler(Request(query_params={}), ctx, settings=SETTINGS))

    links = [link.get("href") or "" for link in page.all("a")]
    assert [link for link in links if link.startswith("/devices/local/")] == []
    assert len([link for link in links if link.startswith("/devices/plant/")]) == 2
    assert page.text.count(INGEST.device) == 2


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


@pytest.mark.parametrize(
    "step", [change_dead_events_step, replay_by_form_step, request_report_step]
)
def test_forms_are_only_for_our_own_pages(step: Any) -> None:
    """`pageMiddleware` refuses a session's form that another site has sent."""
    assert step.config["middleware"] == ["pageMiddleware"]
