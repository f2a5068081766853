"""The pages of reports and of mail."""

from pathlib import Path

import pytest

from cloud.dashboard.steps import (
    reports_page_step,
    request_report_step,
)
from tests.support.dashboard import (
    EML,
    SETTINGS,
    FakeRegistry,
    Page,
    render_mail,
)
from tests.support.fake_context import FakeContext
from tidegate.http.request import Request
from wire.events import ReportRequested
from wire.records import REPORTS

pytestmark = pytest.mark.anyio


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
