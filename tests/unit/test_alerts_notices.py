"""The steps that route, deliver and list alerts, called as plain functions."""

from typing import Any

import msgspec
import pytest

from cloud.alerts import register
from cloud.alerts.deliveries import DeliveryRequested
from cloud.alerts.steps import (
    deliver_webhook_step,
    list_alerts_step,
    route_notice_step,
)
from cloud.settings import Alerts, Settings, Smtp, Webhook
from tests.support.fake_context import FakeContext
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.events import AlertNotice

pytestmark = pytest.mark.anyio


def _settings(**parts: Any) -> Settings:
    return Settings(alerts=Alerts(rules=[], **parts))


def _notice(alert_id: str = "a1", **changed: Any) -> AlertNotice:
    notice = AlertNotice(alert_id, "hot", "demo", "pump", "t", "firing", "critical", "s", 1_000)
    return msgspec.structs.replace(notice, **changed)


async def test_route_notice_requests_one_delivery_per_target() -> None:
    """Each target gets an event of its own, and no URL leaves the settings."""
    settings = _settings(
        webhooks=[Webhook("https://a.example/token-1"), Webhook("https://b.example/token-2")],
        email_to=["one@example.com", "two@example.com"],
    )
    ctx = FakeContext()

    await route_notice_step.handler(_notice(), ctx, settings=settings)

    assert [topic for topic, _ in ctx.emitted] == ["delivery.requested.webhook"] * 2 + [
        "delivery.requested.email"
    ] * 2
    asked = [data for _, data in ctx.emitted]
    assert len({one.id for one in asked}) == 4
    assert b"token" not in msgspec.json.encode(asked)
    records = await ctx.state.get_group("deliveries")
    assert {record["status"] for record in records} == {"queued"}
    assert {record["target"] for record in records} == {
        "https://a.example/…",
        "https://b.example/…",
        "one@example.com",
        "two@example.com",
    }


@pytest.mark.parametrize(("host", "mails"), [(None, 1), ("smtp.example.com", 0)])
async def test_route_notice_without_recipients_keeps_a_mail_unless_there_is_a_server(
    host: str | None, mails: int
) -> None:
    """A newcomer finds mails in the outbox before naming anybody; nobody is written to."""
    settings = msgspec.structs.replace(_settings(), smtp=Smtp(host=host))
    ctx = FakeContext()

    await route_notice_step.handler(_notice(), ctx, settings=settings)

    assert len(ctx.take_emitted("delivery.requested.email")) == mails


async def test_deliver_webhook_gives_up_on_a_target_that_is_no_longer_configured() -> None:
    """The delivery is logged as failed and not tried again."""
    ctx = FakeContext()
    asked = DeliveryRequested("d1", "webhook", "unknown", "https://a.example/…", _notice())

    await deliver_webhook_step.handler(asked, ctx, settings=_settings())

    record = await ctx.state.get("deliveries", "d1")
    assert (record["status"], record["attempts"]) == ("failed", 1)
    assert "no longer" in record["error"]


async def test_list_alerts_shows_firing_first_and_newest_first() -> None:
    """What burns now stands at the top."""
    ctx = FakeContext()
    for notice in (
        _notice("old", started_at_ms=1),
        _notice("over", status="resolved", started_at_ms=9, ended_at_ms=10),
        _notice("new", started_at_ms=2),
    ):
        await register.keep(ctx.state, notice)

    answer = await list_alerts_step.handler(Request(query_params={}), ctx)
    firing = await list_alerts_step.handler(Request(query_params={"status": "firing"}), ctx)

    assert [alert["alert_id"] for alert in answer["body"]["alerts"]] == ["new", "old", "over"]
    assert [alert["alert_id"] for alert in firing["body"]["alerts"]] == ["new", "old"]


async def test_list_alerts_refuses_an_unknown_status() -> None:
    """A misspelt filter is no empty answer."""
    with pytest.raises(HTTPError, match="firing, resolved"):
        await list_alerts_step.handler(Request(query_params={"status": "fired"}), FakeContext())
